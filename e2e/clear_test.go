//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// unserved are the packets of blue that no SA stood for.
func unserved(t *testing.T, w *lab.Warrend) float64 { return counted(t, w, "drop_clear") }

// counted is one of blue's counters.
func counted(t *testing.T, w *lab.Warrend, counter string) float64 {
	t.Helper()
	var stats struct {
		Stats []map[string]any `json:"ipsec_stats"`
	}
	if err := json.Unmarshal([]byte(w.MustCLI("show", "crypto", "ipsec", "stats", "--context", "blue", "--json")),
		&stats); err != nil {
		t.Fatal(err)
	}
	return stats.Stats[0][counter].(float64)
}

// unanswered sends from the inside to where a tunnel led, until the data plane
// has counted a packet that no SA stood for. The tripwire of the lab has the last
// word.
func unanswered(t *testing.T, l *lab.Lab, w *lab.Warrend, host *lab.Namespace, to string) {
	t.Helper()
	before := unserved(t, w)
	p := host.StartPing(lab.Ping{From: lab.InsideHost, To: to, Interval: 10 * time.Millisecond,
		Timeout: 100 * time.Millisecond})
	l.Eventually("packets to "+to+" to be dropped", 15*time.Second, func() error {
		if n := unserved(t, w) - before; n < 5 {
			return fmt.Errorf("%v are", n)
		}
		return nil
	})
	p.Stop()
}

// TestPoolTakenAway: the pool of a client that is connected is another one now;
// nothing of what is sent to the client leaves in clear, then or later.
func TestPoolTakenAway(t *testing.T) {
	l, n, w := start(t, nil)
	s, inner := client(t, n.Blue)
	n.Blue.Host.MustPing(lab.Ping{From: lab.InsideHost, To: inner})
	p := n.Blue.Host.StartPing(lab.Ping{From: lab.InsideHost, To: inner, Interval: 10 * time.Millisecond,
		Timeout: 100 * time.Millisecond})
	w.Write("blue.hcl", strings.Replace(lab.File("blue.hcl"), "10.99.0.10-10.99.0.250", "10.99.7.10-10.99.7.250", 1))
	w.MustCLI("reload")
	w.MustCLI("logoff", "--context", "blue", "--all")
	p.Stop()
	unanswered(t, l, w, n.Blue.Host, inner)
	s.MustInitiate("blue")
	n.Blue.Host.MustPing(lab.Ping{From: lab.InsideHost, To: vip(t, s)})
	wantLog(t, w, "no SA stands for packets that must not leave in clear", "address="+inner)
}

// TestClientWithoutAddress: a client that asks for no address gets no child SA: what
// the inside sent it would leave in clear. One that gives itself an address of the
// inside is not heard by the gateway at all.
func TestClientWithoutAddress(t *testing.T) {
	l, n, w := start(t, replace(t, "blue.hcl", `ip_pool "staff"`, `route "10.60.0.0/16" {
  interface = "inside"
  gateway   = "10.10.0.53"
}

ip_pool "staff"`))
	conn := n.Blue.Conn()
	conn.VIPs = ""
	s := n.Blue.Client.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{conn}})
	if err := s.Initiate("blue", 10*time.Second); err == nil {
		t.Error("it is connected")
	}
	wantLog(t, w, "peer refused", "FAILED_CP_REQUIRED")

	n.Blue.Client.MustPing(lab.Ping{From: lab.OutsideClient, To: lab.OutsideGateway})
	n.Blue.Client.Address("lo", "10.60.0.7/32")
	p := n.Blue.Client.StartPing(lab.Ping{From: "10.60.0.7", To: lab.OutsideGateway, Interval: 10 * time.Millisecond,
		Timeout: 100 * time.Millisecond})
	l.Eventually("packets in clear from the inside to be dropped", 15*time.Second, func() error {
		if n := counted(t, w, "drop_clear_in"); n < 5 {
			return fmt.Errorf("%v are", n)
		}
		return nil
	})
	if r := p.Stop(); r.Received > 0 {
		t.Errorf("some are answered: %v", r)
	}
}

// branches are sites at unknown addresses, told apart by their identity.
const branches = `
tunnel_group "branches" {
  type = "site-to-site"

  ikev2 {
    local_identity        = "gw.blue.example"
    remote_identity       = "*.branches.example"
    local_authentication  = { pre_shared_key = "blue-gateway-key" }
    remote_authentication = { pre_shared_key = "the branches' own key" }
  }
  remote_networks = ["10.2.0.0/16"]
}
`

