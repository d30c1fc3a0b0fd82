//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/internal/lab"
)

// TestTwoTenants is the product's main job: two tenants with the same
// addresses, a strongSwan client of each, traffic through both at once.
func TestTwoTenants(t *testing.T) {
	l, n, w := start(t, nil)
	vips := map[string]string{}
	for _, tenant := range []lab.Tenant{n.Blue, n.Red} {
		_, vips[tenant.Name] = client(t, tenant)
		sa := w.WaitSAs(tenant.Name, 1)[0]
		if sa.RemoteID != tenant.Identity || sa.LocalID != "gw."+tenant.Name+".example" ||
			sa.TunnelGroup != "DefaultRAGroup" || len(sa.Assigned) != 1 || sa.Assigned[0] != vips[tenant.Name] {
			t.Errorf("%s: show crypto ikev2 sa: got %+v", tenant.Name, sa)
		}
	}
	if vips["blue"] != vips["red"] {
		t.Errorf("both pools begin at the same address: got %v", vips)
	}

	for _, tenant := range []lab.Tenant{n.Blue, n.Red} {
		for _, size := range []int{56, 1400, 8000} {
			t.Run(fmt.Sprintf("%s/ping/%d", tenant.Name, size), func(t *testing.T) {
				up := lab.Ping{From: vips[tenant.Name], To: lab.InsideHost, Size: size, Count: 10,
					Interval: 20 * time.Millisecond}
				down := up
				down.From, down.To = "", vips[tenant.Name]
				t.Log("to the host:  ", tenant.Client.MustPing(up))
				t.Log("to the client:", tenant.Host.MustPing(down))
			})
		}
		t.Run(tenant.Name+"/iperf3", func(t *testing.T) {
			i := lab.Iperf{From: vips[tenant.Name], To: lab.InsideHost}
			t.Log("TCP up:  ", tenant.Client.MustIperf(tenant.Host, i))
			i.Reverse = true
			t.Log("TCP down:", tenant.Client.MustIperf(tenant.Host, i))
			i.Reverse, i.UDP, i.Rate, i.Length = false, true, "20M", 1200
			// On a busy machine the receiver's buffer, 50 ms long, runs over once in a while.
			l.Eventually("UDP at 20 Mbit/s without losses", lab.Patience, func() error {
				r := tenant.Client.MustIperf(tenant.Host, i)
				t.Log("UDP up:  ", r)
				if r.LostPercent > 5 {
					return fmt.Errorf("%v", r)
				}
				return nil
			})
		})
	}
	for _, tenant := range []lab.Tenant{n.Blue, n.Red} {
		child := w.WaitSAs(tenant.Name, 1)[0].ChildSAs[0]
		if child.BytesIn == 0 || child.BytesOut == 0 || child.PacketsIn == 0 || child.PacketsOut == 0 ||
			child.ReplayDropped != 0 {
			t.Errorf("%s: counters: got %+v", tenant.Name, child)
		}
	}
}

// TestIsolation watches every device of red while blue and red send at once:
// nothing of blue's may pass there.
func TestIsolation(t *testing.T) {
	_, n, w := start(t, nil)
	_, blueVIP := client(t, n.Blue)
	_, redVIP := client(t, n.Red)
	spis := map[string]bool{}
	for _, child := range w.WaitSAs("red", 1)[0].ChildSAs {
		spis[child.SPIIn], spis[child.SPIOut] = true, true
	}
	context := w.Namespace("red")
	outside := context.Capture("outside")
	plain := []*lab.Capture{context.Capture("inside"), context.Capture("ipsec0"), n.Red.Host.Capture("in")}

	const blueSize, redSize = 200, 300
	ping := lab.Ping{To: lab.InsideHost, Interval: 10 * time.Millisecond, Count: 50}
	ping.From, ping.Size = blueVIP, blueSize
	blue := n.Blue.Client.StartPing(ping)
	ping.From, ping.Size = redVIP, redSize
	n.Red.Client.MustPing(ping)
	if r := blue.Stop(); r.Lost() > 0 {
		t.Errorf("blue: %v", r)
	}

	for _, c := range plain {
		c.Stop() // all that has passed is in it then
		seen := 0
		for _, p := range c.Packets(func(p lab.Packet) bool { return p.Protocol != "arp" && p.Protocol != "ndp" }) {
			seen++
			if p.Protocol != "icmp" || len(p.Data) < redSize || len(p.Data) > redSize+60 {
				t.Errorf("%s: a packet (%s) of %d bytes from %s to %s is not red's", c.Path(), p.Protocol, len(p.Data),
					p.Src, p.Dst)
			}
		}
		if seen == 0 {
			t.Errorf("%s: red's own packets were not seen", c.Path())
		}
	}
	outside.Stop()
	esp := outside.Packets(func(p lab.Packet) bool { return p.SPI != 0 })
	for _, p := range esp {
		if !spis[fmt.Sprintf("%08x", p.SPI)] && !spis[fmt.Sprintf("0x%08x", p.SPI)] {
			t.Errorf("SPI %08x on red's outside is none of red's: %v", p.SPI, spis)
			break
		}
	}
	if len(esp) == 0 {
		t.Error("no ESP was seen on red's outside")
	}
}

