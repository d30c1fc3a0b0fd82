//go:build e2e

package e2e

import (
	"testing"

	"github.com/warrenvpn/warren/internal/lab"
)

// TestMixedPair upgrades a pair from the build before, one node after the other,
// goes back with one of them on the way, and lets each build take over from the other
// one when that dies. A client notices little, and its SAs stay.
func TestMixedPair(t *testing.T) {
	base, tree := lab.ReplicaBase(t), lab.Bin()
	p := startPair(t, lab.PairConfig{Bin: [2]string{base, base}})
	group := p.site.Group
	first := spis(p.swan.ListSAs(), true)

	// replace gives the standby other programs.
	replace := func(bin string) {
		t.Helper()
		_, standby := p.Active(group)
		p.Replace(standby, bin)
		p.Whole()
	}
	// die lets the active node die, and the other one take over.
	die := func(what string) {
		t.Helper()
		active, _ := p.Active(group)
		p.notice(t, what, func() { p.Kill(active) })
		p.revive(active)
	}

	replace(tree)
	p.notice(t, "switch from the old build to the new one", func() { p.Switch(group) })
	p.Whole()
	die("death of the new build, the old one takes over")
	die("death of the old build, the new one takes over")
	p.notice(t, "switch back to the old build", func() { p.Switch(group) })
	p.Whole()
	replace(base)
	replace(tree)
	p.notice(t, "switch to the new build for good", func() { p.Switch(group) })
	p.Whole()
	replace(tree)
	p.notice(t, "switch within the new build", func() { p.Switch(group) })
	p.Whole()

	if now := spis(p.swan.ListSAs(), true); now != first {
		t.Errorf("IKE SAs of the client: got %s, want %s as at the beginning", now, first)
	}
	if err := p.swan.Rekey("alice", true); err != nil {
		t.Errorf("rekeying the IKE SA after it all: %v", err)
	}
}
