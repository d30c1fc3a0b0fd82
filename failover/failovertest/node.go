package failovertest

import (
	"encoding/binary"
	"strings"
	"time"

	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/internal/secret"
)

// node is one box: a role machine and the worker of one tenant.
type node struct {
	world *world
	index int
	keys  []secret.Value // the configured ones: they survive the node

	up          bool
	incarnation int
	lives       int            // of its supervisor
	begun       time.Time      // of the last of them, where its workers were of another one
	machine     *failover.Node // nil: there is no supervisor
	worker      *worker
	disk        uint64        // the epoch to remember
	changes     int           // of the role of the worker; what an older one does is overtaken
	timer       uint64        // the newest timer; older ones do nothing
	ahead       time.Duration // of the node's clock

	asleep  time.Time // until then the supervisor gets no processor
	waiting []func()  // what it will find in its sockets then
	met     int       // the life of the peer that is known
	arrived time.Time // when a heartbeat of that life came to a socket for the last time
}

// now is what the node's clock shows.
func (n *node) now() time.Time { return n.world.now.Add(n.ahead) }

func (n *node) unit() failover.Unit {
	if n.index == 0 {
		return failover.UnitPrimary
	}
	return failover.UnitSecondary
}

// Read is the node's source of randomness.
func (n *node) Read(b []byte) (int, error) {
	for i := 0; i < len(b); i += 8 {
		var v [8]byte
		binary.BigEndian.PutUint64(v[:], n.world.rand.Uint64())
		copy(b[i:], v[:])
	}
	return len(b), nil
}

func (n *node) boot() {
	if n.up {
		n.adopt()
		return
	}
	w := n.world
	n.up = true
	n.incarnation++
	n.lives++
	n.ahead = w.upTo(20*time.Hour) - 10*time.Hour
	n.asleep, n.waiting, n.met, n.arrived = time.Time{}, nil, 0, time.Time{}
	n.worker = newWorker(n)
	w.logf("node %d boots, incarnation %d", n.index, n.incarnation)
	n.start(0, false)
}

// start begins the life of a supervisor, whose worker may be of an earlier one.
func (n *node) start(adopted uint64, active bool) {
	w := n.world
	var out failover.Output
	m, err := failover.New(n.now(), failover.Config{
		Unit: n.unit(), Keys: n.keys, Version: "test", Poll: poll, Hold: hold,
		Wait: 400 * time.Millisecond, Settle: 100 * time.Millisecond, Adoption: adoption,
		Links: []string{"one", "two"}, Rand: n,
		Groups: []failover.GroupConfig{{
			Name: groupName, Prefer: failover.UnitPrimary, Preempt: w.rand.IntN(2) == 0,
			PreemptDelay: 100 * time.Millisecond, Monitor: []string{outside},
			Tenants: []string{tenantName, quietName, hostileName}, Epoch: n.disk,
			Adopted: adopted, Active: active, Known: adopted != 0,
		}},
	}, &out)
	if err != nil {
		w.fail("New: %v", err)
		return
	}
	n.machine = m
	n.carryOut(&out)
	if !w.attached[n.index] {
		n.tell(func(out *failover.Output) { m.Interface(n.now(), outside, false, out) })
	}
}

// kill ends the node and everything on it.
func (n *node) kill() {
	n.world.logf("node %d dies", n.index)
	n.up, n.machine, n.worker, n.waiting = false, nil, nil, nil
	n.world.session[n.index] = 0
}

// tell calls the role machine and carries out what it wants, when it has a
// processor.
func (n *node) tell(call func(*failover.Output)) {
	if !n.up || n.machine == nil {
		return
	}
	if n.world.now.Before(n.asleep) {
		n.waiting = append(n.waiting, func() { n.tell(call) })
		return
	}
	var out failover.Output
	call(&out)
	n.carryOut(&out)
}

func (n *node) receive(p failover.Path, b []byte) {
	if n.met == n.world.nodes[1-n.index].lives {
		n.arrived = n.world.now
	}
	n.tell(func(out *failover.Output) {
		err := n.machine.Receive(n.now(), p, b, out)
		if err != nil && err != failover.ErrReplayed && err != failover.ErrForged {
			n.world.fail("node %d refused its peer: %v", n.index, err)
		}
	})
}

// carryOut does what an Output says, in its order.
func (n *node) carryOut(out *failover.Output) {
	w := n.world
	n.remember(out.Remember)
	for _, c := range out.Changes {
		w.logf("node %d %v -> %v epoch %d: %s", n.index, c.From, c.To, c.Epoch, c.Reason)
		switch {
		case c.To == failover.RoleActive:
			w.activated(n, c)
		case c.From == failover.RoleActive:
			n.mute(c)
		case n.worker.active: // it was found serving, and must not
			n.worker.deactivate(c.Epoch)
		}
	}
	if len(out.Announce) > 0 && w.attached[n.index] {
		w.owner = n.index
	}
	for _, q := range out.Quiesce {
		n.worker.quiesce(!q.Cancel)
	}
	for _, d := range out.Send {
		w.carry(n.index, d)
	}
	for _, e := range out.Events {
		if e.Kind == failover.EventPeerUp && strings.Contains(e.Text, "instance") {
			n.met = w.nodes[1-n.index].lives
		}
		if e.Kind == failover.EventTakeoverDenied {
			w.result.Spared++
		}
		if e.Kind == failover.EventSplitBrain {
			w.result.SplitBrains++
		}
		if e.Kind != failover.EventRole {
			w.logf("node %d: %v %s", n.index, e.Kind, e.Text)
		}
	}
	n.worker.lone = n.machine.Alone(n.now())
	n.arm()
}

