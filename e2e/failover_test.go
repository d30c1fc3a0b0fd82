//go:build e2e

package e2e

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// silence is how long a client may hear nothing. The figures are printed; this
// bound is only there to tell a failover from a new connection, on any machine.
const silence = 3 * time.Second

// pair is a pair with a strongSwan client of its first context.
type pair struct {
	*lab.Pair
	lab     *lab.Lab
	site    *lab.PairSite
	client  *lab.Namespace
	swan    *lab.StrongSwan
	address string
}

// startPair starts a pair and connects a client.
func startPair(t *testing.T, c lab.PairConfig) *pair {
	t.Helper()
	l := lab.New(t)
	p := &pair{Pair: l.StartPair(c), lab: l}
	p.site = p.Sites[0]
	p.client = p.site.Client()
	p.swan, p.address = pairClient(t, p.site, p.client, "alice")
	return p
}

// pairClient connects a strongSwan client.
func pairClient(t *testing.T, site *lab.PairSite, ns *lab.Namespace, name string) (*lab.StrongSwan, string) {
	t.Helper()
	s := ns.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{site.Conn(name)}, RetransmitTries: 8})
	s.MustInitiate(name)
	return s, vip(t, s)
}

// notice sends traffic while something happens to the pair, prints what the
// client noticed, and fails the test for what must not be noticed.
func (p *pair) notice(t *testing.T, what string, happen func()) lab.TrafficResult {
	t.Helper()
	r := p.watch(t, what, happen)
	if err := r.Err(silence); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	return r
}

// noticeSwitch is notice of switches by hand.
func (p *pair) noticeSwitch(t *testing.T, what string, happen func()) lab.TrafficResult {
	t.Helper()
	r := p.watch(t, what, happen)
	if err := r.ErrAtHandOver(silence); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	return r
}

// watch is notice without a judgement.
func (p *pair) watch(t *testing.T, what string, happen func()) lab.TrafficResult {
	t.Helper()
	traffic := p.site.StartTraffic(p.client, p.address, p.swan)
	happen()
	traffic.Go(50)
	r := traffic.Stop()
	t.Logf("%s: %v", what, r)
	return r
}

// revive starts a node that was killed, and waits until the pair is whole.
func (p *pair) revive(n *lab.PairNode) {
	p.StartNode(n)
	p.Whole()
}

// epoch is the epoch of the first group as a node knows it.
func epoch(t *testing.T, n *lab.PairNode) uint64 {
	t.Helper()
	s, err := n.Failover()
	if err != nil {
		t.Fatal(err)
	}
	return s.Groups[0].Epoch
}

