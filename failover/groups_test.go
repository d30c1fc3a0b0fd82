package failover

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// manyGroups makes each node one of a pair with so many groups, each of one
// context.
func manyGroups(l *lab, count int) {
	for i := range l.cfg {
		l.cfg[i].Groups = nil
		for k := range count {
			name := fmt.Sprintf("context-%04d", k)
			l.cfg[i].Groups = append(l.cfg[i].Groups, GroupConfig{
				Name: name, Tenants: []string{name}, Monitor: []string{fmt.Sprintf("Ethernet0/0.%d", k), "Ethernet0/1"},
			})
		}
	}
}

// roles counts the groups of a node by their role.
func (l *lab) roles(i int) map[string]int {
	count := map[string]int{}
	for _, g := range l.nodes[i].groups {
		count[g.role.String()]++
	}
	return count
}

func (l *lab) wantRoles(i int, want map[string]int) {
	l.t.Helper()
	if diff := cmp.Diff(want, l.roles(i)); diff != "" {
		l.t.Errorf("groups of node %d by role (-want +got):\n%s", i, diff)
	}
}

// allReady brings all copies of node i in step.
func (l *lab) allReady(i int) {
	for _, g := range l.cfg[i].Groups {
		for _, t := range g.Tenants {
			l.do(i, func(n *Node, out *Output) { n.Replication(l.now, t, ReplicationReady, out) })
		}
	}
	l.run(200 * time.Millisecond)
}

// TestThousandGroups: a heartbeat keeps its size, one broken context moves alone,
// and the death of a node moves all others in the moment in which it would move
// one; also over links that lose every third heartbeat.
func TestThousandGroups(t *testing.T) {
	for _, lossy := range []bool{false, true} {
		l := newLab(t)
		manyGroups(l, 1000)
		dice, sent := rand.New(rand.NewPCG(1, 2)), 0
		l.drop = func(_ int, d Datagram) bool {
			sent++
			if len(d.Payload) > MaxHeartbeat {
				t.Fatalf("a heartbeat of %d bytes", len(d.Payload))
			}
			return lossy && dice.IntN(3) == 0
		}
		l.boot(0)
		l.boot(1)
		l.run(500 * time.Millisecond)
		l.wantRoles(0, map[string]int{"active": 1000})
		l.wantRoles(1, map[string]int{"standby-cold": 1000})
		l.allReady(1)
		l.wantRoles(1, map[string]int{"standby-ready": 1000})
		sent = 0
		l.run(time.Second)
		if !lossy && sent > 2*2*int(time.Second/DefaultPoll)+4 {
			t.Errorf("%d heartbeats in a second in which nothing happens", sent)
		}

		const broken = "context-0500"
		l.do(0, func(n *Node, out *Output) { n.WorkerFailed(l.now, broken, "it crashes", out) })
		l.do(0, func(n *Node, out *Output) { n.Quiesced(l.now, broken, out) })
		l.run(200 * time.Millisecond)
		l.wantRoles(0, map[string]int{"active": 999, "failed": 1})
		l.wantRoles(1, map[string]int{"standby-ready": 999, "active": 1})
		l.do(1, func(n *Node, out *Output) { n.WorkerFailed(l.now, broken, "it crashes here, too", out) })
		l.run(time.Second)
		l.wantRoles(0, map[string]int{"active": 999, "failed": 1})
		l.wantRoles(1, map[string]int{"standby-ready": 999, "active": 1})

		died := l.now
		l.nodes[0], l.seen[1] = nil, Output{}
		l.run(DefaultHold + 20*time.Millisecond)
		l.wantRoles(1, map[string]int{"active": 1000})
		for _, c := range l.seen[1].Changes {
			if took := c.At.Sub(died); took > DefaultHold+2*time.Millisecond {
				t.Fatalf("%s took %v", c.Group, took)
			}
		}
		if last := l.nodes[1].Status(l.now).History; last[len(last)-1].Groups != 999 {
			t.Errorf("history ends with %+v", last[len(last)-1])
		}
	}
}