// TestDelete ends connections from either side, with a DELETE that the other
// side sees.
func TestDelete(t *testing.T) {
	l, n, w := start(t, nil)
	s, address := client(t, n.Blue)
	gone := func(what string, check func() bool) {
		t.Helper()
		l.Eventually(what, 5*time.Second, func() error {
			if !check() {
				return fmt.Errorf("an SA is still there")
			}
			return nil
		})
	}
	noSA := func() bool { return len(w.IKESAs("blue")) == 0 }
	again := func(how string) {
		t.Helper()
		s.MustInitiate("blue")
		if got := vip(t, s); got != address {
			t.Errorf("after %s: got address %s, want the same as before, %s", how, got, address)
		}
		w.WaitSAs("blue", 1)
		n.Blue.Client.MustPing(lab.Ping{From: address, To: lab.InsideHost})
	}

	if err := s.Terminate("blue"); err != nil {
		t.Fatal(err)
	}
	gone("the gateway to see the client's DELETE", noSA)
	again("the client's DELETE")

	for _, args := range [][]string{{"--user", n.Blue.Identity}, {"--address", address}, {"--all"}} {
		w.MustCLI(append([]string{"logoff", "--context", "blue"}, args...)...)
		gone("the client to see the gateway's DELETE", func() bool { return !s.Established() })
		gone("the gateway to forget", noSA)
		again("logoff " + args[0])
	}

	if err := s.TerminateChild("blue"); err != nil {
		t.Fatal(err)
	}
	gone("the gateway to see the client's DELETE of the child", func() bool {
		for _, sa := range w.IKESAs("blue") {
			if len(sa.ChildSAs) > 0 {
				return false
			}
		}
		return true
	})
}

// TestRekey has the client renew its SAs while it sends.
func TestRekey(t *testing.T) {
	l, n, w := start(t, nil)
	s, address := client(t, n.Blue)
	p := n.Blue.Client.StartPing(lab.Ping{From: address, To: lab.InsideHost, Interval: 10 * time.Millisecond})
	for i, ike := range []bool{false, true, false} {
		before := w.WaitSAs("blue", 1)[0]
		if err := s.Rekey("blue", ike); err != nil {
			t.Fatal(err)
		}
		l.Eventually(fmt.Sprintf("rekeying %d", i), 5*time.Second, func() error {
			sas := w.IKESAs("blue")
			if len(sas) != 1 || len(sas[0].ChildSAs) != 1 {
				return fmt.Errorf("SAs: %+v", sas)
			}
			if ike && sas[0].SPIr == before.SPIr || !ike && sas[0].ChildSAs[0].SPIIn == before.ChildSAs[0].SPIIn {
				return fmt.Errorf("the SA is the old one")
			}
			return nil
		})
		answers(l, p, 20)
	}
	if r := p.Stop(); r.Lost() > 2 {
		t.Errorf("while rekeying: %v", r)
	}
}

