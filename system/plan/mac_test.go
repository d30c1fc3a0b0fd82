package plan

import (
	"net/netip"
	"testing"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/context/spec"
)

func TestPairMACs(t *testing.T) {
	c := configs.Tenant{Name: "acme"}
	i := spec.Interface{Name: "outside", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}}
	seen := map[string]bool{}
	for _, change := range []func(){
		func() {}, func() { i.Name = "inside" }, func() { c.Name = "blue" },
		func() { i.Addresses[0] = netip.MustParsePrefix("192.0.2.2/24") },
	} {
		change()
		active, standby := pairMACs(c, i)
		for _, mac := range []string{active.String(), standby.String()} {
			if seen[mac] {
				t.Errorf("%s twice", mac)
			}
			seen[mac] = true
		}
		if active[0]&3 != 2 || standby[0]&3 != 2 {
			t.Errorf("%v and %v are not local unicast addresses", active, standby)
		}
	}
	i.MAC = spec.MAC{2, 0, 0, 0, 0, 1}
	if active, standby := pairMACs(c, i); active.String() != "02:00:00:00:00:01" || seen[standby.String()] == false {
		t.Errorf("got %v and %v", active, standby)
	}
}

// TestStableMAC: a shared interface has the same MAC at every start, and another one
// than those of other contexts.
func TestStableMAC(t *testing.T) {
	a, b := stableMAC("w", "blue", "inside"), stableMAC("w", "red", "inside")
	if a == b || a[0]&3 != 2 || a != stableMAC("w", "blue", "inside") {
		t.Errorf("MACs %s and %s", a, b)
	}
}