// TestFailover does to one pair, one after the other, what may befall it. The
// client connects once; at the end it has still the same IKE SA.
func TestFailover(t *testing.T) {
	p := startPair(t, lab.PairConfig{})
	group := p.site.Group
	first := spis(p.swan.ListSAs(), true)

	t.Run("killed", func(t *testing.T) {
		for i := range 5 {
			active, _ := p.Active(group)
			p.notice(t, fmt.Sprintf("kill -9 of everything on node %s, run %d", active.Port, i+1),
				func() { p.Kill(active) })
			p.notice(t, fmt.Sprintf("node %s back", active.Port), func() { p.revive(active) })
		}
	})
	t.Run("outside device down", func(t *testing.T) {
		active, other := p.Active(group)
		p.notice(t, "outside device of "+active.Port+" down", func() {
			p.site.Outside.Unplug(active.Port)
			p.WaitRole(other, group, "active")
		})
		p.site.Outside.Plug(active.Port)
		p.Whole()
	})
	t.Run("inside device down", func(t *testing.T) {
		active, other := p.Active(group)
		p.notice(t, "inside device of "+active.Port+" down", func() {
			p.site.Inside.Unplug(active.Port)
			p.WaitRole(other, group, "active")
		})
		p.site.Inside.Plug(active.Port)
		p.Whole()
	})
	t.Run("worker killed", func(t *testing.T) {
		active, _ := p.Active(group)
		before, was := active.Context(p.site.Context), epoch(t, active)
		p.notice(t, "worker of the active node killed", func() {
			if err := syscall.Kill(before.PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			anotherWorker(p.lab, active.Warrend, p.site.Context, before)
		})
		p.Whole()
		if now, _ := p.Active(group); now != active || epoch(t, active) != was {
			t.Errorf("node %s is active with epoch %d, want %s with %d as before", now.Port, epoch(t, now),
				active.Port, was)
		}
	})
	t.Run("worker stopped", func(t *testing.T) { p.stopped(t) })
	t.Run("switched", func(t *testing.T) { p.switched(t) })
	t.Run("links", func(t *testing.T) { p.links(t) })
	t.Run("split brain", func(t *testing.T) { p.splitBrain(t) })

	if now := spis(p.swan.ListSAs(), true); now != first {
		t.Errorf("IKE SAs of the client: got %s, want %s as at the beginning", now, first)
	}
}

// hangNoticed is how long a client may hear nothing when a worker hangs: that is
// found within three seconds.
const hangNoticed = 5 * time.Second

// stopped stops the worker of the active node (SIGSTOP): the other node takes over,
// and the worker is replaced.
func (p *pair) stopped(t *testing.T) {
	group := p.site.Group
	active, other := p.Active(group)
	before := active.Context(p.site.Context)
	r := p.watch(t, "worker of the active node stopped", func() {
		if err := syscall.Kill(before.PID, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		p.WaitRole(other, group, "active")
	})
	if err := r.Err(hangNoticed); err != nil {
		t.Error(err)
	}
	p.Whole()
	if c := active.Context(p.site.Context); c.PID == before.PID {
		t.Errorf("the worker was not replaced: %+v", c)
	}
}

// switched switches ten times under iperf3, and measures one switch alone.
func (p *pair) switched(t *testing.T) {
	group := p.site.Group
	r := p.noticeSwitch(t, "one switch, pings alone", func() { p.Switch(group) })
	p.Whole()
	if lost := max(r.Pings[0].Lost(), r.Pings[1].Lost()); lost > 2 {
		t.Logf("a switch lost %d pings; the aim is 2", lost)
	}
	flow := lab.Iperf{From: p.address, To: lab.PairInsideHost, Seconds: 12, Rate: "40M"}
	p.noticeSwitch(t, "ten switches under iperf3", func() {
		run := p.client.StartIperf(p.site.Host, flow)
		for range 10 {
			p.Switch(group)
			p.Whole()
		}
		got, err := run.Wait()
		t.Log("iperf3 meanwhile:", got)
		if err != nil || got.Bytes == 0 {
			t.Errorf("iperf3: got %v, %v", got, err)
		}
	})
}

// cut silences the ports of the failover link.
func (p *pair) cut(ports ...string) (heal func()) {
	var filters []*lab.Filter
	for _, port := range ports {
		filters = append(filters, p.Cable.Drop(port, lab.DropAll))
	}
	return func() {
		for _, f := range filters {
			f.Heal()
		}
	}
}

// links cuts the failover link, whole or in one direction: the nodes hear each
// other over the data interfaces, and nobody takes over.
func (p *pair) links(t *testing.T) {
	active, other := p.Active(p.site.Group)
	for _, c := range []struct {
		what  string
		ports []string // whose heartbeats are lost
		deaf  *lab.PairNode
	}{
		{"failover link cut", []string{"a", "b"}, other},
		{"failover link cut from the active node", []string{active.Port}, other},
		{"failover link cut to the active node", []string{other.Port}, active},
	} {
		was := epoch(t, active)
		p.notice(t, c.what, func() {
			heal := p.cut(c.ports...)
			p.peerState(c.deaf, "alive, links failed")
			heal()
			p.Whole()
		})
		if now, _ := p.Active(p.site.Group); now != active || epoch(t, active) != was {
			t.Errorf("%s: node %s is active with epoch %d, want %s with %d as before", c.what, now.Port, epoch(t, now),
				active.Port, was)
		}
	}
}

// splitBrain cuts everything between the nodes, so that both are active, and
// heals it in both orders: the link first, and the data segments first. While
// both serve, what the one with the lower numbers sends comes too late for the
// client's replay window; there is no order between two actives.
func (p *pair) splitBrain(t *testing.T) {
	for _, linkFirst := range []bool{true, false} {
		active, other := p.Active(p.site.Group)
		heal := p.cut("a", "b")
		p.site.Outside.Part("a", "b")
		p.site.Inside.Part("a", "b")
		join := func() { p.site.Outside.Join("a", "b"); p.site.Inside.Join("a", "b") }
		first, then, role, what := heal, join, "standby-ready", "the link first"
		if !linkFirst {
			// Without a link the lower one steps back, and has no new copy.
			first, then, role, what = join, heal, "standby-cold", "the data segments first"
		}
		r := p.watch(t, "everything between the nodes cut, healed: "+what, func() {
			p.WaitRole(other, p.site.Group, "active") // and the client goes where the addresses were announced last
			if got := active.Role(p.site.Group); got != "active" {
				t.Errorf("node %s, which is alive, is %s, want active", active.Port, got)
			}
			first()
			p.WaitRole(active, p.site.Group, role)
			then()
			p.Whole()
		})
		r.ReplayDrops = 0
		if err := r.Err(silence); err != nil {
			t.Errorf("healed: %s: %v", what, err)
		}
		if now, _ := p.Active(p.site.Group); now != other {
			t.Errorf("node %s stays active, want %s, whose epoch is higher", now.Port, other.Port)
		}
		wantLog(t, active.Warrend, "failover split brain resolved")
	}
}

// peerState waits until a node has an opinion of its peer.
func (p *pair) peerState(n *lab.PairNode, state string) {
	p.lab.Eventually(fmt.Sprintf("node %s to say of its peer: %s", n.Port, state), 10*time.Second, func() error {
		s, err := n.Failover()
		if err != nil {
			return err
		}
		if s.Peer.State != state {
			return fmt.Errorf("it says: %s %s", s.Peer.State, s.Peer.Reason)
		}
		return nil
	})
}
