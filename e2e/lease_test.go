//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// TestDualStackLease gives a strongSwan client an address of each family, and
// sends through the tunnel with both.
func TestDualStackLease(t *testing.T) {
	t.Parallel()
	_, n, w := start(t, replace(t, "blue.hcl",
		`address = "10.10.0.1/24"`, `address = ["10.10.0.1/24", "2001:db8:10::1/64"]`,
		`ip_pool "staff" { range = "10.99.0.10-10.99.0.250" }`,
		`ip_pool "staff" { range = "10.99.0.10-10.99.0.250" }`+"\n"+
			`ip_pool "six" { range = "2001:db8:99::10-2001:db8:99::ff" }`,
		`split_tunnel     = ["10.10.0.0/24"]`, `split_tunnel     = ["10.10.0.0/24", "2001:db8:10::/64"]`,
		`address_pools        = ["staff"]`, `address_pools        = ["staff", "six"]`))
	n.Blue.Host.Address("in", "2001:db8:10::53/64")
	n.Blue.Host.Route("::/0", "2001:db8:10::1")

	conn := n.Blue.Conn()
	conn.VIPs, conn.RemoteTS = "0.0.0.0, ::", "10.10.0.0/24, 2001:db8:10::/64"
	s := n.Blue.Client.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{conn}})
	s.MustInitiate("blue")
	want := []string{"10.99.0.10", "2001:db8:99::10"}
	got := s.VIPs()
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Fatalf("addresses of the client: got %v, want %v\n%s", got, want, s.Log())
	}
	if got := w.WaitSAs("blue", 1)[0].Assigned; !slices.Equal(got, want) {
		t.Errorf("show crypto ikev2 sa: got %v, want %v", got, want)
	}
	t.Log("IPv4:", n.Blue.Client.MustPing(lab.Ping{From: want[0], To: lab.InsideHost}))
	t.Log("IPv6:", n.Blue.Client.MustPing(lab.Ping{From: want[1], To: "2001:db8:10::53"}))
	t.Log("IPv6, from inside:", n.Blue.Host.MustPing(lab.Ping{To: want[1]}))
}

// TestMakeBeforeBreak has a client that authenticates anew every few seconds, and
// logs in before it logs out: its address and its connections stay.
func TestMakeBeforeBreak(t *testing.T) {
	t.Parallel()
	l, n, w := start(t, nil)
	conn := n.Blue.Conn()
	conn.Reauth = "5s"
	s := n.Blue.Client.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{conn}, MakeBeforeBreak: true})
	s.MustInitiate("blue")
	address := vip(t, s)
	ping := n.Blue.Client.StartPing(lab.Ping{From: address, To: lab.InsideHost, Interval: 50 * time.Millisecond})
	seen := map[string]bool{}
	l.Eventually("three IKE SAs, one after the other", 60*time.Second, func() error {
		for _, sa := range w.IKESAs("blue") {
			if len(sa.ChildSAs) == 0 {
				continue // it is coming up
			}
			seen[sa.SPIi] = true
			if len(sa.Assigned) != 1 || sa.Assigned[0] != address {
				t.Fatalf("IKE SA %s has %v, the client had %s", sa.SPIi, sa.Assigned, address)
			}
		}
		if len(seen) < 3 {
			return fmt.Errorf("%d", len(seen))
		}
		return nil
	})
	r := ping.Stop()
	t.Log(r)
	if got := vip(t, s); got != address {
		t.Errorf("the client has %s, had %s", got, address)
	}
	if r.Lost() > r.Sent/20 {
		t.Errorf("traffic did not go on: %v", r)
	}
}

// TestTwoDevicesOfOneUser has a laptop and a phone with the same identity: each has
// an address of its own, though each says that it knows of no other SA.
func TestTwoDevicesOfOneUser(t *testing.T) {
	t.Parallel()
	l, n, w := start(t, nil)
	hub := n.Blue.Client // a switch now
	hub.MustRun("ip", "address", "flush", "dev", "out")
	hub.Bridge("lan")
	hub.MustRun("ip", "link", "set", "out", "master", "lan")
	addresses, devices := map[string]string{}, map[string]*lab.Namespace{}
	for i, name := range []string{"laptop", "phone"} {
		device := l.Namespace(name)
		l.Veth(hub, "v"+name, device, "out")
		hub.MustRun("ip", "link", "set", "v"+name, "master", "lan")
		device.Address("out", fmt.Sprintf("198.51.100.%d/24", i+2))
		s := device.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{n.Blue.Conn()}})
		s.MustInitiate("blue")
		addresses[name], devices[name] = vip(t, s), device
		for other, address := range addresses {
			t.Log(other, devices[other].MustPing(lab.Ping{From: address, To: lab.InsideHost}))
		}
	}
	if addresses["laptop"] == addresses["phone"] {
		t.Errorf("both have %s", addresses["phone"])
	}
	w.WaitSAs("blue", 2)
}
