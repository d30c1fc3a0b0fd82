package worker

import (
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/pool"
	"github.com/warrenvpn/warren/context/replica"
	"github.com/warrenvpn/warren/context/session"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike"
	"github.com/warrenvpn/warren/ike/exchange"
)

// state is what journal entries describe beside child SAs in the data plane: IKE SAs,
// and addresses that came back to their pools. It is a replica.State.
type state struct {
	*ike.Engine
	pools func() *pool.Set
}

// Remember implements replica.State.
func (s *state) Remember(a netip.Addr, identity string) bool {
	return s.pools().Remember(a, identity)
}

// Habits implements replica.State.
func (s *state) Habits(yield func(netip.Addr, string) bool) { s.pools().Habits(yield) }

// Now implements replica.Host.
func (w *Worker) Now() time.Time { return w.clock.now() }

// Send implements replica.Host.
func (w *Worker) Send(messages []exchange.Datagram) {
	for _, d := range messages {
		if err := w.plane.SendIKE(d.Local, d.Remote, d.Payload); err != nil {
			w.log.Debug("message not sent", "peer", d.Remote, "reason", err)
		}
	}
}

// Request implements replica.Host.
func (w *Worker) Request(kind control.Kind, body any) { w.supervisor.request(kind, body, nil) }

// Rebuild implements replica.Host: the engine and the pools are made anew. The keys of
// the engine that was in use are wiped.
func (w *Worker) Rebuild() (replica.State, func(), error) {
	engine, err := newEngine(w.tenant, w.logins.note, w.crew.isolate)
	if err != nil {
		return nil, nil, err
	}
	pools, err := session.NewPools(w.tenant, nil)
	if err != nil {
		return nil, nil, err
	}
	s := &state{Engine: engine, pools: func() *pool.Set { return pools }}
	return s, func() {
		if w.engine != nil {
			w.engine.Wipe()
		}
		w.engine = engine
		w.sessions.SetPools(pools)
		s.pools = func() *pool.Set { return w.sessions.Pools() }
	}, nil
}

// Install implements replica.Host. The bytes of a child SA that goes stay with its
// session.
func (w *Worker) Install(c *sa.Change) error {
	if c.Op == sa.OpDelete {
		facts := w.replica.Facts(c.Child.ID)
		keepSession(w.replica, w.sessions.Account(handleOf(c.Child.Owner), facts.BytesIn, facts.BytesOut))
	}
	err := w.plane.Apply(c)
	w.routes.change(c)
	return err
}

// Rekeyed implements replica.Host. The session goes on with the new IKE SA, whose child
// SAs may go in the same step.
func (w *Worker) Rekeyed(old, spi uint64) {
	keepSession(w.replica, w.sessions.Rename(handleOf(old), handleOf(spi)))
}

// flush does what the engine asked for: changes are journalled and installed,
// then messages leave, then events are told. An answer to an event may ask for
// more; flush ends when nothing is left.
func (w *Worker) flush(now time.Time) {
	for len(w.out.Changes)+len(w.out.Send)+len(w.out.Events) > 0 {
		out := w.out
		w.out = exchange.Output{}
		for _, id := range w.replica.Commit(now, out.Changes) {
			w.command(now, exchange.DeleteChild{ID: id, Reason: "the context has no counters left for it"})
		}
		w.endRefused(now)
		w.replica.Dispatch(out.Send)
		for _, e := range out.Events {
			w.publish(now, e)
		}
	}
	w.tellRoutes(now)
}

// endRefused ends the child SAs that the data plane does not hold.
func (w *Worker) endRefused(now time.Time) {
	for _, id := range w.replica.Refused() {
		w.command(now, exchange.DeleteChild{ID: id, Reason: "the data plane refuses it"})
	}
}

// restored goes on with the n IKE SAs that came from the journal.
func (w *Worker) restored(now time.Time, n int) {
	w.adoptSessions(now)
	w.routes.reconfigure(w.tenant, w.engine.Status())
	if n > 0 {
		w.tell(&control.Restored{Count: uint64(n)})
	}
}
