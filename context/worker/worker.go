// Package worker is one tenant at work: the event loop that joins the IKE
// engine, the data plane, the sessions and the journal. It is the only place that
// knows them all together, and decides nothing that one of them could decide.
//
// The loop is one goroutine (loop.go). It takes IKE messages, reports of the data
// plane, requests of the supervisor, messages of the twin and the passing of time, and
// gives each to the room that it concerns. What comes back is carried out in one
// order, that of exchange.Output (flush): changes are journalled, acknowledged by the
// twin and installed before a message leaves that tells the peer of them.
//
//	engine (ike)        says what changes, what is sent, what has happened
//	context/session     says who gets a session, and whose session ends
//	context/replica     makes changes durable here and on the other node; knows the role
//	esp/plane           carries packets through what is installed
//
// A worker that dies leaves the journal and the counters behind in memory files
// that the supervisor holds; the next one reads them and goes on (New). It
// does I/O only through what it is given: it opens nothing by itself.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/replica"
	"github.com/warrenvpn/warren/context/session"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/plane"
	"github.com/warrenvpn/warren/esp/tun"
	"github.com/warrenvpn/warren/ike"
	"github.com/warrenvpn/warren/ike/exchange"
)

const (
	// housekeeping is how often sessions are looked at: for traffic, which
	// proves that a peer lives, and for idle sessions.
	housekeeping = time.Second
)

// Config is what a worker is made of. The worker owns devices and sockets from
// New on.
type Config struct {
	Tenant  *spec.Tenant
	Devices []tun.Device
	Sockets []plane.Socket

	// Journal and Counters are the mappings of the two memory files; what they
	// hold of an earlier worker is continued.
	Journal, Counters replica.Memory

	// Ask sends a request to the supervisor and waits for the answer. It is
	// called from goroutines of its own.
	Ask func(ctx context.Context, kind control.Kind, body any) error

	// Claim makes a claim of the supervisor. It is called as Ask is. nil: there is
	// nobody to share with, and enough of everything.
	Claim func(context.Context, control.Claim) (control.Grant, error)

	// Connect asks the supervisor for sockets to a server. It is called as Ask is. nil: there
	// is nobody who makes them, and no server is reached.
	Connect func(context.Context, control.Connect) ([]net.Conn, error)

	// Isolate makes an internal error in what concerns one IKE SA end that SA
	// instead of the worker.
	Isolate bool

	// Clock is control.Boot's.
	Clock int64

	// Failover says how the tenant is paired with the same one on another node;
	// nil: it is not.
	Failover *control.Failover

	// Tell takes what happens, in its order. It must not block, and may be called by
	// any goroutine. nil: it becomes lines of Log.
	Tell func(control.Event)
	Log  *slog.Logger
}

// Worker is one tenant at work. Run it once; the other methods may be called by
// any goroutine while it runs.
type Worker struct {
	tenant *spec.Tenant
	*teller
	clock *clock

	engine   *ike.Engine
	out      exchange.Output // of engine, to be carried out
	plane    *plane.Plane
	replica  *replica.Replica
	sessions *session.Table
	limits   *limits

	supervisor *supervisor
	routes     *routes
	assigned   *assigned

	inbox *inbox
	aside
	ready chan struct{}
}

// aside is what works beside the loop.
type aside struct {
	crew   *crew
	logins *logins
}