// mute lets the worker fall silent: at once, or, where it hangs, when it is killed.
func (n *node) mute(c failover.RoleChange) {
	n.order(func() {
		n.worker.deactivate(c.Epoch)
		n.tell(func(out *failover.Output) { n.machine.Muted(n.now(), c.Group, out) })
	})
}

// order carries out a change of the worker's role, unless another one overtakes it.
// A worker that hangs does not obey, and is killed some time later: the next one
// has the role.
func (n *node) order(do func()) {
	n.changes++
	change, life := n.changes, n.incarnation
	within := time.Duration(0)
	if n.worker.hung {
		within = hold / 2
	}
	n.world.after(within, func() {
		if !n.up || n.incarnation != life || n.changes != change {
			return
		}
		if n.worker.hung {
			n.worker.restart()
		}
		do()
	})
}

// hang lets the worker take up nothing more, until the supervisor finds that, tells
// the role machine and kills it. Where stopped is set its data plane stops, too.
func (n *node) hang(stopped bool) {
	w, k, life := n.world, n.worker, n.incarnation
	if !n.up || k.hung {
		return
	}
	w.logf("node %d: worker hangs, stopped: %v", n.index, stopped)
	w.result.Hangs++
	k.hung, k.stopped = true, stopped
	supervisor := n.machine
	w.after(500*time.Millisecond, func() { // a twin in step waits no longer for acknowledgements
		if n.up && n.incarnation == life && n.worker == k && k.hung {
			w.endSession(1 - n.index)
		}
	})
	lives := func() bool { return n.up && n.incarnation == life && n.machine == supervisor && supervisor != nil }
	w.after(100*time.Millisecond+w.upTo(300*time.Millisecond), func() {
		if !lives() || !k.hung {
			return
		}
		n.tell(func(out *failover.Output) { n.machine.WorkerFailed(n.now(), tenantName, "it does not answer", out) })
		if k.hung {
			k.restart()
		}
		if !k.active {
			k.report(failover.ReplicationNone)
		}
		w.after(w.upTo(500*time.Millisecond), func() {
			if lives() {
				n.tell(func(out *failover.Output) { n.machine.WorkerRecovered(n.now(), tenantName, out) })
			}
		})
	})
}

// remember writes epochs to the disk: at once, or some time later.
func (n *node) remember(epochs []failover.Remember) {
	for _, e := range epochs {
		if e.Now {
			n.disk = max(n.disk, e.Epoch)
			continue
		}
		machine := n.machine
		n.world.after(n.world.upTo(20*time.Millisecond), func() {
			if n.up && machine != nil && n.machine == machine {
				n.disk = max(n.disk, e.Epoch)
				n.machine.Remembered(e.Group, e.Epoch)
			}
		})
	}
}

// arm schedules the one timer of the role machine.
func (n *node) arm() {
	n.timer++
	timer, life := n.timer, n.incarnation
	w := n.world
	w.after(max(0, n.machine.Deadline().Sub(n.now())), func() {
		if n.up && n.incarnation == life && n.timer == timer && !w.now.Before(n.asleep) {
			n.tell(func(out *failover.Output) { n.machine.Expire(n.now(), out) })
		}
	})
}

// configure gives the node other failover keys.
func (n *node) configure(keys ...secret.Value) {
	n.world.logf("node %d has %d keys", n.index, len(keys))
	n.keys = keys
	n.tell(func(out *failover.Output) {
		if err := n.machine.SetKeys(n.now(), keys, out); err != nil {
			n.world.fail("SetKeys: %v", err)
		}
	})
}

// sleep keeps the supervisor from the processor for a while. When it wakes, its
// timer is served first, then what waits in its sockets.
func (n *node) sleep(d time.Duration) {
	w, life := n.world, n.incarnation
	if !n.up || n.machine == nil || w.now.Before(n.asleep) {
		return
	}
	w.logf("node %d gets no processor for %v", n.index, d)
	w.result.Sleeps++
	n.asleep = w.now.Add(d)
	w.after(d, func() {
		if !n.up || n.incarnation != life {
			return
		}
		n.tell(func(out *failover.Output) { n.machine.Expire(n.now(), out) })
		waiting := n.waiting
		n.waiting = nil
		for _, call := range waiting {
			call()
		}
	})
}

// sleeps reports whether the supervisor has no processor, or had none a moment
// ago.
func (n *node) sleeps() bool { return n.world.now.Sub(n.asleep) < 2*poll }

// wasLoose reports whether an interface was down a moment ago.
func (w *world) wasLoose() bool { return !w.loose.IsZero() && w.now.Sub(w.loose) < 2*hold }

// activated is the takeover of the addresses, and of the SAs.
func (w *world) activated(n *node, c failover.RoleChange) {
	if n.worker.active && n.worker.epoch == c.Epoch { // it was found serving
		n.worker.tenure.Confirmed(n.now())
		return
	}
	w.result.Takeovers++
	w.owner = n.index
	peer := w.nodes[1-n.index]
	lives := peer.up && peer.machine != nil && peer.lives == n.met && !peer.sleeps()
	if heard := w.now.Sub(n.arrived); strings.Contains(c.Reason, "is silent") && lives && heard < hold/2 {
		w.fail("node %d takes over from a silent peer, whose heartbeat came %v ago", n.index, heard)
	}
	unheard := w.partitioned() || w.wasLoose() ||
		peer.up && (peer.machine == nil || w.now.Sub(peer.begun) < 2*poll || peer.sleeps())
	if c.From != failover.RoleActive && c.From != failover.RoleStandbyReady && unheard {
		for _, l := range w.sas {
			l.excused = true // the copy is old and the peer cannot be asked
		}
	}
	if !n.worker.hung {
		n.relieve(func() { n.worker.activate(c.Epoch) })
		return
	}
	n.order(func() { n.worker.activate(c.Epoch) })
}
