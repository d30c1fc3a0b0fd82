package failovertest

import (
	"time"

	"github.com/warrenvpn/warren/failover"
)

const (
	// adoption is how long a standby waits for another supervisor of its peer.
	adoption = 700 * time.Millisecond
	// lease is how long a worker serves without a supervisor whose peer was away.
	lease = 700 * time.Millisecond
)

// orphan ends the supervisor of a node and leaves its workers.
func (n *node) orphan() {
	if !n.up || n.machine == nil {
		return
	}
	n.world.logf("node %d: the supervisor dies", n.index)
	n.world.result.Orphans++
	n.machine, n.waiting, n.asleep = nil, nil, time.Time{}
	n.timer++
	n.changes++ // an order that was on its way is given no more
	if k := n.worker; k.active {
		if k.lone && n.world.session[n.index] == 0 {
			n.world.result.Lone++
			k.tenure.OrphanedAlone(n.now(), lease)
		} else {
			k.tenure.Orphaned(n.now())
		}
		k.tend()
	}
}

// adopt starts another supervisor for the workers that the one before has left.
func (n *node) adopt() {
	if !n.up || n.machine != nil {
		return
	}
	n.lives++
	n.asleep, n.waiting, n.met, n.arrived = time.Time{}, nil, 0, time.Time{}
	n.begun = n.world.now
	k := n.worker
	if k.hung { // it does not answer, and is replaced by one that begins as the standby
		k.deactivate(k.epoch)
		k.restart()
	}
	n.world.logf("node %d: another supervisor, worker active: %v, epoch %d", n.index, k.active, k.epoch)
	n.world.result.Adoptions++
	n.start(k.epoch, k.active)
	if !k.active {
		n.tell(func(out *failover.Output) {
			for _, name := range []string{tenantName, quietName, hostileName} {
				n.machine.Copy(n.now(), name, k.receiver.Holds(), out)
				n.machine.Orphan(n.now(), name, k.vigil.Serves(n.now()), out)
			}
		})
		switch {
		case k.receiver.Ready():
			k.report(failover.ReplicationReady)
		case k.receiver.Bulk():
			k.report(failover.ReplicationBulk)
		}
	}
}

// tend does what an active worker does that has no supervisor, or has one again since a
// short time ago.
func (k *worker) tend() {
	n := k.node
	now := n.now()
	if !k.active {
		return
	}
	connected := n.world.session[n.index] != 0
	if k.tenure.Lapsed(now) || k.tenure.Orphan() && !k.tenure.Alone() && !connected {
		k.fallSilent("its lease is over")
		return
	}
	if k.tenure.Due(now) && connected && !k.hung {
		if b, ok := k.sender.Tend(nil, uint64(now.UnixNano())); ok {
			n.world.post(n, b)
		}
	}
	at, life := k.tenure.Deadline(), n.incarnation
	if at.IsZero() {
		return
	}
	k.tends++
	tends := k.tends
	n.world.after(max(0, at.Sub(now)), func() {
		if n.up && n.incarnation == life && k.tends == tends {
			k.tend()
		}
	})
}

// fallSilent makes a worker without a supervisor the standby. One whose loop hangs has
// its data plane stopped.
func (k *worker) fallSilent(why string) {
	k.node.world.logf("node %d: a worker without a supervisor falls silent: %s", k.node.index, why)
	k.node.world.result.Lapses++
	if k.hung {
		k.stopped = true
		return
	}
	for _, s := range k.table { // the twin may serve from another state than this one
		if !k.sender.InStep() || s.askedAt != 0 {
			s.reserve.Limit, s.askedAt, s.rekeyed = most, 0, false
		}
	}
	k.deactivate(k.epoch)
}

// tended takes what the twin has answered.
func (k *worker) tended() {
	now := k.node.now()
	if at := k.sender.Tended(); at != 0 {
		k.tenure.Tended(now, time.Unix(0, int64(at)))
	}
	if k.sender.Yielded() && k.tenure.Orphan() {
		k.fallSilent("the twin is to serve")
	}
}

// watch takes the word of the twin that it serves without a supervisor, and tells the role
// machine, also when that has come to its end.
func (k *worker) watch() {
	n := k.node
	k.reportOrphan()
	life := n.incarnation
	n.world.after(k.vigil.Until().Sub(n.now()), func() {
		if n.up && n.incarnation == life && !k.vigil.Serves(n.now()) {
			k.reportOrphan()
			k.relieved()
		}
	})
}

func (k *worker) reportOrphan() {
	n := k.node
	serves := k.vigil.Serves(n.now())
	hostile := serves && n.world.rand.IntN(4) > 0
	n.tell(func(out *failover.Output) {
		n.machine.Orphan(n.now(), hostileName, hostile, out)
		n.machine.Orphan(n.now(), tenantName, serves, out)
		n.machine.Orphan(n.now(), quietName, serves, out)
	})
}

// relieve calls do when a twin that serves without a supervisor has fallen silent, unless
// another change of the role overtakes that.
func (n *node) relieve(do func()) {
	k := n.worker
	n.changes++
	change := n.changes
	if !k.vigil.Serves(n.now()) {
		do()
		return
	}
	n.world.result.Yields++
	k.vigil.Yield()
	if n.world.session[n.index] != 0 {
		n.world.post(n, k.receiver.Yield(nil))
	}
	life := n.incarnation
	k.silence = func() {
		if n.up && n.incarnation == life && n.changes == change {
			do()
		}
	}
}

// relieved lets a takeover go on that waits for the silence of the twin.
func (k *worker) relieved() {
	if do := k.silence; do != nil && !k.vigil.Serves(k.node.now()) {
		k.silence = nil
		do()
	}
}

// checkOrphan looks for an active worker without a supervisor beside another active one.
// It is possible where the session ends in the moment in which the supervisor does, and
// where both were active before: until the session is found to have ended.
func (w *world) checkOrphan() {
	a, b := w.nodes[0], w.nodes[1]
	serves := func(n *node) bool { return n.up && n.worker.active && !n.worker.stopped }
	if !serves(a) || !serves(b) || !a.worker.tenure.Orphan() && !b.worker.tenure.Orphan() {
		w.orphanBeside = time.Time{}
		return
	}
	if w.orphanBeside.IsZero() {
		w.orphanBeside = w.now
	}
	limit := poll + hold + 4*maxDelay
	if a.worker.tenure.Alone() || b.worker.tenure.Alone() { // the other one has booted since
		limit += lease
	}
	if d := w.now.Sub(w.orphanBeside); d > limit {
		w.fail("a worker without a supervisor serves beside another one for %v", d)
	}
}
