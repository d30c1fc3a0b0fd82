package worker

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/session"
	"github.com/warrenvpn/warren/failover/journal"
	"github.com/warrenvpn/warren/failover/link"
	"github.com/warrenvpn/warren/ike"
	"github.com/warrenvpn/warren/ike/exchange"
)

// linkTimeout bounds the authentication of a connection to the twin.
const linkTimeout = 5 * time.Second

// SetRole makes the worker serve, or follow its twin in silence. It returns
// when packets move, or when none moves any more; what else there is to do
// takes longer with many SAs, and the supervisor has no time to wait for it.
func (w *Worker) SetRole(ctx context.Context, r control.Role) error {
	if w.twin == nil {
		return fmt.Errorf("worker: context %s has no twin", w.tenant.Name)
	}
	answer := make(chan error, 1)
	change := func(now time.Time) {
		play := w.stepBack
		if r.Active {
			play = w.serve
		}
		rest, err := play(r.Epoch)
		answer <- err
		if err != nil || rest == nil {
			return
		}
		if err := rest(now); err != nil {
			w.broken = fmt.Errorf("worker: changing the role: %w", err)
		}
	}
	select {
	case w.calls <- change:
		return <-answer
	case <-ctx.Done():
		return errStopped
	}
}

// serve begins an activation and returns the rest of it, nil for nothing.
// Traffic flows before anything else is done: what it takes is a jump of every
// outbound sequence number.
func (w *Worker) serve(epoch uint64) (rest func(now time.Time) error, err error) {
	t := w.twin
	if epoch > ike.MaxEpoch || epoch < t.epoch {
		return nil, fmt.Errorf("worker: epoch %d after %d: nonces would be used twice", epoch, t.epoch)
	}
	if t.active && t.epoch == epoch {
		t.silent, t.quiescing = false, false
		return nil, nil
	}
	t.detach(w, "this node became active")
	served, continues := t.active, w.continues(epoch)
	t.active, t.epoch, t.silent, t.quiescing = true, epoch, false, false
	for id := range w.children.byID {
		w.jump(id, epoch)
	}
	w.plane.Mute(false)
	return func(now time.Time) error {
		w.openStream(continues)
		if served { // a new epoch is all that has changed
			w.engine.SetEpoch(epoch)
			w.log.Info("context is active", "epoch", epoch, "sessions", w.sessions.Len())
			return nil
		}
		return w.takeUp(now)
	}, nil
}

// openStream makes the journal that of an activation, with what its epoch has
// changed of every child SA.
func (w *Worker) openStream(continues bool) {
	t := w.twin
	if !continues {
		w.ledger.store.SetStream(newStream(t.epoch))
	}
	if t.sender != nil {
		t.sender.Close()
	}
	t.sender = w.newSender()
	t.receiver, t.held, t.raises = nil, nil, nil
	for id := range w.children.byID {
		t.ask(w, id)
	}
}

// takeUp makes the engine of a worker that serves go on from what the journal
// holds.
func (w *Worker) takeUp(now time.Time) error {
	w.drain()
	sessions, err := session.New(w.tenant, w.sessions.Pools().Habits)
	if err != nil {
		return err
	}
	w.sessions = sessions
	for _, s := range w.engine.Status() {
		w.adoptSession(now, s)
		w.adoptAddresses(s)
	}
	w.standing.reset = true
	w.engine.SetEpoch(w.twin.epoch)
	w.engine.Activate(now, &w.out)
	w.carry(now)
	w.log.Info("context is active", "epoch", w.twin.epoch, "sessions", w.sessions.Len())
	return nil
}

// drain drops the messages that came in while this worker was the standby. Peers
// repeat what still matters.
func (w *Worker) drain() {
	w.inbox.drain()
}

// continues reports whether the journal belongs to the activation with epoch:
// a worker was replaced by another one on the same node.
func (w *Worker) continues(epoch uint64) bool {
	id := w.ledger.store.Stream()
	return binary.BigEndian.Uint64(id[:8]) == epoch && !w.ledger.store.Torn()
}

