//go:build e2e

package e2e

import (
	"slices"
	"testing"

	"github.com/warrenvpn/warren/internal/lab"
)

// TestDualStackLease gives a strongSwan client an address of each family, and
// sends through the tunnel with both.
func TestDualStackLease(t *testing.T) {
	_, n, w := start(t, replace(t, "blue.hcl",
		`address = "10.10.0.1/24"`, `address = ["10.10.0.1/24", "2001:db8:10::1/64"]`,
		`ip_pool "staff" { range = "10.99.0.10-10.99.0.250" }`,
		`ip_pool "staff" { range = "10.99.0.10-10.99.0.250" }`+"\n"+`ip_pool "six" { range = "2001:db8:99::10-2001:db8:99::ff" }`,
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