// TestAllGroupsHandedOver: a node that is stopped gives all its groups away, and
// the other one has them within a few heartbeats.
func TestAllGroupsHandedOver(t *testing.T) {
	l := newLab(t)
	manyGroups(l, 1000)
	l.boot(0)
	l.boot(1)
	l.run(500 * time.Millisecond)
	l.allReady(1)
	for _, g := range l.cfg[0].Groups {
		l.do(0, func(n *Node, out *Output) {
			if err := n.Switch(l.now, g.Name, "the operator switched", out); err != nil {
				t.Fatal(err)
			}
		})
	}
	for _, g := range l.cfg[0].Groups {
		l.do(0, func(n *Node, out *Output) { n.Quiesced(l.now, g.Name, out) })
	}
	l.run(10 * time.Millisecond)
	l.wantRoles(1, map[string]int{"active": 1000})
}

// TestBrokenContextAlone: a context that cannot run takes no other one of its
// group out of service: not on a node alone, not where it breaks on both, and not
// where the peer is not ready.
func TestBrokenContextAlone(t *testing.T) {
	start := func(t *testing.T, both bool) *lab {
		l := newLab(t)
		for i := range l.cfg {
			l.cfg[i].Groups[0].Tenants = []string{"acme", "good"}
		}
		l.boot(0)
		if both {
			l.boot(1)
		}
		l.run(2 * time.Second)
		return l
	}
	fail := func(l *lab, i int) {
		l.do(i, func(n *Node, out *Output) { n.WorkerFailed(l.now, "acme", "it crashes", out) })
		l.do(i, func(n *Node, out *Output) { n.Quiesced(l.now, "g", out) })
		l.run(time.Second)
	}
	t.Run("alone", func(t *testing.T) {
		l := start(t, false)
		fail(l, 0)
		l.want("active", "dead")
	})
	t.Run("peer not ready", func(t *testing.T) {
		l := start(t, true)
		fail(l, 0)
		l.want("active", "standby-cold")
	})
	t.Run("on both", func(t *testing.T) {
		l := start(t, true)
		l.allReady(1)
		l.want("active", "standby-ready")
		fail(l, 0)
		l.want("standby-cold", "active")
		fail(l, 1)
		l.want("standby-cold", "active")
		// What comes back for a while only moves nobody.
		l.do(0, func(n *Node, out *Output) { n.WorkerRecovered(l.now, "acme", out) })
		l.allReady(0)
		l.run(10 * time.Second)
		l.want("standby-ready", "active")
	})
	t.Run("at the start", func(t *testing.T) {
		l := newLab(t)
		l.cfg[0].Groups[0].Tenants = []string{"acme"}
		l.boot(0)
		l.do(0, func(n *Node, out *Output) { n.WorkerFailed(l.now, "acme", "it cannot be built", out) })
		l.run(2 * time.Second)
		l.want("active", "dead") // better than none
	})
}

// TestLaggard: a worker that never says that its copy is in step keeps its group
// from nothing.
func TestLaggard(t *testing.T) {
	l := newLab(t)
	for i := range l.cfg {
		l.cfg[i].Groups[0].Tenants = []string{"acme", "good", "fine"}
	}
	l.boot(0)
	l.boot(1)
	l.run(time.Second)
	for _, name := range []string{"good", "fine"} {
		l.do(1, func(n *Node, out *Output) { n.Replication(l.now, name, ReplicationReady, out) })
	}
	l.run(time.Second)
	l.want("active", "standby-cold")
	l.run(laggardLimit)
	l.want("active", "standby-ready")
	// Coming and going does not help it.
	for range 2 {
		l.do(1, func(n *Node, out *Output) { n.Replication(l.now, "acme", ReplicationReady, out) })
		l.run(laggardLimit / 2)
		l.do(1, func(n *Node, out *Output) { n.Replication(l.now, "acme", ReplicationNone, out) })
		l.do(1, func(n *Node, out *Output) { n.Copy(l.now, "acme", false, out) })
		l.run(time.Second)
		l.want("active", "standby-ready")
	}
	l.nodes[0] = nil
	l.run(DefaultHold + 10*time.Millisecond)
	l.want("dead", "active")
}

