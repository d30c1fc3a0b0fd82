package worker

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/failover/journal"
	"github.com/warrenvpn/warren/failover/link"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/internal/secret"
)

// twin is what a worker knows of the worker of the same tenant on the other
// node. A nil twin stands for a tenant that has none: nothing waits for anybody.
//
// While this worker is active every journal entry goes to the twin, and a
// message that depends on one leaves when the twin has acknowledged it. As the
// standby the worker holds the twin's entries, installed and silent.
type twin struct {
	unit failover.Unit
	key  secret.Value

	active bool
	epoch  uint64

	session  *link.Session // nil: none
	sender   *journal.Sender
	receiver *journal.Receiver
	pacer    link.Pacer
	again    *time.Timer   // when a paced bulk copy goes on
	watch    *time.Timer   // when the acknowledgement of target is overdue
	limit    time.Duration // that it was given; 0: none is waited for
	target   journal.Position
	room     <-chan struct{}
	received <-chan []byte

	held      []heldMessages
	raises    []raise
	staged    [][]byte
	quiescing bool // the supervisor waits until the standby has everything
	silent    bool // quiescing or quiesced: no message of a peer is taken up

	offered bool      // active: this session got a snapshot
	bulk    time.Time // when the last snapshot was complete
	whole   time.Time // active: when the twin last had everything, where it has not
	reason  string    // why the last session ended
	told    string    // the state that the supervisor knows
}

// heldMessages are messages that depend on the entry at position.
type heldMessages struct {
	position journal.Position
	messages []exchange.Datagram
}

// newTwin returns the twin of cfg; nil for nil.
func newTwin(cfg *control.Failover) (*twin, error) {
	if cfg == nil {
		return nil, nil
	}
	t := &twin{key: secret.Copy(cfg.Key), again: time.NewTimer(time.Hour), watch: time.NewTimer(time.Hour)}
	t.again.Stop()
	t.watch.Stop()
	switch cfg.Unit {
	case failover.UnitPrimary.String():
		t.unit = failover.UnitPrimary
	case failover.UnitSecondary.String():
		t.unit = failover.UnitSecondary
	default:
		return nil, fmt.Errorf("worker: unknown unit %q", cfg.Unit)
	}
	return t, nil
}

// messages, sending, pace and patience are what the loop waits for on behalf of
// the twin; they are nil where there is nothing to wait for.
func (t *twin) messages() <-chan []byte {
	if t == nil {
		return nil
	}
	return t.received
}

func (t *twin) sending() <-chan struct{} {
	if t == nil {
		return nil
	}
	return t.room
}

func (t *twin) pace() <-chan time.Time {
	if t == nil {
		return nil
	}
	return t.again.C
}

func (t *twin) patience() <-chan time.Time {
	if t == nil {
		return nil
	}
	return t.watch.C
}

// speaks reports whether this worker serves the tenant.
func (t *twin) speaks() bool { return t == nil || t.active }

// listens reports whether messages of peers are taken up.
func (t *twin) listens() bool { return t == nil || t.active && !t.silent }

// dispatch lets messages leave when what they depend on is durable on both
// nodes, and in order.
func (t *twin) dispatch(w *Worker, messages []exchange.Datagram) {
	if len(messages) == 0 {
		return
	}
	if t == nil || len(t.held) == 0 && t.sender.Durable(t.sender.Next()-1) {
		w.send(messages)
		return
	}
	t.held = append(t.held, heldMessages{t.sender.Next() - 1, messages})
}

// release lets go what the twin has acknowledged meanwhile.
func (t *twin) release(w *Worker) {
	for len(t.held) > 0 && t.sender.Durable(t.held[0].position) {
		w.send(t.held[0].messages)
		t.held = t.held[1:]
	}
	t.raised(w)
	if t.quiescing && len(t.held) == 0 && t.sender.InStep() && t.sender.Durable(t.sender.Next()-1) {
		t.quiescing = false
		w.supervisor.request(control.KindQuiesced, nil, nil)
	}
}

// take gives an entry to the twin.
func (t *twin) take(payload []byte) {
	if t == nil {
		clear(payload) // it holds keys, and nobody needs it any more
		return
	}
	if t.active {
		t.note()
		// Its size was checked by the ledger, which took it first.
		_, _ = t.sender.Append(payload)
	}
}

// feed moves entries to the session.
func (t *twin) feed(now time.Time) {
	if t == nil || t.session == nil || !t.active {
		return
	}
	t.again.Stop()
	if at := t.session.Feed(now, t.sender, &t.pacer); !at.IsZero() {
		t.again.Reset(at.Sub(now))
	}
	t.expect()
}

// attach begins a session that has proven to lead to the twin.
func (w *Worker) attach(now time.Time, s *link.Session) {
	t := w.twin
	t.detach(w, "a new session takes its place")
	t.session, t.room, t.received, t.offered = s, s.Room(), s.Received(), false
	if t.active {
		t.sender.Connected()
		t.expect()
		return
	}
	s.Send(t.receiver.Connected(nil))
	t.report(w)
}