// jump moves the outbound sequence numbers of a child SA beyond all that an
// earlier activation may have used. Within one activation the counter memory
// says how far they may go.
func (w *Worker) jump(id, epoch uint64) {
	p := w.children.byID[id]
	slot := w.counters.Slot(p.slot)
	facts := slot.Facts()
	p.heard, p.sent, p.taken = facts.LastIn, facts.LastOut, facts.SequenceIn
	w.children.byID[id] = p
	if p.reservation.Epoch == epoch {
		if slot.OutLimit() == 0 { // its worker died before it sent anything
			slot.SetOutLimit(p.reservation.Limit)
		}
		return
	}
	first, next, ok := p.reservation.Takeover(epoch, p.block, p.most)
	if !ok { // nothing is left: the first packet asks for a rekey
		first, next = p.most+1, journal.Reservation{Epoch: epoch, Limit: p.most}
	}
	slot.SkipOut(first)
	slot.SetOutLimit(next.Limit)
	p.reservation = next
	w.children.byID[id] = p
}

// stepBack ends an activation, or confirms the beginning as the standby, and
// returns the rest of it. The worker is silent at once.
func (w *Worker) stepBack(epoch uint64) (rest func(now time.Time) error, err error) {
	t := w.twin
	if !t.active && t.receiver != nil {
		t.epoch = epoch
		return nil, nil
	}
	w.plane.Mute(true)
	return func(now time.Time) error { return w.sitDown(now, epoch) }, nil
}

// sitDown makes the worker a standby with what its journal holds, until the
// twin's snapshot is here.
func (w *Worker) sitDown(now time.Time, epoch uint64) error {
	t := w.twin
	t.detach(w, "this node became standby")
	t.active, t.silent, t.quiescing = false, false, false
	if t.sender != nil {
		t.sender.Close()
	}
	t.sender, t.held, t.raises = nil, nil, nil
	w.out = exchange.Output{}
	engine, err := w.newEngine(w.tenant)
	if err != nil {
		return err
	}
	sessions, err := session.New(w.tenant, nil)
	if err != nil {
		return err
	}
	w.engine.Wipe()
	w.sessions = sessions
	w.engine, w.children, w.past = engine, newChildren(w.counters.Len()), map[uint64]sessionEntry{}
	if err := w.restore(now); err != nil {
		return err
	}
	w.attend(epoch)
	w.log.Info("context is standby", "epoch", epoch)
	return nil
}

// attend makes the worker ready to follow its twin from where its journal ends.
func (w *Worker) attend(epoch uint64) {
	t, store := w.twin, w.ledger.store
	t.epoch = epoch
	t.receiver = journal.NewReceiver(journal.ReceiverConfig{
		Stream: store.Stream(), Position: store.Next() - 1,
		Holds: store.Stream() != journal.StreamID{} && !store.Torn(), Epoch: epoch,
	})
	t.report(w)
}

// Quiesce lets what has begun come to its end, and tells the supervisor when
// the standby has everything. No message of a peer is taken up until the role
// changes.
func (w *Worker) Quiesce(ctx context.Context, q control.Quiesce) error {
	return w.do(ctx, func(now time.Time) error {
		t := w.twin
		if t == nil || !t.active {
			w.supervisor.request(control.KindQuiesced, nil, nil)
			return nil
		}
		t.silent, t.quiescing = !q.Cancel, !q.Cancel
		if t.silent {
			w.tellCounters(now)
			t.release(w)
		}
		return nil
	})
}

// Link authenticates the twin at the other end of conn, which the worker owns
// from now on, and begins to replicate. It returns when that is so.
func (w *Worker) Link(ctx context.Context, conn net.Conn) error {
	if w.twin == nil {
		return errors.Join(fmt.Errorf("worker: context %s has no twin", w.tenant.Name), conn.Close())
	}
	handshake, cancel := context.WithTimeout(ctx, linkTimeout)
	defer cancel()
	s, err := link.NewSession(handshake, conn, link.SessionConfig{Key: w.twin.key, Unit: w.twin.unit})
	if err != nil {
		return errors.Join(fmt.Errorf("worker: %w", err), w.do(ctx, func(time.Time) error {
			w.twin.told = "" // the supervisor waits for the outcome
			w.twin.report(w)
			return nil
		}))
	}
	err = w.do(ctx, func(now time.Time) error {
		w.attach(now, s)
		return nil
	})
	if err != nil {
		s.Close()
	}
	return err
}