// TestEpochNotWritten: a node whose disk takes no epoch does not serve; it tries
// again, and the peer need not wait for it.
func TestEpochNotWritten(t *testing.T) {
	l := newLab(t)
	l.boot(0)
	l.run(2 * time.Second)
	l.want("active", "dead")
	l.do(0, func(n *Node, out *Output) { n.Unwritten(l.now, "g", "no space", out) })
	l.want("failed", "dead")
	l.seen[0] = Output{}
	l.run(diskRest + 2*time.Second)
	l.want("active", "dead")
	l.do(0, func(n *Node, out *Output) { n.Unwritten(l.now, "g", "no space", out) })
	l.boot(1)
	l.run(2 * time.Second)
	l.want("failed", "active")
}

// TestGroupsComeAndGo: the list of groups changes on one node after the other.
func TestGroupsComeAndGo(t *testing.T) {
	l := newLab(t)
	manyGroups(l, 3)
	l.boot(0)
	l.boot(1)
	l.run(300 * time.Millisecond)
	configure := func(i int, groups []GroupConfig) {
		l.do(i, func(n *Node, out *Output) {
			if err := n.Configure(l.now, groups, out); err != nil {
				t.Fatal(err)
			}
		})
		l.run(2 * time.Second)
	}
	all := slices.Clone(l.cfg[0].Groups)
	more := append(slices.Clone(all),
		GroupConfig{Name: "new", Tenants: []string{"new"}, Monitor: []string{"Ethernet0/2"}})
	configure(1, more)
	l.wantRoles(1, map[string]int{"standby-cold": 3, "active": 1})
	configure(0, more)
	l.wantRoles(0, map[string]int{"active": 3, "standby-cold": 1})
	configure(0, all[1:])
	l.wantRoles(0, map[string]int{"active": 2})
	l.wantRoles(1, map[string]int{"standby-cold": 2, "active": 2})
	configure(1, all[1:])
	l.wantRoles(1, map[string]int{"standby-cold": 2})
	for i, n := range l.nodes {
		if len(n.outbox.entries) != 2+3 || len(n.peer.groups) != 2 || !n.peer.whole {
			t.Errorf("node %d keeps %d entries, and %d groups of its peer", i, len(n.outbox.entries),
				len(n.peer.groups))
		}
	}
}

// TestClocks: a skew is measured, and told when it begins and ends.
func TestClocks(t *testing.T) {
	l := newLab(t)
	l.pair()
	l.run(time.Second)
	if got := l.nodes[1].Status(l.now).Peer.Skew; got > 0 || got < -0.01 {
		t.Errorf("skew %v s between equal clocks", got)
	}
	var c clock
	at := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	told := 0
	for i := range 200 {
		ahead := 9 * time.Hour
		if i >= 100 {
			ahead = time.Second
		}
		theirs := at.Add(ahead - time.Duration(i%3)*time.Millisecond)
		if c.compare(at, uint64(theirs.UnixMilli())) != "" {
			told++
		}
		at = at.Add(DefaultPoll)
	}
	if told != 2 || c.skew != time.Second {
		t.Errorf("told %d times, skew %v", told, c.skew)
	}
}

// TestStarvedNode: a node that gets the processor now and then only, and then for
// a moment, does not take a healthy peer for dead, whenever it is served its
// heartbeats.
func TestStarvedNode(t *testing.T) {
	for _, pause := range []time.Duration{60, 90, 110, 160, 300, 1000} {
		l := newLab(t)
		l.pair()
		l.run(300 * time.Millisecond)
		starved := l.nodes[1]
		for range 10 {
			l.nodes[1] = nil
			var kept []flight
			for end := l.now.Add(pause * time.Millisecond); l.now.Before(end); l.run(time.Millisecond) {
				kept = append(kept, l.wire...)
			}
			l.nodes[1] = starved
			l.do(1, func(n *Node, out *Output) { n.Expire(l.now, out) }) // its timer, before its sockets
			for _, f := range kept {
				if f.to == 1 {
					l.do(1, func(n *Node, out *Output) { _ = n.Receive(l.now, f.d.Path, f.d.Payload, out) })
				}
			}
		}
		if role, _ := l.nodes[1].Role("g"); role == RoleActive {
			t.Errorf("paused for %v: it took over", pause*time.Millisecond)
		}
	}
}
