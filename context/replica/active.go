package replica

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/failover/journal"
	"github.com/warrenvpn/warren/failover/link"
	"github.com/warrenvpn/warren/ike"
	"github.com/warrenvpn/warren/ike/exchange"
)

// active is the role of the unit of a pair that serves the tenant. Every entry of
// the journal goes to the twin.
type active struct {
	host  Host
	store *store
	twin  *twin

	continues bool // the journal is of this activation already: a worker was replaced by another
	sender    *journal.Sender
	pacer     link.Pacer

	held   []heldMessages
	raises []raise
	unsent time.Time // since when entries of Commit wait to be moved to the session; zero: none does

	quiescing bool // the supervisor waits until the twin has everything
	silent    bool // quiescing or quiesced: no message of a peer is taken up

	offered bool             // this session got a snapshot
	whole   time.Time        // when the twin last had everything, where it has not
	limit   time.Duration    // for the acknowledgement of target; 0: none is waited for
	target  journal.Position // see expect
	behind  bool             // the twin has not had all that this worker has served with
}

// heldMessages are messages that depend on the entry at position.
type heldMessages struct {
	position journal.Position
	messages []exchange.Datagram
}

func (*active) serves() bool    { return true }
func (a *active) listens() bool { return !a.silent }
func (*active) last() bool      { return false }

func (a *active) start(to control.Activation) (role, Step, error) { return a.set(to) }

// set gives the activation another epoch, or has the worker step back.
func (a *active) set(to control.Activation) (role, Step, error) {
	switch {
	case !to.Active:
		a.twin.epoch = to.Epoch
		return a, StepBack, nil
	case to.Epoch == a.twin.epoch:
		a.confirm()
		a.silent, a.quiescing, a.twin.lone = false, false, to.Alone
		return a, StepNone, nil
	}
	if err := a.twin.allows(to.Epoch); err != nil {
		return nil, StepNone, err
	}
	a.confirm()
	a.detach("this node became active")
	a.silent, a.quiescing, a.twin.lone = false, false, to.Alone
	a.activate(to.Epoch)
	return a, StepEpoch, nil
}

// activate begins an activation: outbound sequence numbers are beyond all that
// another one may have used when it returns.
func (a *active) activate(epoch uint64) {
	a.continues, a.twin.epoch = a.store.continues(epoch), epoch
	for _, c := range a.store.slots.byID {
		a.store.jump(c, epoch)
	}
}

// open begins the stream of the activation.
func (a *active) open() {
	if !a.continues {
		a.store.journal.store.SetStream(newStream(a.twin.epoch))
	}
	if a.sender != nil {
		a.sender.Close()
	}
	a.sender = a.newSender()
	a.held, a.raises = nil, nil
	a.store.bury(a.record)
	for id := range a.store.slots.byID {
		a.ask(id)
	}
}

func (a *active) retire(reason string) {
	a.detach(reason)
	a.twin.tenure.Ended()
	a.twin.renew(a.host.Now())
	a.sender.Close()
}

// record writes an entry down and gives it to the twin. Where the journal has no room
// for it the twin does not get it either, and needs a snapshot.
func (a *active) record(payload []byte) journal.Position {
	defer clear(payload)
	p := a.store.append(payload)
	if p == 0 {
		a.estrange()
		return 0
	}
	a.note()
	// Its size was checked by the ledger, which took it first.
	_, _ = a.sender.Append(bytes.Clone(payload))
	return p
}

func (a *active) account(e sessionEntry) { a.record(a.store.account(e)) }

// estrange begins a new stream: the journal has lost an entry, so that its
// positions are no longer those of the twin's copy. The twin gets a snapshot
// when the next session begins; nothing waits for it until then.
func (a *active) estrange() {
	a.detach("the journal has lost an entry")
	a.store.journal.store.SetStream(newStream(a.twin.epoch))
	a.sender.Close()
	a.sender = a.newSender()
	a.raises = nil // asked for again when the data plane reports that numbers run out
	for _, c := range a.store.slots.byID {
		c.since = 0
	}
}

// newSender returns the sender of the journal as it is.
func (a *active) newSender() *journal.Sender {
	store := a.store.journal.store
	return journal.NewSender(journal.SenderConfig{Stream: store.Stream(), Epoch: a.twin.epoch, Next: store.Next()})
}

// newStream names the line of positions of one activation: its epoch, and a
// random part.
func newStream(epoch uint64) journal.StreamID {
	var id journal.StreamID
	binary.BigEndian.PutUint64(id[:8], epoch)
	rand.Read(id[8:]) // never fails
	return id
}

// dispatch holds messages until the twin has what they depend on. While this worker makes
// ready to hand over and the twin has ended the session, that may serve already: nothing leaves
// then, and what still matters when the hand-over is called off is repeated, by either side.
func (a *active) dispatch(messages []exchange.Datagram) {
	if a.silent && a.twin.session == nil {
		return
	}
	if len(a.held) == 0 && a.sender.Durable(a.sender.Next()-1) {
		a.host.Send(messages)
		return
	}
	a.held = append(a.held, heldMessages{a.sender.Next() - 1, messages})
}