// TestBranchAtUnknownAddress: the inside reaches a branch through its tunnel, and
// not at all when the tunnel is down, or the branch is no longer configured.
func TestBranchAtUnknownAddress(t *testing.T) {
	l, n, w := start(t, func(name, text string) string {
		if name == "blue.hcl" {
			return text + branches
		}
		return text
	})
	n.Blue.Client.Tripwire("out", "10.2.0.0/16")
	n.Blue.Client.Address("lo", "10.2.0.1/32")
	conn := n.Blue.Conn()
	conn.Name, conn.LocalID, conn.LocalPSK = "branch", "one.branches.example", "the branches' own key"
	conn.VIPs, conn.LocalTS = "", "10.2.0.0/24"
	s := n.Blue.Client.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{conn}})
	unanswered(t, l, w, n.Blue.Host, "10.2.0.1")
	s.MustInitiate("branch")
	n.Blue.Host.MustPing(lab.Ping{From: lab.InsideHost, To: "10.2.0.1"})
	unanswered(t, l, w, n.Blue.Host, "10.2.77.1") // of the group, and of no SA
	w.Write("blue.hcl", lab.File("blue.hcl"))
	w.MustCLI("reload")
	l.Eventually("the SA of the branch to end", 15*time.Second, func() error {
		if sas := w.IKESAs("blue"); len(sas) > 0 {
			return fmt.Errorf("there are %d", len(sas))
		}
		return nil
	})
	unanswered(t, l, w, n.Blue.Host, "10.2.0.1")
}

// TestDualStackNearPool: a client gets addresses of both families that lie within
// the inside subnets, over either family outside; the gateway answers for them
// there.
func TestDualStackNearPool(t *testing.T) {
	for name, remote := range map[string]string{"IPv4": lab.OutsideGateway, "IPv6": "2001:db8:51::1"} {
		t.Run(name, func(t *testing.T) {
			l := lab.New(t)
			n := l.TwoTenants()
			n.Blue.Client.Address("out", "2001:db8:51::2/64")
			n.Blue.Host.Address("in", "fd00:10::53/64")
			w := n.StartGateway(replace(t, "blue.hcl",
				`"198.51.100.1/24"`, `["198.51.100.1/24", "2001:db8:51::1/64"]`,
				`"10.10.0.1/24"`, `["10.10.0.1/24", "fd00:10::1/64"]`,
				`range = "10.99.0.10-10.99.0.250" }`, `range = "10.10.0.64-10.10.0.95" }`+"\n"+
					`ip_pool "staff6" { range = "fd00:10::c:0/112" }`,
				`dns_servers      = ["10.10.0.53"]`, `dns_servers      = ["10.10.0.53", "fd00:10::53"]`,
				`["10.10.0.0/24"]`, `["10.10.0.0/24", "fd00:10::/64"]`,
				`["staff"]`, `["staff", "staff6"]`))
			w.Ready()
			conn := n.Blue.Conn()
			conn.Remote, conn.VIPs, conn.RemoteTS = remote, "0.0.0.0,::", "10.10.0.0/24,fd00:10::/64"
			s := n.Blue.Client.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{conn}})
			s.MustInitiate("blue")
			vips := s.VIPs()
			if len(vips) != 2 {
				t.Fatalf("addresses given: %v, want one of each family\n%s", vips, s.Log())
			}
			for _, inner := range vips {
				to := lab.InsideHost
				if strings.Contains(inner, ":") {
					to = "fd00:10::53"
				}
				n.Blue.Client.MustPing(lab.Ping{From: inner, To: to})
				n.Blue.Host.MustPing(lab.Ping{From: to, To: inner})
			}
		})
	}
}

// TestLinkComesBack: a link that somebody has set down and up is as before by
// itself.
func TestLinkComesBack(t *testing.T) {
	_, n, w := start(t, nil)
	_, inner := client(t, n.Blue)
	ping := lab.Ping{From: lab.InsideHost, To: inner, Count: 1, Timeout: 200 * time.Millisecond}
	again := func(what string) {
		t.Helper()
		for limit := time.Now().Add(lab.Patience); n.Blue.Host.Ping(ping).Lost() > 0; {
			if time.Now().After(limit) {
				t.Fatalf("no traffic after %s", what)
			}
		}
	}
	inside := w.Namespace("blue")
	for _, device := range []string{"outside", "inside"} {
		inside.Down(device)
		inside.Up(device)
		again(device + " went down and up")
	}
}
