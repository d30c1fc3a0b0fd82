//go:build e2e

package e2e

import (
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// TestUpgradePair ends the supervisors of a pair under traffic, by kill -9, by SIGTERM, and
// for new programs, on the standby unit and on the active one: no packet of a tunnel is
// lost, no role changes, and the workers are the same. Where the workers of the active unit
// die, too, the other unit takes over as it always does.
func TestUpgradePair(t *testing.T) {
	p := startPair(t, lab.PairConfig{Keep: true})
	active, standby := p.Active(p.site.Group)
	was := spis(p.swan.ListSAs(), true)
	epoch := epochOf(t, active, p.site.Group)
	ping := p.client.StartPing(lab.Ping{From: p.address, To: lab.PairInsideHost, Interval: 10 * time.Millisecond})
	answers(p.lab, ping, 20)
	for _, n := range []*lab.PairNode{standby, active} {
		before := n.Context(p.site.Context)
		ends := []struct {
			how string
			end func()
		}{
			{"kill -9", func() { n.Warrend.Kill() }},
			{"SIGTERM", func() { n.Stop() }},
			{"new programs", func() { n.Install(); n.Stop() }},
		}
		for _, e := range ends {
			for i := range upgradeLives {
				e.end()
				n.Start()
				p.Whole()
				if got := n.Context(p.site.Context); got.PID != before.PID || got.Restarts != 0 {
					t.Errorf("%s of the %s unit, %d: got %+v, want %+v", e.how, n.Unit, i+1, got, before)
				}
				if now, _ := p.Active(p.site.Group); now != active {
					t.Fatalf("%s of the %s unit, %d: the role has moved", e.how, n.Unit, i+1)
				}
				answers(p.lab, ping, 10)
			}
		}
	}
	if r := ping.Stop(); r.Lost() > 0 || r.Err != nil {
		t.Errorf("the tunnel: %v", r)
	} else {
		t.Logf("%v", r)
	}
	if now := epochOf(t, active, p.site.Group); now != epoch {
		t.Errorf("the epoch: got %d, want %d", now, epoch)
	}
	if now := spis(p.swan.ListSAs(), true); now != was {
		t.Errorf("IKE SAs of the client: got %s, want %s as before", now, was)
	}
	p.notice(t, "the death of an active unit whose supervisor is of a later life", func() { p.KillKept(active) })
	if now, _ := p.Active(p.site.Group); now != standby {
		t.Error("nobody has taken over")
	}
}

// epochOf is the epoch of the group on a node.
func epochOf(t *testing.T, n *lab.PairNode, group string) uint64 {
	t.Helper()
	s, err := n.Failover()
	if err != nil {
		t.Fatal(err)
	}
	return s.Group(group).Epoch
}