// release lets go what the twin has acknowledged meanwhile.
func (a *active) release() {
	for len(a.held) > 0 && a.sender.Durable(a.held[0].position) {
		a.host.Send(a.held[0].messages)
		a.held = a.held[1:]
	}
	a.raised()
	if a.quiescing && len(a.held) == 0 && a.sender.InStep() && a.sender.Durable(a.sender.Next()-1) {
		a.quiescing = false
		a.host.Request(control.KindQuiesced, nil)
	}
}

// pushDelay is how long the entries of Commit may wait for those of the messages that
// have come in already: a message to the twin, its acknowledgement and the wake-ups of
// both cost more than a set-up's entries.
const pushDelay = time.Millisecond

// push moves the entries of Commit to the session, where busy not before pushDelay.
func (a *active) push(now time.Time, busy bool) {
	if !a.unsent.IsZero() && (!busy || now.Sub(a.unsent) >= pushDelay) {
		a.feed(now)
	}
}

// committed says that push has something to move.
func (a *active) committed(now time.Time) {
	if a.unsent.IsZero() {
		a.unsent = now
	}
}

// feed moves entries to the session.
func (a *active) feed(now time.Time) {
	a.unsent = time.Time{}
	if a.twin.session == nil {
		return
	}
	a.twin.pace.Stop()
	if at := a.twin.session.Feed(now, a.sender, &a.pacer); !at.IsZero() {
		a.twin.pace.Reset(at.Sub(now))
	}
	a.expect()
}

func (a *active) attach(s *link.Session) {
	a.twin.open(s)
	a.twin.tenure.Met(a.host.Now())
	a.twin.renew(a.host.Now())
	a.offered = false
	a.sender.Connected()
	a.expect()
}

// detach ends the session, if there is one. Nothing waits for the twin then.
func (a *active) detach(reason string) {
	if a.twin.session == nil {
		return
	}
	a.note()
	a.twin.close(reason)
	a.limit, a.behind = 0, !a.sender.InStep() || !a.twin.tenure.Orphan()
	a.sender.Disconnected()
	if a.twin.tenure.Orphan() || a.silent {
		a.held = nil // the twin may serve: what it does not know must not be said
	}
	if a.twin.tenure.Orphan() {
		return
	}
	a.release()
	a.report()
}

func (a *active) receive(now time.Time, b []byte) error {
	err := a.sender.Receive(b)
	if at := a.sender.Tended(); at != 0 {
		a.twin.tenure.Tended(now, time.Unix(0, int64(at)))
		a.twin.renew(now)
	}
	return err
}

// received does what acknowledgements allow.
func (a *active) received(now time.Time) {
	if a.sender.NeedsSnapshot() {
		a.offered = true
		var items [][]byte
		for b := range a.store.snapshot {
			items = append(items, bytes.Clone(b))
		}
		a.sender.Snapshot(items)
	}
	a.release()
	a.feed(now)
}

func (a *active) quiesce(now time.Time, cancel bool) {
	a.silent, a.quiescing = !cancel, !cancel
	if a.silent {
		a.tellCounters(now)
		a.release()
	}
}

func (*active) reconfigured() {}

func (a *active) progress() *control.Replication {
	p := a.sender.Progress()
	r := &control.Replication{
		State: failover.ReplicationNone, Active: true, Connected: a.twin.session != nil, Closed: a.twin.closed,
		Holds: true, Reason: a.twin.reason, LastBulk: a.twin.bulk, GivenUp: a.store.lost,
		Stream: a.sender.Stream().String(), Last: uint64(p.Last), Acked: uint64(p.Acked),
		Pending: p.Pending, Backlog: p.Backlog,
	}
	if !a.complete() && !a.whole.IsZero() {
		r.Lag = time.Since(a.whole).Seconds()
	}
	switch {
	case a.sender.InStep():
		r.State = failover.ReplicationReady
	case a.twin.session != nil:
		r.State = failover.ReplicationBulk
	}
	return r
}

// complete reports whether the twin has everything that this worker has.
func (a *active) complete() bool {
	p := a.sender.Progress()
	return a.sender.InStep() && p.Acked == p.Last
}

// note remembers, before that may end, that the twin has everything.
func (a *active) note() {
	if a.complete() {
		a.whole = time.Now()
	}
}

func (a *active) report() {
	if a.offered && a.sender.InStep() {
		a.twin.bulk, a.offered = time.Now(), false
	}
	a.twin.report(a.host, a.progress())
}

// allows reports whether an activation may have this epoch.
func (t *twin) allows(epoch uint64) error {
	if epoch > ike.MaxEpoch || epoch < t.epoch {
		return fmt.Errorf("replica: epoch %d after %d: nonces would be used twice", epoch, t.epoch)
	}
	return nil
}