// TestSharedInterface has both tenants on one device of the gateway: each has a
// MAC of its own, the same after a new start, and clients of both at once.
func TestSharedInterface(t *testing.T) {
	l := lab.New(t)
	gateway := l.Namespace("gateway")
	var clients []*lab.Namespace
	hub := l.Namespace("hub") // a switch between the device and the clients
	l.Veth(gateway, "out", hub, "gw")
	for i, name := range []string{"blue", "red"} {
		client := l.Namespace(name + "-client")
		l.Veth(hub, name, client, "out")
		client.Address("out", fmt.Sprintf("198.51.100.%d/24", 11+i))
		clients = append(clients, client)
	}
	hub.Bridge("switch", "gw", "blue", "red")
	hub.Tripwire("gw", lab.TenantsInside...)
	before := state(gateway, nil)
	w := gateway.Warrend(lab.WarrendConfig{
		System: `
interface "Ethernet1/1" {
  device = "out"
  shared = true
}
context "blue" {
  config_url = "file:blue.hcl"
  allocate_interface "Ethernet1/1" { name = "outside" }
}
context "red" {
  config_url = "file:red.hcl"
  allocate_interface "Ethernet1/1" { name = "outside" }
}
`,
		Files: map[string]string{"blue.hcl": shared("blue", "198.51.100.1"), "red.hcl": shared("red", "198.51.100.2")},
	})
	w.Ready()
	macs := func() [2]string {
		var m [2]string
		for i, name := range []string{"blue", "red"} {
			for _, link := range w.Namespace(name).Links() {
				if device, rest, _ := strings.Cut(link, " "); device == "outside" {
					m[i], _, _ = strings.Cut(rest, " ")
				}
			}
		}
		return m
	}
	first := macs()
	if first[0] == "" || first[0] == first[1] {
		t.Errorf("MACs: %v", first)
	}
	connect := func() {
		t.Helper()
		for i, name := range []string{"blue", "red"} {
			s := clients[i].StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{{
				Name: name, Remote: fmt.Sprintf("198.51.100.%d", i+1), LocalID: "user@" + name, RemoteID: "gw." + name,
				LocalPSK: name + " client", RemotePSK: name + " gateway", VIPs: "0.0.0.0", RemoteTS: "198.51.100.0/24",
			}}})
			defer s.Stop()
			s.MustInitiate(name)
			w.WaitSAs(name, 1)
		}
	}
	connect()

	w.Stop()
	if diff := cmp.Diff(before, state(gateway, w)); diff != "" {
		t.Errorf("after SIGTERM (-before +after):\n%s", diff)
	}
	w.Start()
	w.Ready()
	if again := macs(); again != first {
		t.Errorf("MACs after a new start: got %v, want %v", again, first)
	}
	connect()
}

// shared is a context with one interface.
func shared(name, address string) string {
	return fmt.Sprintf(`
interface "outside" { address = %q }
ip_pool "staff" { range = "10.99.0.10-10.99.0.20" }
tunnel_group "DefaultRAGroup" {
  type          = "remote-access"
  address_pools = ["staff"]
  ikev2 {
    local_identity        = "gw.%[2]s"
    local_authentication  = { pre_shared_key = "%[2]s gateway" }
    remote_authentication = { pre_shared_key = "%[2]s client" }
  }
}
crypto_map "outside" {
  dynamic "any" {}
}
`, address+"/24", name)
}

// TestConfigurationPayload has a client that wants everything: it is told its
// address and its DNS server, and may reach the split networks alone.
func TestConfigurationPayload(t *testing.T) {
	_, n, w := start(t, nil)
	conn := n.Blue.Conn()
	conn.RemoteTS = "0.0.0.0/0"
	s := n.Blue.Client.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{conn}})
	s.MustInitiate("blue")
	if !strings.Contains(s.DNS(), "nameserver 10.10.0.53") {
		t.Errorf("the client's resolv.conf is %q", s.DNS())
	}
	child := w.WaitSAs("blue", 1)[0].ChildSAs[0]
	want := []string{"10.10.0.0/24", vip(t, s) + "/32"}
	if got := append(child.LocalTS, child.RemoteTS...); !slices.Equal(got, want) {
		t.Errorf("selectors: got %v, want %v", got, want)
	}
	n.Blue.Client.MustPing(lab.Ping{From: vip(t, s), To: lab.InsideHost})
}
