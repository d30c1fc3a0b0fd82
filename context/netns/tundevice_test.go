package netns

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/esp/tun"
)

// opens takes the device over as a worker does.
func opens(t *testing.T, g *Gateway) error {
	t.Helper()
	for _, e := range g.Endpoints() {
		if e.Kind != control.DescriptorTUN {
			continue
		}
		f, err := e.Dup()
		if err != nil {
			return err
		}
		d, err := tun.NewDevice(f)
		if err != nil {
			return err
		}
		return d.Close()
	}
	t.Fatal("there is no TUN among the endpoints")
	return nil
}

// TestTUNDeleted: the worker that is started when its device was deleted gets another
// one, however soon it comes, and all that belongs to that.
func TestTUNDeleted(t *testing.T) {
	_, g := dual(t)
	if err := g.Address(control.Address{Add: true, Prefix: netip.MustParsePrefix("10.88.0.9/32")}); err != nil {
		t.Fatal(err)
	}
	want, old := everything(t, g), g.Endpoints()
	for range 2 {
		inside(t, g.ns, "ip link del ipsec0")
		if err := opens(t, g); err != nil {
			t.Errorf("at once: %v", err)
		}
		await(t, g, want)
	}
	if err := opens(t, g); err != nil {
		t.Errorf("when all is as before: %v", err)
	}
	if f, err := old[0].Dup(); err == nil {
		f.Close()
		t.Error("the descriptor of the device that is gone is open still")
	}
}

// TestAdoptWithoutTUN: a device that was deleted, or not kept, while nobody looked is
// no reason to give the tenant up.
func TestAdoptWithoutTUN(t *testing.T) {
	for name, lost := range map[string]bool{"deleted": false, "not kept": true} {
		t.Run(name, func(t *testing.T) {
			h := scratch(t)
			g, cfg := build(t, h)
			const addresses = "ip -o addr show dev ipsec0 | cut -d' ' -f2- | sed 's/ valid_lft.*//'"
			want := inside(t, g.Namespace(), addresses)
			ends := keptEndpoints(t, g)
			inside(t, g.Namespace(), "ip link del ipsec0; ip link del drop0")
			g.Leave()
			if lost {
				ends[0].Close()
				ends[0].Kept = nil
			}
			cfg.Host = newHost(h.ns, h.system)
			g, err := Adopt(cfg, ends)
			if err != nil {
				t.Fatal(err)
			}
			if err := opens(t, g); err != nil {
				t.Error(err)
			}
			if got := inside(t, g.Namespace(), addresses); got != want || !strings.Contains(got, "192.0.0.8") {
				t.Errorf("addresses: got %s, want %s", got, want)
			}
			if err := g.Remove(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
