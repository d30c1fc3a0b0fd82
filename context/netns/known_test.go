package netns

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/context/spec"
)

// awaitSound waits until the Gateway knows that its namespace is as it must be.
func awaitSound(t *testing.T, g *Gateway) {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); !g.Sound(g.tenant); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("nothing is known of the namespace")
		}
	}
}

// TestKnown: a Gateway that knows its namespace looks all the same at what somebody
// else has just changed.
func TestKnown(t *testing.T) {
	h := scratch(t)
	g := buildWith(t, h, dualTenant())
	awaitSound(t, g)
	before := everything(t, g)
	for _, breakage := range breakages {
		wantPutBack(t, g, before, breakage)
		awaitSound(t, g)
	}
	inside(t, g.ns, "echo 0 > /proc/sys/net/ipv4/ip_forward")
	if err := g.Update(g.tenant); err != nil {
		t.Error(err)
	}
	if got := inside(t, g.ns, "cat /proc/sys/net/ipv4/ip_forward"); got != "1\n" && got != "1" {
		t.Errorf("forwarding is %q", got)
	}
}

// TestAdapt: where the namespace is known, another configuration comes to the same as
// where everything is looked at.
func TestAdapt(t *testing.T) {
	h := scratch(t)
	g := buildWith(t, h, dualTenant())
	routed(t, g)
	prefix, addr := netip.MustParsePrefix, netip.MustParseAddr
	for _, tt := range []struct {
		name   string
		change func(*spec.Tenant)
	}{
		{"nothing", func(*spec.Tenant) {}},
		{"a pool is larger", func(tn *spec.Tenant) { tn.Pools[0].End = addr("10.99.3.200") }},
		{"a pool within the inside", func(tn *spec.Tenant) {
			tn.Pools = append(tn.Pools, spec.Pool{Name: "near", Start: addr("10.10.0.64"), End: addr("10.10.0.80")})
		}},
		{"another static route", func(tn *spec.Tenant) {
			tn.Routes = append(tn.Routes, spec.Route{Destination: prefix("10.40.0.0/16"), Interface: "inside",
				Gateway: addr("10.10.0.253")})
		}},
		{"another remote network", func(tn *spec.Tenant) {
			e := &tn.CryptoMaps[0].Entries[0]
			e.Remote = append(e.Remote, prefix("10.66.0.0/16"))
		}},
		{"no crypto map", func(tn *spec.Tenant) { tn.CryptoMaps = nil }},
		{"an interface is shut down", func(tn *spec.Tenant) { tn.Interfaces[1].Shutdown = true }},
		{"all as it was", func(*spec.Tenant) {}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			awaitSound(t, g)
			tn := dualTenant()
			tt.change(tn)
			if err := g.Update(tn); err != nil {
				t.Fatal(err)
			}
			got := everything(t, g)
			g.mu.Lock()
			g.known.net = false
			g.mu.Unlock()
			if err := g.Update(tn); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(everything(t, g), got); diff != "" {
				t.Errorf("where the namespace is known it is not what it is otherwise (-otherwise +known)\n%s", diff)
			}
		})
	}
}

// TestSoundAgain: what was changed meanwhile is not known to be there.
func TestSoundAgain(t *testing.T) {
	g := buildWith(t, scratch(t), dualTenant())
	awaitSound(t, g)
	g.mu.Lock() // the Gateway looks at nothing meanwhile
	inside(t, g.ns, "ip rule add pref 5 lookup main")
	sound := g.soundLocked()
	g.mu.Unlock()
	if sound {
		t.Error("a rule was added, and the namespace is said to be as before")
	}
	if g.Sound(dualTenant()) {
		t.Error("it is said to be what another tenant needs")
	}
}
