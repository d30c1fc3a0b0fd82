//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/internal/lab"
)

// TestVLAN gives tenants 802.1Q subinterfaces, on a kernel that has them: this
// one's, or else that of a guest.
func TestVLAN(t *testing.T) {
	t.Parallel()
	l := lab.New(t)
	probe := l.Namespace("probe")
	l.Veth(probe, "a", probe, "b")
	if _, err := probe.Run("ip", "link", "add", "link", "a", "name", "a.9", "type", "vlan", "id", "9"); err == nil {
		vlans(t)
		return
	}
	w := noVLAN(l)
	wantLog(t, w, "level=ERROR", "tenant=blue", "context cannot start", "this kernel has no 802.1Q")
	out, err := l.RunGuest(lab.Guest{
		Test: "TestVLANInGuest", Modules: []string{"ipv6", "8021q", "macvlan", "veth", "tun"}, Timeout: 5 * time.Minute,
	})
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestVLANInGuest is what TestVLAN has done in a guest.
func TestVLANInGuest(t *testing.T) {
	if lab.InGuest() {
		vlans(t)
	}
}

// noVLAN starts a gateway whose kernel cannot do what it is told, and waits
// until its context has failed.
func noVLAN(l *lab.Lab) *lab.Warrend {
	w := l.TwoTenants().Gateway.Warrend(lab.WarrendConfig{
		System: `
interface "Ethernet1/1" { device = "wb-out" }
interface "Ethernet1/1.200" {}
context "blue" {
  config_url = "file:blue.hcl"
  allocate_interface "Ethernet1/1.200" { name = "outside" }
}
`,
		Files: map[string]string{"blue.hcl": `interface "outside" { address = "198.51.100.1/24" }`},
	})
	l.Eventually("a context that this kernel cannot build", lab.Patience, func() error {
		out, _, err := w.CLI("show", "context")
		if err == nil && !strings.Contains(out, "failed") {
			err = fmt.Errorf("it is shown as\n%s", out)
		}
		return err
	})
	return w
}

// trunk is the system file of a box whose tenants are on one device: blue and
// red on VLANs of their own, green and amber together on a third.
const trunk = `
interface "Ethernet1/1" { device = "trunk" }
interface "Ethernet1/1.200" {}
interface "Ethernet1/1.uplink" { vlan = 300 }
interface "Ethernet1/1.7" { shared = true }
%s
context "blue" {
  config_url = "file:blue.hcl"
  allocate_interface "Ethernet1/1.200" { name = "outside" }
  %s
}
context "red" {
  config_url = "file:red.hcl"
  allocate_interface "Ethernet1/1.uplink" { name = "outside" }
  %s
}
`

// trunkMAC is that of the gateway's end of the trunk, also of another one.
const trunkMAC = "02:00:00:00:02:00"

// vlans connects two tenants with the same addresses over one trunk.
func vlans(t *testing.T) {
	l := lab.New(t)
	gateway, far := l.Namespace("gateway"), l.Namespace("far")
	l.Veth(gateway, "trunk", far, "trunk")
	hosts := map[string]*lab.Namespace{}
	for _, name := range []string{"blue", "red"} {
		hosts[name] = l.Namespace(name + "-host")
		l.Veth(gateway, name+"-in", hosts[name], "in")
		hosts[name].Address("in", lab.InsideHost+"/24")
		hosts[name].Route("0.0.0.0/0", lab.InsideGateway)
	}
	gateway.MustRun("ip", "link", "set", "trunk", "address", trunkMAC)
	before := state(gateway, nil)
	w := gateway.Warrend(lab.WarrendConfig{
		System: fmt.Sprintf(trunk, `
interface "Ethernet1/2" { device = "blue-in" }
interface "Ethernet1/3" { device = "red-in" }

context "green" {
  config_url = "file:green.hcl"
  allocate_interface "Ethernet1/1.7" { name = "outside" }
}
context "amber" {
  config_url = "file:amber.hcl"
  allocate_interface "Ethernet1/1.7" { name = "outside" }
}
`, `allocate_interface "Ethernet1/2" { name = "inside" }`, `allocate_interface "Ethernet1/3" { name = "inside" }`),
		Files: map[string]string{
			"blue.hcl": lab.File("blue.hcl"), "red.hcl": lab.File("red.hcl"),
			"green.hcl": shared("green", "192.0.2.1"), "amber.hcl": shared("amber", "192.0.2.2"),
		},
	})
	w.Ready()
	for name, id := range map[string]int{"blue": 200, "red": 300} {
		if got := w.Namespace(name).MustRun("ip", "-d", "link", "show", "outside"); !strings.Contains(got,
			fmt.Sprintf("protocol 802.1Q id %d ", id)) {
			t.Errorf("%s: outside is %s", name, got)
		}
	}

	c := far.Warrend(lab.WarrendConfig{
		Name: "cl", System: fmt.Sprintf(trunk, "", "", ""),
		Files: map[string]string{"blue.hcl": lab.File("client-blue.hcl"), "red.hcl": lab.File("client-red.hcl")},
	})
	c.Ready()
	for _, name := range []string{"blue", "red"} {
		sa := w.WaitSAs(name, 1)[0]
		client := c.Namespace(name)
		client.Tripwire("outside", lab.TenantsInside...)
		client.MustPing(lab.Ping{From: sa.Assigned[0], To: lab.InsideHost, Size: 1400})
		hosts[name].MustPing(lab.Ping{To: sa.Assigned[0]})
	}
	for _, name := range []string{"blue", "red"} {
		if sa := w.WaitSAs(name, 1)[0]; sa.RemoteID != map[string]string{"blue": "alice@blue.example",
			"red": "bob@red.example"}[name] ||
			sa.ChildSAs[0].PacketsIn == 0 {
			t.Errorf("%s: %+v", name, sa)
		}
	}

	far.MustRun("ip", "link", "add", "link", "trunk", "name", "seven", "type", "vlan", "id", "7")
	far.Address("seven", "192.0.2.9/24")
	far.Up("seven")
	far.MustPing(lab.Ping{To: "192.0.2.1"})
	far.MustPing(lab.Ping{To: "192.0.2.2"})

	parentLost(l, gateway, far, w, c)
	c.Stop()
	w.Stop()
	// Whether the lab or warrend raised the ends of the other trunk first is open: what is found up is left up, and
	// what is found down is set down again.
	gateway.Up("trunk")
	far.Up("trunk")
	w.Start()
	w.Ready()
	w.Stop()
	if diff := cmp.Diff(before, state(gateway, w)); diff != "" {
		t.Errorf("after SIGTERM (-before +after):\n%s", diff)
	}
}

// parentLost takes the trunk away from the gateway w and the client c, with all that
// is on it, and gives them another one of its name: the SAs stay.
func parentLost(l *lab.Lab, gateway, far *lab.Namespace, w, c *lab.Warrend) {
	tenants := []string{"blue", "red"}
	var before []string
	for _, name := range tenants {
		before = append(before, w.WaitSAs(name, 1)[0].SPIr)
	}
	gateway.MustRun("ip", "link", "del", "trunk")
	l.Veth(gateway, "trunk", far, "trunk")
	gateway.MustRun("ip", "link", "set", "trunk", "address", trunkMAC)
	for i, name := range tenants {
		l.Eventually("the tunnel of "+name+" over another trunk", 30*time.Second, func() error {
			sa := w.WaitSAs(name, 1)[0]
			if sa.SPIr != before[i] {
				return fmt.Errorf("the SA is %s, and was %s", sa.SPIr, before[i])
			}
			if r := c.Namespace(name).Ping(lab.Ping{From: sa.Assigned[0], To: lab.InsideHost}); r.Lost() > 0 {
				return fmt.Errorf("%v", r)
			}
			return nil
		})
	}
}
