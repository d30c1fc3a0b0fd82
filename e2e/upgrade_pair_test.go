//go:build e2e

package e2e

import (
	"fmt"
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
		for _, e := range endings(n.Warrend) {
			for i := range upgradeLives {
				e.end()
				n.Start()
				p.Whole()
				sameWorker(t, fmt.Sprintf("%s of the %s unit, %d", e.how, n.Unit, i+1), n.Context(p.site.Context),
					before)
				if now, _ := p.Active(p.site.Group); now != active {
					t.Fatalf("%s of the %s unit, %d: the role has moved", e.how, n.Unit, i+1)
				}
				answers(p.lab, ping, 10)
			}
		}
	}
	noneLost(t, ping)
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

// TestUpgradeLone ends the supervisor of the active unit while the other one is away: no packet
// of a tunnel is lost, the SAs and the epoch are the same, and the other unit takes over from
// this one when it is back and in step.
func TestUpgradeLone(t *testing.T) {
	p := startPair(t, lab.PairConfig{Keep: true})
	active, standby := p.Active(p.site.Group)
	was := spis(p.swan.ListSAs(), true)
	epoch := epochOf(t, active, p.site.Group)
	before := active.Context(p.site.Context)
	ping := p.client.StartPing(lab.Ping{From: p.address, To: lab.PairInsideHost, Interval: 10 * time.Millisecond})
	answers(p.lab, ping, 20)
	standby.Shutdown()
	for _, e := range endings(active.Warrend) {
		for i := range upgradeLives {
			wantLog(t, active.Warrend, "workers told that the peer is away")
			e.end()
			active.Start()
			p.lab.Eventually("the next supervisor", 10*time.Second, func() error {
				if role := active.Role(p.site.Group); role != "active" {
					return fmt.Errorf("its group is %q", role)
				}
				return nil
			})
			sameWorker(t, fmt.Sprintf("%s, %d", e.how, i+1), active.Context(p.site.Context), before)
			answers(p.lab, ping, 10)
		}
	}
	noneLost(t, ping)
	if now := epochOf(t, active, p.site.Group); now != epoch {
		t.Errorf("the epoch: got %d, want %d", now, epoch)
	}
	wantLog(t, active.Warrend, "workers told that the peer is away") // otherwise nobody would be told of its return
	p.revive(standby)
	wantLog(t, active.Warrend, "workers told that the peer is back")
	if now := spis(p.swan.ListSAs(), true); now != was {
		t.Errorf("IKE SAs of the client: got %s, want %s as before", now, was)
	}
	p.notice(t, "the death of a unit that was alone", func() { p.KillKept(active) })
}

// TestUpgradePairFromBase upgrades a pair from the build before, one unit after the other, and
// goes back: on either unit the next supervisor takes up the workers of the one before, no packet
// of a tunnel is lost and no role changes, nor do the SAs where the workers follow.
func TestUpgradePairFromBase(t *testing.T) {
	base := lab.UpgradeBase(t)
	p := startPair(t, lab.PairConfig{Keep: true, Bin: [2]string{base, base}})
	active, standby := p.Active(p.site.Group)
	was := spis(p.swan.ListSAs(), true)
	ping := p.client.StartPing(lab.Ping{From: p.address, To: lab.PairInsideHost, Interval: 10 * time.Millisecond})
	answers(p.lab, ping, 20)
	for _, n := range []*lab.PairNode{standby, active} {
		before := n.Context(p.site.Context)
		for _, life := range builds(n.Warrend, base) {
			life.end()
			n.Start()
			p.Whole()
			sameWorker(t, fmt.Sprintf("%s of the %s unit", life.how, n.Unit), n.Context(p.site.Context), before)
			if now, _ := p.Active(p.site.Group); now != active {
				t.Fatalf("%s of the %s unit: the role has moved", life.how, n.Unit)
			}
			answers(p.lab, ping, 10)
		}
	}
	noneLost(t, ping)
	for _, n := range []*lab.PairNode{standby, active} {
		before := n.Context(p.site.Context)
		n.MustCLI("restart", p.site.Context)
		anotherWorker(p.lab, n.Warrend, p.site.Context, before)
		p.Whole()
	}
	if now := spis(p.swan.ListSAs(), true); now != was {
		t.Errorf("IKE SAs of the client: got %s, want %s as before", now, was)
	}
	if now, _ := p.Active(p.site.Group); now != active {
		t.Fatal("the role has moved with the workers")
	}
	p.notice(t, "the death of a unit that was upgraded", func() { p.KillKept(active) })
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
