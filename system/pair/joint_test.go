package pair

import (
	"testing"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/failover"
)

// resized returns the configuration of a unit with another MTU.
func resized(u *pairUnit, mtu int) *configs.System {
	conf := *u.conf
	tenant := *conf.Contexts[0].Spec
	tenant.Interfaces = append(tenant.Interfaces[:0:0], tenant.Interfaces...)
	tenant.Interfaces[0].MTU = mtu
	conf.Contexts = append(conf.Contexts[:0:0], conf.Contexts...)
	conf.Contexts[0].Spec = &tenant
	return &conf
}

// TestChangeOnBothUnits: while both units go from one configuration to another, the standby
// is ready, and no role changes.
func TestChangeOnBothUnits(t *testing.T) {
	a, b := newUnits(t)
	a.boot()
	b.boot()
	formed(a, b)
	var before int
	b.shows("its history", func(st *Status) bool { before = len(st.History); return true })
	var release []func()
	for _, u := range []*pairUnit{a, b} {
		release = append(release, u.pair.Tolerate(u.conf, resized(u, 1400)))
	}
	for _, u := range []*pairUnit{b, a} {
		u.pair.Configure(resized(u, 1400))
		formed(a, b)
	}
	for _, r := range release {
		r()
	}
	b.shows("no change of a role", func(st *Status) bool {
		if len(st.History) != before {
			t.Errorf("history: %+v", st.History)
		}
		return true
	})
	a.kill()
	b.kill()
}

// TestPlace: where changes belong, and whose configuration wins where the units differ.
func TestPlace(t *testing.T) {
	group := func(name, role, peer, configuration string) failover.GroupStatus {
		return failover.GroupStatus{Name: name, Role: role, PeerRole: peer, Configuration: configuration}
	}
	for _, tt := range []struct {
		name            string
		groups          []failover.GroupStatus
		primary         bool
		elsewhere, wins bool
	}{
		{"all here", []failover.GroupStatus{group("a", "active", "standby-cold", "different")}, false, false, true},
		{"all there", []failover.GroupStatus{group("a", "standby-cold", "active", "different")}, true, true, false},
		{"the first one decides", []failover.GroupStatus{group("b", "active", "standby-cold", "different"),
			group("a", "standby-ready", "active", "same")}, true, false, false},
		{"what one has alone does not", []failover.GroupStatus{group("a", "active", "unknown", "not compared"),
			group("b", "standby-cold", "active", "different")}, true, false, false},
		{"nothing is active yet", []failover.GroupStatus{group("a", "negotiation", "negotiation", "same")}, true,
			false, true},
		{"nor on the secondary", []failover.GroupStatus{group("a", "negotiation", "negotiation", "same")}, false,
			false, false},
		{"no groups", nil, true, false, true},
	} {
		var out Place
		out.weigh(tt.groups, tt.primary)
		if out.Elsewhere != tt.elsewhere || out.Wins != tt.wins {
			t.Errorf("%s: got %+v", tt.name, out)
		}
	}
}
