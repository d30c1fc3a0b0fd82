package replica

import (
	"errors"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/failover/journal"
	"github.com/warrenvpn/warren/failover/link"
	"github.com/warrenvpn/warren/ike/exchange"
)

// standby is the role of the unit of a pair that holds what its twin serves.
type standby struct {
	host  Host
	store *store
	twin  *twin

	receiver *journal.Receiver // nil: the role was not started
	intake   *intake           // what has come in of a snapshot; nil: none comes
}

func (*standby) serves() bool  { return false }
func (*standby) listens() bool { return false }
func (*standby) last() bool    { return false }

func (x *standby) start(to control.Activation) (role, Step, error) {
	if to.Active {
		return x.set(to)
	}
	x.twin.epoch = to.Epoch
	x.await()
	return x, StepNone, nil
}

// set makes this unit the active one, or confirms the standby with another epoch.
func (x *standby) set(to control.Activation) (role, Step, error) {
	if !to.Active {
		x.twin.epoch = to.Epoch
		return x, StepNone, nil
	}
	if err := x.twin.allows(to.Epoch); err != nil {
		return nil, StepNone, err
	}
	x.detach("this node became active")
	x.twin.vigil.Ended()
	x.relieved(x.host.Now())
	a := &active{host: x.host, store: x.store, twin: x.twin, behind: true}
	x.twin.lone = to.Alone
	a.activate(to.Epoch)
	return a, StepTakeOver, nil
}

// await makes ready to receive what the twin has beyond the end of the journal.
func (x *standby) await() {
	store := x.store.journal.store
	x.receiver = journal.NewReceiver(journal.ReceiverConfig{
		Stream: store.Stream(), Position: store.Next() - 1,
		Holds: store.Stream() != journal.StreamID{} && !store.Torn(), Epoch: x.twin.epoch,
	})
	x.report()
}

func (*standby) open()                  {}
func (x *standby) retire(reason string) { x.detach(reason) }

// record writes down what is this node's own: the twin has its own entries.
func (x *standby) record(payload []byte) journal.Position {
	defer clear(payload)
	return x.store.append(payload)
}

func (*standby) account(sessionEntry)             {} // what the twin says counts
func (*standby) reserve(*sa.Change) *counterEntry { return nil }
func (*standby) raise(time.Time, uint64) error    { return nil }
func (*standby) tellCounters(time.Time)           {}
func (*standby) dispatch([]exchange.Datagram)     {}
func (*standby) feed(time.Time)                   {}
func (*standby) committed(time.Time)              {}
func (*standby) push(time.Time, bool)             {}
func (*standby) overdue()                         {}
func (*standby) orphaned(time.Time)               {}
func (*standby) forsaken(time.Time) bool          { return false }
func (*standby) renounce()                        {}
func (x *standby) quiesce(time.Time, bool)        { x.host.Request(control.KindQuiesced, nil) }

func (x *standby) attach(s *link.Session) {
	x.twin.open(s)
	x.twin.vigil.Ended()
	s.Send(x.receiver.Connected(nil))
	x.report()
}

func (x *standby) detach(reason string) {
	if !x.twin.close(reason) {
		return
	}
	if x.twin.closed {
		x.twin.vigil.Ended()
		x.relieved(x.host.Now())
	}
	x.drop()
	x.receiver.Disconnected()
	x.report()
}

// receive does what one message of the active twin says.
func (x *standby) receive(now time.Time, b []byte) error {
	step, ok, err := x.receiver.Receive(b)
	if err != nil || !ok {
		return err
	}
	switch step.Op {
	case journal.StepBegin:
		x.drop()
		x.intake, err = x.store.intake(step.Count)
		return err
	case journal.StepItem:
		return x.intake.take(now, step.Payload)
	case journal.StepCommit:
		copied := x.intake
		x.intake = nil
		if err := copied.adopt(step); err != nil {
			x.receiver.Disown() // what was held before is held still
			return err
		}
		x.twin.bulk = time.Now()
	case journal.StepEntry:
		defer clear(step.Payload)
		if err := x.store.repeat(now, step.Payload); err != nil {
			x.store.journal.store.SetStream(journal.StreamID{}) // it may have been carried out in part
			x.receiver.Disown()
			return err
		}
	case journal.StepTend:
		x.tended(now, step)
	case journal.StepReady:
		x.store.tell(&control.InStep{Stream: step.Stream.String(), Position: uint64(step.Position)})
	}
	return nil
}

// errUnread ends a session whose twin lets acknowledgements wait.
var errUnread = errors.New("the twin does not read its acknowledgements")

// received acknowledges.
func (x *standby) received(time.Time) {
	if b, ok := x.receiver.Ack(nil); ok && !x.twin.session.Send(b) {
		x.detach(errUnread.Error())
	}
}

// drop gives up the part of a snapshot that has come in.
func (x *standby) drop() {
	if x.intake != nil {
		x.intake.drop()
		x.intake = nil
	}
}

// reconfigured begins a copy anew that was begun with another configuration.
func (x *standby) reconfigured() {
	if x.intake != nil {
		x.detach("the context was configured anew")
	}
}

func (x *standby) progress() *control.Replication {
	stream, applied := x.receiver.Applied()
	r := &control.Replication{
		State: failover.ReplicationNone, Connected: x.twin.session != nil, Closed: x.twin.closed,
		Orphan: x.twin.vigil.Serves(x.host.Now()),
		Holds:  x.receiver.Holds(), Reason: x.twin.reason, LastBulk: x.twin.bulk, GivenUp: x.store.lost,
		Stream: stream.String(), Last: uint64(applied), Acked: uint64(applied),
	}
	switch {
	case x.receiver.Ready():
		r.State = failover.ReplicationReady
	case x.twin.session != nil && x.receiver.Bulk():
		r.State = failover.ReplicationBulk
	}
	return r
}

func (x *standby) report() { x.twin.report(x.host, x.progress()) }
