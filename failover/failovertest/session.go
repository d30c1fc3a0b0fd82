package failovertest

import (
	"bytes"
	"time"

	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/failover/journal"
)

// tendSession connects the two workers when there is a reason and a way.
func (w *world) tendSession() {
	w.after(20*time.Millisecond+w.upTo(10*time.Millisecond), w.tendSession)
	a, b := w.nodes[0], w.nodes[1]
	if w.session != [2]uint64{} || !a.up || !b.up || a.worker.active == b.worker.active || a.worker.hung ||
		b.worker.hung || a.machine == nil || b.machine == nil {
		return
	}
	on := -1
	for i, up := range w.linkUp {
		if up {
			on = i
		}
	}
	if on < 0 {
		return
	}
	if b.worker.active {
		a, b = b, a
	}
	if role, _ := b.machine.Role(groupName); !role.Standby() {
		return
	}
	w.sessions++
	w.session = [2]uint64{w.sessions, w.sessions}
	w.sessionOn = on
	b.worker.vigil.Ended()
	a.worker.sender.Connected()
	w.post(b, b.worker.receiver.Connected(nil))
}

// post sends a message of n to its twin in the present session. A link carries
// messages in order.
func (w *world) post(n *node, b []byte) {
	id, peer := w.session[n.index], w.nodes[1-n.index]
	if id == 0 || !w.linkUp[w.sessionOn] {
		return
	}
	if w.now.After(w.arrival[n.index]) {
		w.arrival[n.index] = w.now
	}
	w.arrival[n.index] = w.arrival[n.index].Add(w.upTo(time.Millisecond))
	w.after(w.arrival[n.index].Sub(w.now), func() {
		if peer.up && w.session[peer.index] == id && w.linkUp[w.sessionOn] {
			peer.worker.take(b)
		}
	})
}

// endSession: a worker of node by closes the session, or nobody does (-1) and it ends all
// the same. The twin notices at some time.
func (w *world) endSession(by int) {
	for i := range w.session {
		if w.session[i] != 0 {
			id := w.session[i]
			w.after(w.upTo(hold), func() { w.notice(i, id, by == 1-i) })
		}
	}
}

// notice ends the session id on node i. closed: the twin has closed it.
func (w *world) notice(i int, id uint64, closed bool) {
	if w.session[i] != id {
		return
	}
	w.session[i] = 0
	k := w.nodes[i].worker
	switch {
	case k == nil:
	case k.active && k.tenure.Orphan():
		k.fallSilent("the session has ended") // before the sender forgets how far the twin was
	case k.active:
		k.sender.Disconnected()
		k.flush()
	default:
		k.receiver.Disconnected()
		k.staged = nil
		k.report(failover.ReplicationNone)
		if closed {
			k.vigil.Ended()
			k.reportOrphan()
			k.relieved()
		}
	}
}

// report tells the role machine how far the copy is.
func (k *worker) report(r failover.Replication) {
	n := k.node
	n.tell(func(out *failover.Output) {
		n.machine.Replication(n.now(), tenantName, r, out)
		n.machine.Replication(n.now(), quietName, r, out)
	})
}

// wake lets the pump run as a step of its own, so that a node can die before.
func (k *worker) wake() {
	if k.pumping {
		return
	}
	k.pumping = true
	w, n, life := k.node.world, k.node, k.node.incarnation
	w.after(w.upTo(500*time.Microsecond), func() {
		if n.up && n.incarnation == life {
			k.pump()
		}
	})
}

// pump sends one message of the sender, and comes again if there may be more.
func (k *worker) pump() {
	k.pumping = false
	if !k.active || k.hung {
		return
	}
	w := k.node.world
	if w.session[k.node.index] != 0 {
		if k.sender.NeedsSnapshot() {
			w.result.Snapshots++
			k.sender.Snapshot(k.state())
		}
		if b, ok := k.sender.Message(nil); ok {
			w.post(k.node, bytes.Clone(b))
			k.wake()
		}
	}
	k.flush()
}

// take is a message of the twin.
func (k *worker) take(b []byte) {
	w := k.node.world
	if k.hung {
		return
	}
	if k.active {
		if err := k.sender.Receive(b); err != nil {
			w.logf("node %d: %v", k.node.index, err)
			w.endSession(k.node.index)
			return
		}
		if k.tended(); !k.active {
			return
		}
		k.flush()
		k.wake()
		return
	}
	step, ok, err := k.receiver.Receive(b)
	if err != nil {
		w.logf("node %d: %v", k.node.index, err)
		w.endSession(k.node.index)
		return
	}
	if ok && step.Op == journal.StepTend {
		if k.vigil.Tend(k.node.now()) {
			w.post(k.node, k.receiver.Tended(nil, step))
			k.watch()
		}
		return
	}
	if ok {
		k.carryOut(step)
	} else {
		w.result.Resumes++
	}
	if k.active {
		return // the role machine has found out meanwhile that the twin is dead
	}
	if ack, ok := k.receiver.Ack(nil); ok {
		n, life := k.node, k.node.incarnation
		w.after(0, func() { // a step of its own
			if n.up && n.incarnation == life {
				w.post(n, ack)
			}
		})
	}
}

// carryOut applies a step of replication to the copy.
func (k *worker) carryOut(step journal.Step) {
	w := k.node.world
	switch step.Op {
	case journal.StepBegin:
		k.staged = map[uint64]*sa{}
		k.report(failover.ReplicationBulk)
	case journal.StepItem:
		applyTo(k.staged, step.Payload)
	case journal.StepCommit:
		k.table, k.staged = k.staged, nil
		if err := k.store.Reset(step.Stream, step.Position, func(yield func([]byte) bool) {
			for _, b := range k.state() {
				if !yield(b) {
					return
				}
			}
		}); err != nil {
			w.fail("reset: %v", err)
		}
		k.epoch = step.Epoch
		n := k.node
		n.tell(func(out *failover.Output) {
			n.machine.Copy(n.now(), tenantName, true, out)
			n.machine.Copy(n.now(), quietName, true, out)
		})
	case journal.StepEntry:
		k.apply(step.Payload)
		p, err := k.store.Append(step.Payload)
		if err == journal.ErrFull {
			// The record is in the table already: the sum takes its position.
			err = k.store.Reset(k.store.Stream(), step.Position, func(yield func([]byte) bool) {
				for _, b := range k.state() {
					if !yield(b) {
						return
					}
				}
			})
			p = step.Position
		}
		if err != nil || p != step.Position {
			w.fail("standby journal: position %d, want %d: %v", p, step.Position, err)
		}
	case journal.StepReady:
		k.report(failover.ReplicationReady)
	}
	if step.Op == journal.StepCommit || step.Op == journal.StepEntry {
		for id := range k.table {
			if l := w.sas[id]; l != nil {
				l.holder[k.node.index] = k.node.incarnation
			}
		}
	}
}
