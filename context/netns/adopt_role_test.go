package netns

import (
	"testing"

	"github.com/warrenvpn/warren/failover"
)

// TestAdoptPaired: the next process finds out whose addresses one of a pair has, and takes
// none away.
func TestAdoptPaired(t *testing.T) {
	h := scratch(t)
	cfg := pairedConfig(t, h)
	g, err := Build(cfg)
	if err != nil {
		t.Fatal(err)
	}
	const show = "ip -o link | grep -o 'link/ether [0-9a-f:]*'; ip -o addr; ip route; ip route show table 5001; ip rule"
	for _, r := range []failover.Role{failover.RoleInit, failover.RoleStandbyReady, failover.RoleActive} {
		if err := g.SetRole(r); err != nil {
			t.Fatal(err)
		}
		was := inside(t, g.ns, show)
		ends := keptEndpoints(t, g)
		g.Leave()
		cfg.Host = newHost(h.ns, h.system)
		next, err := Adopt(cfg, ends)
		if err != nil {
			t.Fatal(err)
		}
		if next.role != r {
			t.Errorf("%v is taken for %v", r, next.role)
		}
		if now := inside(t, next.ns, show); now != was {
			t.Errorf("%v: it changed from\n%s\nto\n%s", r, was, now)
		}
		g = next
	}
	if err := g.Remove(); err != nil {
		t.Error(err)
	}
}
