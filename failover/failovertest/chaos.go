package failovertest

import (
	"slices"
	"time"

	"github.com/warrenvpn/warren/failover"
)

// disturb does one bad thing after the other.
func (w *world) disturb() {
	if !w.chaos {
		return
	}
	w.after(20*time.Millisecond+w.upTo(500*time.Millisecond), w.disturb)
	i := w.rand.IntN(2)
	n := w.nodes[i]
	switch w.rand.IntN(23) {
	case 0, 1:
		w.kill()
	case 2, 3:
		w.cut(w.rand.IntN(numLinks))
	case 4:
		w.cut(0)
		w.cut(1)
	case 5:
		w.logf("data network between the nodes is cut")
		w.dataUp = false
		w.notePartition()
		w.after(w.upTo(600*time.Millisecond), func() { w.dataUp = true })
	case 6:
		w.detach(i)
		w.after(w.upTo(600*time.Millisecond), func() { w.attach(i) })
	case 7, 8:
		if n.up {
			w.result.WorkerKills++
			n.worker.restart()
			if n.worker.tenure.Orphan() { // nobody is there to replace it
				n.worker.deactivate(n.worker.epoch)
			}
			if !n.worker.active {
				n.worker.report(failover.ReplicationNone)
			}
		}
	case 9, 10:
		w.starve(n)
	case 11, 12:
		w.mislead(n)
	case 13, 14:
		n.hang(w.rand.IntN(2) == 0)
	case 15, 16:
		w.deceive(n)
	case 17, 18, 19:
		w.bereave(n)
	default:
		n.tell(func(out *failover.Output) {
			if err := n.machine.Switch(n.now(), groupName, "the operator switched", out); err == nil {
				w.result.Switches++
				w.logf("the operator switches on node %d", i)
			}
		})
	}
}

// kill ends a node and brings it back some time later.
func (w *world) kill() {
	n := w.nodes[w.rand.IntN(2)]
	if !n.up {
		return
	}
	w.result.Kills++
	if id := w.session[1-n.index]; id != 0 {
		w.after(w.upTo(hold), func() { w.notice(1-n.index, id, w.rand.IntN(2) == 0) })
	}
	n.kill()
	w.obituary(n)
	w.after(w.upTo(900*time.Millisecond), n.boot)
}

// obituary tells the peer of a node whose processes have died, as its kernel does: where
// workers had a session, over a link that works. It may come too late, or not at all.
func (w *world) obituary(dead *node) {
	other := w.nodes[1-dead.index]
	if w.session[other.index] == 0 || !w.linkUp[w.sessionOn] || w.rand.IntN(4) == 0 {
		return
	}
	w.after(w.upTo(20*time.Millisecond), func() {
		if dead.up || !other.up {
			return
		}
		w.logf("node %d hears that the processes of its peer have ended", other.index)
		w.result.Obituaries++
		other.tell(func(out *failover.Output) { other.machine.PeerClosed(other.now(), out) })
	})
}

// deceive pretends that the processes of the peer of a node have died, again and again. A
// peer that has no processor cannot answer: what it loses, it is not to blame for.
func (w *world) deceive(n *node) {
	peer := w.nodes[1-n.index]
	w.logf("node %d is told that the processes of its peer have ended", n.index)
	for range 1 + w.rand.IntN(8) {
		w.after(w.upTo(50*time.Millisecond), func() {
			if !n.up || !peer.up {
				return
			}
			w.result.Deceptions++
			w.deceived = w.now
			w.excuseDeceived()
			n.tell(func(out *failover.Output) { n.machine.PeerClosed(n.now(), out) })
		})
	}
}

// excuseDeceived excuses what is lost where an active node that is said to be dead gets no
// processor, or has no supervisor to answer.
func (w *world) excuseDeceived() {
	if w.deceived.IsZero() || w.now.Sub(w.deceived) > poll || !w.activeSleeps() && !w.activeAlone() {
		return
	}
	for _, l := range w.sas {
		l.excused = true
	}
}

// activeAlone reports whether an active node has no supervisor.
func (w *world) activeAlone() bool {
	return slices.ContainsFunc(w.nodes[:], func(n *node) bool { return n.up && n.worker.active && n.machine == nil })
}

// starve keeps a node from the processor. What an active one loses whose peer
// takes over meanwhile, neither is to blame for.
func (w *world) starve(n *node) {
	d := w.upTo(4 * hold)
	if n.up && n.worker.active && d > hold/2 {
		for _, l := range w.sas {
			l.excused = true
		}
	}
	n.sleep(d)
	w.excuseDeceived()
}

// mislead lets the worker of the hostile context say what it likes: of its copy,
// or by crashing.
func (w *world) mislead(n *node) {
	w.result.Lies++
	lie := w.rand.IntN(6)
	w.logf("node %d: the hostile worker lies: %d", n.index, lie)
	n.tell(func(out *failover.Output) {
		switch now := n.now(); lie {
		case 0:
			n.machine.Replication(now, hostileName, failover.ReplicationNone, out)
			n.machine.Copy(now, hostileName, false, out)
		case 1:
			n.machine.Replication(now, hostileName, failover.ReplicationBulk, out)
		case 2:
			n.machine.Replication(now, hostileName, failover.ReplicationReady, out)
		case 3:
			n.machine.Copy(now, hostileName, true, out)
		case 4:
			n.machine.WorkerFailed(now, hostileName, "it crashes in a loop", out)
		case 5:
			n.machine.WorkerRecovered(now, hostileName, out)
		}
	})
}