// detach ends the session, if there is one. Nothing waits for the twin then.
func (t *twin) detach(w *Worker, reason string) {
	if t.session == nil {
		return
	}
	t.note()
	t.session.Close()
	t.session, t.room, t.received, t.reason = nil, nil, nil, reason
	t.again.Stop()
	t.watch.Stop()
	t.limit = 0
	t.unstage()
	if t.active {
		t.sender.Disconnected()
		t.release(w)
	} else {
		t.receiver.Disconnected()
	}
	t.report(w)
}

// hear takes a message of the twin, and some of what else has come in behind it.
func (w *Worker) hear(now time.Time, b []byte, ok bool) {
	t := w.twin
	for i := 1; ; i++ {
		if !ok {
			t.detach(w, t.session.Err().Error())
			return
		}
		err := error(nil)
		if t.active {
			err = t.sender.Receive(b)
		} else {
			err = w.follow(now, b)
		}
		if err != nil {
			w.log.Warn("session with the twin ended", "reason", err)
			t.detach(w, err.Error())
			return
		}
		if i == messagesAtOnce || len(t.received) == 0 {
			break
		}
		b, ok = <-t.received
	}
	if t.active {
		t.heard(w, now)
	} else if b, ok := t.receiver.Ack(nil); ok && !t.session.Send(b) {
		t.detach(w, "the twin does not read its acknowledgements")
	}
	t.report(w)
}

// heard does what acknowledgements allow.
func (t *twin) heard(w *Worker, now time.Time) {
	if t.sender.NeedsSnapshot() {
		t.offered = true
		w.offer()
	}
	t.release(w)
	t.feed(now)
}

// offer gives the whole state to the sender.
func (w *Worker) offer() {
	var items [][]byte
	for b := range w.snapshot {
		items = append(items, b)
	}
	w.twin.sender.Snapshot(items)
}

// progress says how far the copy is.
func (t *twin) progress() *control.Replication {
	if t == nil {
		return nil
	}
	r := &control.Replication{
		State: failover.ReplicationNone.String(), Active: t.active, Connected: t.session != nil,
		Holds: t.active, Reason: t.reason, LastBulk: t.bulk,
	}
	if t.active {
		p := t.sender.Progress()
		r.Stream, r.Last, r.Acked = t.sender.Stream().String(), uint64(p.Last), uint64(p.Acked)
		r.Pending, r.Backlog = p.Pending, p.Backlog
		if !t.complete() && !t.whole.IsZero() {
			r.Lag = time.Since(t.whole).Seconds()
		}
		switch {
		case t.sender.InStep():
			r.State = failover.ReplicationReady.String()
		case t.session != nil:
			r.State = failover.ReplicationBulk.String()
		}
		return r
	}
	r.Holds = t.receiver.Holds()
	stream, applied := t.receiver.Applied()
	r.Stream, r.Last, r.Acked = stream.String(), uint64(applied), uint64(applied)
	switch {
	case t.receiver.Ready():
		r.State = failover.ReplicationReady.String()
	case t.session != nil && t.receiver.Bulk():
		r.State = failover.ReplicationBulk.String()
	}
	return r
}

// complete reports whether the twin has everything that this worker, which is
// active, has.
func (t *twin) complete() bool {
	p := t.sender.Progress()
	return t.sender.InStep() && p.Acked == p.Last
}

// note remembers, before that may end, that the twin has everything.
func (t *twin) note() {
	if t.active && t.sender != nil && t.complete() {
		t.whole = time.Now()
	}
}

// report tells the supervisor about a change of the state.
func (t *twin) report(w *Worker) {
	if t.active && t.offered && t.sender.InStep() {
		t.bulk, t.offered = time.Now(), false
	}
	p := t.progress()
	key := fmt.Sprint(p.State, p.Active, p.Connected, p.Holds)
	if key != t.told {
		t.told = key
		w.supervisor.request(control.KindReplication, p, nil)
	}
}

// estrange begins a new stream: the journal has lost an entry, so that its
// positions are no longer those of the twin's copy. The twin gets a snapshot
// when the next session begins; nothing waits for it until then.
func (t *twin) estrange(w *Worker) {
	t.detach(w, "the journal has lost an entry")
	w.ledger.store.SetStream(newStream(t.epoch))
	t.sender.Close()
	t.sender = w.newSender()
	t.raises = nil // asked for again when the data plane reports that numbers run out
	for id, p := range w.children.byID {
		p.since = 0
		w.children.byID[id] = p
	}
}

// newSender returns the sender of the journal as it is.
func (w *Worker) newSender() *journal.Sender {
	store := w.ledger.store
	return journal.NewSender(journal.SenderConfig{Stream: store.Stream(), Epoch: w.twin.epoch, Next: store.Next()})
}

// newStream names the line of positions of one activation: its epoch, and a
// random part.
func newStream(epoch uint64) journal.StreamID {
	var id journal.StreamID
	binary.BigEndian.PutUint64(id[:8], epoch)
	rand.Read(id[8:]) // never fails
	return id
}
