//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// branchOffice is a site at a known address whose networks can be replaced.
const branchOffice = `
tunnel_group "office" {
  type = "site-to-site"

  ikev2 {
    local_identity        = "gw.blue.example"
    remote_identity       = "office.example"
    local_authentication  = { pre_shared_key = "a key of the office" }
    remote_authentication = { pre_shared_key = "a key of the office" }
  }
}
`

// office is blue's configuration with a static entry for these networks.
func office(local, remote string) string {
	entry := fmt.Sprintf(`
  static "office" {
    peer            = %q
    tunnel_group    = "office"
    connection      = "respond"
    local_networks  = [%s]
    remote_networks = [%s]
    ipsec_proposals = ["strong"]
  }
  dynamic "any" {`, lab.OutsideClient, local, remote)
	return strings.Replace(lab.File("blue.hcl"), `
  dynamic "any" {`, entry, 1) + branchOffice
}

// TestNetworksChanged: networks that apply takes from a tunnel, or gives to it, are
// those of its child SA at once, without a gap for what stays; what a tunnel does not
// carry any more leaves neither through it nor in clear.
func TestNetworksChanged(t *testing.T) {
	t.Parallel()
	l, n, w := start(t, func(name, text string) string {
		if name == "blue.hcl" {
			return office(`"10.10.0.0/24"`, `"10.2.0.0/24", "10.2.1.0/24"`)
		}
		return text
	})
	n.Blue.Client.Tripwire("out", "10.2.0.0/16")
	n.Blue.Client.Address("lo", "10.2.0.1/32", "10.2.1.1/32", "10.2.2.1/32")
	conn := n.Blue.Conn()
	conn.Name, conn.LocalID, conn.LocalPSK, conn.RemotePSK = "office", "office.example", "a key of the office", ""
	conn.VIPs, conn.LocalTS, conn.RemoteTS = "", "10.2.0.0/16", "10.10.0.0/16"
	s := n.Blue.Client.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{conn}})
	s.MustInitiate("office")
	first := w.WaitSAs("blue", 1)[0]
	ping := func(to string) { n.Blue.Host.MustPing(lab.Ping{From: lab.InsideHost, To: to}) }
	ping("10.2.0.1")
	ping("10.2.1.1")

	// apply changes the networks while packets go to one that stays.
	apply := func(local, remote, want string) lab.PingResult {
		t.Helper()
		p := n.Blue.Host.StartPing(lab.Ping{From: lab.InsideHost, To: "10.2.1.1", Interval: 10 * time.Millisecond,
			Timeout: time.Second})
		w.Write("blue.hcl", office(local, remote))
		if out := w.MustCLI("plan"); !strings.Contains(out, "SAs that this concerns end or are rekeyed") {
			t.Errorf("plan: %q", out)
		}
		w.MustCLI("apply")
		l.Eventually("the child SA to carry "+want, 15*time.Second, func() error {
			sas := w.IKESAs("blue")
			if len(sas) != 1 || sas[0].SPIi != first.SPIi {
				t.Fatalf("the IKE SA is another one: %+v", sas)
			}
			var got []string
			for _, c := range sas[0].ChildSAs {
				got = append(got, fmt.Sprint(c.LocalTS, c.RemoteTS))
			}
			if len(got) != 1 || got[0] != want {
				return fmt.Errorf("they are %v", got)
			}
			return nil
		})
		return p.Stop()
	}
	if r := apply(`"10.10.0.0/24"`, `"10.2.1.0/24", "10.2.2.0/24"`,
		"[10.10.0.0/24] [10.2.1.0/24 10.2.2.0/24]"); r.Lost() > 3 {
		t.Errorf("what stays was interrupted: %v", r)
	}
	ping("10.2.1.1")
	ping("10.2.2.1")
	unanswered(t, l, w, n.Blue.Host, "10.2.0.1")

	if r := apply(`"10.10.0.0/26"`, `"10.2.1.0/24"`, "[10.10.0.0/26] [10.2.1.0/24]"); r.Lost() > 3 {
		t.Errorf("what stays was interrupted: %v", r)
	}
	unanswered(t, l, w, n.Blue.Host, "10.2.2.1")
	apply(`"10.10.0.128/25"`, `"10.2.1.0/24"`, "[10.10.0.128/25] [10.2.1.0/24]")
	unanswered(t, l, w, n.Blue.Host, "10.2.1.1")
	apply(`"10.10.0.0/24"`, `"10.2.0.0/16"`, "[10.10.0.0/24] [10.2.0.0/16]")
	for _, to := range []string{"10.2.0.1", "10.2.1.1", "10.2.2.1"} {
		ping(to)
	}
}