// expose gives the hostile context up on both nodes: in the end nobody waits for
// it.
func (w *world) expose() {
	for _, n := range w.nodes {
		n.tell(func(out *failover.Output) { n.machine.WorkerFailed(n.now(), hostileName, "it has been given up", out) })
	}
}

// cut ends a link; it heals some time later.
func (w *world) cut(i int) {
	if !w.linkUp[i] {
		return
	}
	w.logf("link %d is cut", i)
	w.result.Cuts++
	w.linkUp[i] = false
	w.notePartition()
	if w.sessionOn == i {
		w.endSession(-1)
	}
	w.after(w.upTo(700*time.Millisecond), func() {
		w.logf("link %d heals", i)
		w.linkUp[i] = true
	})
}

// detach takes a node off the data network; its carrier is gone.
func (w *world) detach(i int) {
	if !w.attached[i] {
		return
	}
	w.logf("node %d: interface down", i)
	w.attached[i] = false
	w.notePartition()
	n := w.nodes[i]
	n.tell(func(out *failover.Output) { n.machine.Interface(n.now(), outside, false, out) })
}

func (w *world) attach(i int) {
	w.logf("node %d: interface up", i)
	w.attached[i] = true
	n := w.nodes[i]
	n.tell(func(out *failover.Output) { n.machine.Interface(n.now(), outside, true, out) })
}

// notePartition excuses what two nodes lose that cannot hear each other: both
// may serve, and one will have to give in.
func (w *world) notePartition() {
	if !w.partitioned() {
		return
	}
	w.result.Partitions++
	for _, l := range w.sas {
		l.excused = true
	}
}

// bereave ends the supervisor of a node. The next one comes soon, late, or not before all
// heals.
func (w *world) bereave(n *node) {
	n.orphan()
	switch w.rand.IntN(4) {
	case 0:
		w.after(w.upTo(2*time.Second), n.adopt)
	case 1, 2:
		w.after(w.upTo(300*time.Millisecond), n.adopt)
	}
}

// heal ends the chaos: everything works, everybody is up.
func (w *world) heal() {
	w.logf("everything heals")
	w.chaos = false
	w.dataUp = true
	for i := range w.linkUp {
		w.linkUp[i] = true
	}
	for i, n := range w.nodes {
		w.attach(i)
		n.boot()
	}
	w.expose()
}

// checkStep looks for two unmuted actives that can hear each other.
func (w *world) checkStep() {
	if w.owner < 0 || !w.nodes[w.owner].up || !w.attached[w.owner] || !w.nodes[w.owner].worker.active ||
		w.nodes[w.owner].worker.hung {
		w.serving = time.Time{}
	} else if w.serving.IsZero() {
		w.serving = w.now
	}
	a, b := w.nodes[0], w.nodes[1]
	if a.sleeps() || b.sleeps() {
		w.together = time.Time{}
		return
	}
	hearing := (w.linkUp[0] || w.linkUp[1]) && a.up && b.up && a.machine != nil && b.machine != nil
	if !hearing || !a.worker.active || !b.worker.active {
		w.together = time.Time{}
		return
	}
	if w.together.IsZero() {
		w.together = w.now
	}
	// One heartbeat is due within a poll and arrives within the delay. Where a later
	// one overtakes it on another path, its entries are told again with the next. A
	// peer that has restarted is believed after two more messages. A worker that hangs
	// is killed when it has not obeyed for half the hold time.
	if d := w.now.Sub(w.together); d > 2*poll+4*maxDelay &&
		!(d <= 2*poll+hold/2+4*maxDelay && (a.worker.hung || b.worker.hung)) {
		w.fail("two active nodes for %v", d)
	}
}

// checkLost is called when a node does not know an SA that its client uses, or
// when the client gives it up.
func (w *world) checkLost(id uint64, by *node) {
	l := w.sas[id]
	if l == nil || l.excused || l.replaced {
		return
	}
	for i, n := range w.nodes {
		if n.up && l.holder[i] == n.incarnation {
			w.fail("SA %d is lost, though node %d had it and lives (asked: %v)", id, i, by != nil)
		}
	}
}

// checkCommitted is called when an answer about an SA leaves a node whose standby
// is in step: that standby must know the SA, if it lives and has lost nothing.
func (w *world) checkCommitted(id uint64, by *node) {
	peer := w.nodes[1-by.index]
	if l := w.sas[id]; l != nil && peer.up && w.session[0] != 0 && w.session[0] == w.session[1] &&
		l.holder[peer.index] != peer.incarnation {
		w.fail("an answer about SA %d leaves node %d before the standby has it", id, by.index)
	}
}

// checkEnd looks at the world after a quiet time.
func (w *world) checkEnd() {
	if w.failure != nil {
		return
	}
	active := 0
	for i, n := range w.nodes {
		role, _ := n.machine.Role(groupName)
		switch role {
		case failover.RoleActive:
			active++
		case failover.RoleStandbyReady:
		default:
			w.fail("node %d ends as %v", i, role)
		}
	}
	if active != 1 {
		w.fail("%d nodes are active in the end", active)
	}
	for i, c := range w.clients {
		if c.sa == 0 || w.now.Sub(c.heard) > settleTime {
			w.fail("client %d is stuck: SA %d, last reply %v ago", i, c.sa, w.now.Sub(c.heard))
		}
	}
}
