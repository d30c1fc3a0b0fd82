//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/internal/lab"
)

// mixed is a pair whose nodes may be of different builds.
type mixed struct {
	*pair
	t       *testing.T
	group   string
	clients int
}

// TestMixedPair upgrades a pair from the build before, one node after the other,
// goes back with one of them on the way, and lets each build take over from the other
// one when that dies, with SAs that were made, and rekeyed, while the other one
// was active. A client notices little, and its SAs stay.
func TestMixedPair(t *testing.T) {
	base, tree := lab.ReplicaBase(t), lab.Bin()
	p := startPair(t, lab.PairConfig{Bin: [2]string{base, base}})
	m := &mixed{pair: p, t: t, group: p.site.Group}

	m.replace(tree)
	m.change("the old build is active")
	m.goesOver("switch from the old build to the new one")
	m.change("the new build is active")
	m.appliesAlone()
	m.die("death of the new build, the old one takes over")
	m.change("the old build is active again")
	m.die("death of the old build, the new one takes over")
	m.goesOver("switch back to the old build")
	m.replace(base)
	m.replace(tree)
	m.goesOver("switch to the new build for good")
	m.replace(tree)
	m.goesOver("switch within the new build")
	m.change("both are of the new build")
}

// replace gives the standby other programs.
func (m *mixed) replace(bin string) {
	m.t.Helper()
	_, standby := m.Active(m.group)
	m.Replace(standby, bin)
	m.Whole()
}

// goesOver switches, and the SAs of the client stay.
func (m *mixed) goesOver(what string) {
	m.t.Helper()
	m.keeps(what, m.noticeSwitch, func() { m.Switch(m.group) })
	m.Whole()
}

// die lets the active node die and come back, and the SAs of the client stay.
func (m *mixed) die(what string) {
	m.t.Helper()
	active, _ := m.Active(m.group)
	m.keeps(what, m.notice, func() { m.Kill(active) })
	m.revive(active)
}

// keeps lets something happen, under the eyes of notice, that the client's IKE SA outlives.
func (m *mixed) keeps(what string, notice func(*testing.T, string, func()) lab.TrafficResult, happen func()) {
	m.t.Helper()
	was := spis(m.swan.ListSAs(), true)
	notice(m.t, what, happen)
	if now := spis(m.swan.ListSAs(), true); now != was {
		m.t.Errorf("%s: IKE SAs of the client: got %s, want %s as before", what, now, was)
	}
}

// appliesAlone applies a change on the active node, whose peer is of the old build and takes
// none: the operator is told, and copies what can be copied.
func (m *mixed) appliesAlone() {
	m.t.Helper()
	active, _ := m.Active(m.group)
	active.Write("acme.hcl", replaced(m.t, fileOf(m.t, active, "acme.hcl"), "10.55.1.250", "10.55.1.240"))
	_, stderr, err := active.CLI("apply")
	if err != nil || !strings.Contains(stderr, "is older and takes no configuration") {
		m.t.Errorf("apply beside the old build: %v, %s", err, stderr)
	}
	active.MustCLI("failover", "sync-config")
	m.Whole()
}

// change does to the active node what is replicated as it happens: both SAs of the
// client are rekeyed, another client connects, and the files are copied to the
// standby.
func (m *mixed) change(when string) {
	m.t.Helper()
	for _, ike := range []bool{false, true} {
		if err := m.swan.Rekey("alice", ike); err != nil {
			m.t.Errorf("%s: rekeying: %v", when, err)
		}
	}
	m.clients++
	ns := m.site.Client()
	_, address := pairClient(m.t, m.site, ns, fmt.Sprintf("bob-%d", m.clients))
	ns.MustPing(lab.Ping{From: address, To: lab.PairInsideHost})
	active, _ := m.Active(m.group)
	active.MustCLI("failover", "sync-config")
	m.Whole()
}