// New builds the tenant from what the journal holds. It sends nothing yet.
func New(cfg *Config) (*Worker, error) {
	w := &Worker{
		tenant: cfg.Tenant, teller: newTeller(cfg, &syslogs{}), clock: newClock(cfg.Clock),
		inbox: newInbox(), ready: make(chan struct{}),
	}
	w.supervisor = newSupervisor(cfg, w.log, w.inbox, w.granted)
	w.routes, w.assigned = newRoutes(cfg.Tenant, w.log, w.supervisor), newAssigned(w.tell, w.supervisor)
	counters, err := esp.NewCounters(cfg.Counters.Bytes)
	if err != nil {
		closeAll(cfg)
		return nil, &control.Error{Cause: control.CauseMemory, Err: fmt.Errorf("worker: laying out counters: %w", err)}
	}
	w.plane, err = plane.New(&plane.Config{
		Log:      w.log,
		Devices:  cfg.Devices,
		Sockets:  cfg.Sockets,
		Counters: counters,
		Options:  planeOptions(cfg.Tenant),
		Muted:    cfg.Failover != nil,
		IKE:      w.inbox.message,
		Report:   w.inbox.report,
	})
	if err != nil {
		return nil, fmt.Errorf("worker: building the data plane: %w", err)
	}
	w.crew = newCrew(cfg.Isolate, w.teller, w.inbox, func(now time.Time, j job) {
		if j.engine != w.engine { // another one has taken its place
			return
		}
		_ = w.replica.Serve(func() {
			done := exchange.AnswerWork{Question: j.Question, Work: j.Work}
			if err := w.engine.Answer(now, done, &w.out); err != nil {
				w.log.Debug("nobody waits for the arithmetic any more", "peer", j.Peer.Remote, "reason", err)
			}
			w.flush(now)
		})
	})
	w.limits = newLimits(w.plane, w.teller)
	w.limits.set(cfg.Tenant.Limits)
	answered := func(now time.Time, e *ike.Engine, a exchange.AnswerEAP) {
		if e != w.engine || w.replica.Serve(func() { answerEAP(e, now, a, &w.out); w.flush(now) }) != nil {
			a.MSK.Clear()
		}
	}
	w.logins, err = newLogins(cfg.Tenant, w.inbox, serverWay{cfg.Connect, w.tell}, answered)
	if err != nil {
		return nil, err
	}
	if w.sessions, err = session.New(cfg.Tenant, nil); err != nil {
		return nil, err
	}
	w.replica, err = replica.New(&replica.Config{
		Log: w.log, Tell: w.tell, Host: w, Journal: cfg.Journal, Counters: counters, Failover: cfg.Failover,
		Mute: func() { w.plane.Mute(true) },
	})
	if err != nil {
		return nil, fmt.Errorf("worker: %w", unreadable(err))
	}
	n, err := w.replica.Restore()
	if err != nil {
		return nil, fmt.Errorf("worker: %w", unreadable(err))
	}
	w.restored(w.clock.now(), n)
	return w, nil
}

// unreadable marks the error of a worker that cannot go on from the journal that
// it was given, so that the supervisor gives it another.
func unreadable(err error) error {
	if errors.Is(err, replica.ErrJournal) {
		return &control.Error{Cause: control.CauseMemory, Err: err}
	}
	return err
}

// newEngine builds the engine of a tenant, which tells known of its SPIs.
func newEngine(t *spec.Tenant, known func(spi uint64, there bool), isolate bool) (*ike.Engine, error) {
	cfg, err := engineConfig(t)
	if err != nil {
		return nil, err
	}
	cfg.Known = known
	engine, err := ike.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("worker: building the engine: %w", err)
	}
	if isolate {
		engine.Isolate()
	}
	return engine, nil
}

// closeAll gives back what plane.New would have taken over.
func closeAll(cfg *Config) {
	for _, d := range cfg.Devices {
		d.Close()
	}
	for _, s := range cfg.Sockets {
		if s.File != nil {
			s.File.Close()
		}
		if s.Conn != nil {
			s.Conn.Close()
		}
	}
}

// Order gives the engine commands for every established IKE SA that which names, and
// returns how many of those there are. Nothing is done on a standby.
func (w *Worker) Order(
	ctx context.Context, which control.Logoff, commands func(exchange.Status) []exchange.Command,
) (int, error) {
	count := 0
	err := w.do(ctx, func(now time.Time) error {
		return w.replica.Serve(func() {
			for _, s := range w.engine.Status() {
				if s.Established.IsZero() || !matches(which, s) {
					continue
				}
				for _, c := range commands(s) {
					w.command(now, c)
				}
				count++
			}
			w.flush(now)
		})
	})
	return count, err
}

// logoff ends an IKE SA, with a DELETE to the peer.
func logoff(s exchange.Status) []exchange.Command {
	return []exchange.Command{exchange.DeleteIKE{SPI: s.Peer.SPI, Reason: "logged off by the operator"}}
}

// rekey replaces the child SAs of an IKE SA, and then its own keys.
func rekey(s exchange.Status) (list []exchange.Command) {
	for i := range s.Children {
		list = append(list, exchange.RekeyChild{ID: s.Children[i].ID})
	}
	return append(list, exchange.RekeyIKE{SPI: s.Peer.SPI})
}

// matches reports whether which names the session of s.
func matches(which control.Logoff, s exchange.Status) bool {
	if which.All || which.User != "" && (which.User == s.Peer.RemoteID || which.User == s.Peer.User) {
		return true
	}
	if !which.Address.IsValid() {
		return false
	}
	for _, a := range append([]netip.Addr{s.Peer.Remote.Addr()}, s.Session.Addresses...) {
		if a == which.Address {
			return true
		}
	}
	return false
}
