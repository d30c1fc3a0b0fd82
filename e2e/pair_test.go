//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// siteFile is the context of one end: a is 1 or 2, b the other one.
func siteFile(a, b int, outer, connection, extra string) string {
	text := `
interface "outside" { address = "%OUTER%A" }
interface "inside" { address = ["10.%A.0.1/24", "2001:db8:%A::1/64"] }

tunnel_group "other" {
  type = "site-to-site"

  ikev2 {
    local_identity        = "site%A.example"
    remote_identity       = "site%B.example"
    local_authentication  = { pre_shared_key = "the key of site %A" }
    remote_authentication = { pre_shared_key = "the key of site %B" }
  }
}

crypto_map "outside" {
  static "other" {
    peer            = "%OUTER%B"
    tunnel_group    = "other"
    connection      = "%C"
    local_networks  = ["10.%A.0.0/24", "2001:db8:%A::/64"]
    remote_networks = ["10.%B.0.0/24", "2001:db8:%B::/64"]
  }
}
`
	text = strings.Replace(text, `"%OUTER%A"`, fmt.Sprintf("%q", outer+fmt.Sprint(a)+prefixLen(outer)), 1)
	return strings.NewReplacer("%OUTER", outer, "%A", fmt.Sprint(a), "%B", fmt.Sprint(b), "%C",
		connection).Replace(text) + extra
}

func prefixLen(outer string) string {
	if strings.Contains(outer, ":") {
		return "/64"
	}
	return "/24"
}

// TestSites connects two Warrens, over IPv4 and IPv6, with raw ESP and with ESP
// in UDP, and sends both families through.
func TestSites(t *testing.T) {
	tests := []struct {
		name, outer, extra string
		wire               string
	}{
		{"IPv4, raw ESP", "192.0.2.", "", "esp"},
		{"IPv4, in UDP", "192.0.2.", "\ndataplane { force_udp_encapsulation = true }\n", "esp-in-udp"},
		{"IPv6, raw ESP", "2001:db8:ffff::", "", "esp"},
		{"IPv6, in UDP", "2001:db8:ffff::", "\ndataplane { force_udp_encapsulation = true }\n", "esp-in-udp"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := lab.New(t)
			gateways := []*lab.Namespace{l.Namespace("gw1"), l.Namespace("gw2")}
			l.Veth(gateways[0], "out", gateways[1], "out")
			var hosts []*lab.Namespace
			var daemons []*lab.Warrend
			for i, gw := range gateways {
				host := l.Namespace(fmt.Sprintf("host%d", i+1))
				l.Veth(gw, "in", host, "in")
				host.Address("in", fmt.Sprintf("10.%d.0.53/24", i+1), fmt.Sprintf("2001:db8:%d::53/64", i+1))
				host.Route("0.0.0.0/0", fmt.Sprintf("10.%d.0.1", i+1))
				host.Route("::/0", fmt.Sprintf("2001:db8:%d::1", i+1))
				hosts = append(hosts, host)
				daemons = append(daemons, gw.Warrend(lab.WarrendConfig{
					Name: fmt.Sprintf("gw%d", i+1), System: lab.OneContext("site", "out", "in"),
					Files: map[string]string{"site.hcl": siteFile(i+1, 2-i, tt.outer,
						[]string{"start", "respond"}[i], tt.extra)},
				}))
			}
			for _, w := range daemons {
				w.Ready()
			}
			daemons[1].Namespace("site").Tripwire("outside", "10.0.0.0/8", "2001:db8:1::/64", "2001:db8:2::/64")
			wire := daemons[1].Namespace("site").Capture("outside")
			for _, w := range daemons {
				w.WaitSAs("site", 1)
			}
			for _, size := range []int{56, 1400, 8000} {
				for _, p := range []lab.Ping{{To: "10.2.0.53"}, {To: "2001:db8:2::53"}} {
					p.Size, p.Count, p.Interval = size, 5, 10*time.Millisecond
					t.Logf("%s, %d bytes: %v", p.To, size, hosts[0].MustPing(p))
				}
			}
			hosts[1].MustPing(lab.Ping{To: "10.1.0.53"})
			hosts[1].MustPing(lab.Ping{To: "2001:db8:1::53"})
			t.Log("TCP:", hosts[0].MustIperf(hosts[1], lab.Iperf{To: "10.2.0.53"}))
			t.Log("TCP over IPv6:", hosts[0].MustIperf(hosts[1], lab.Iperf{To: "2001:db8:2::53"}))
			wire.Stop()
			for _, p := range wire.Packets(nil) {
				if (p.Protocol == "esp" || p.Protocol == "esp-in-udp") && p.Protocol != tt.wire {
					t.Fatalf("on the wire: got %s, want %s", p.Protocol, tt.wire)
				}
				if p.Protocol == "tcp" || strings.HasPrefix(p.Src, "10.") {
					t.Fatalf("in the clear: a packet from %s to %s", p.Src, p.Dst)
				}
			}
		})
	}
}
