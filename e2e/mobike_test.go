//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// TestMOBIKE takes the address of a strongSwan client away, which has another one: it
// keeps its IKE SA, and what is under way in the tunnel goes on; and
// so once more, back to the first one.
func TestMOBIKE(t *testing.T) {
	t.Parallel()
	l, n, w := start(t, nil)
	client := n.Blue.Client // it has two addresses
	client.Sysctl("net/ipv4/conf/out/promote_secondaries", "1")
	s := client.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{n.Blue.Conn()}})
	s.MustInitiate("blue")
	before := w.WaitSAs("blue", 1)[0]
	if out := w.MustCLI("show", "crypto", "ikev2", "sa", "--context", "blue", "--detail"); !strings.Contains(out,
		"MOBIKE: yes") {
		t.Errorf("show crypto ikev2 sa --detail:\n%s", out)
	}
	from, _, _ := strings.Cut(before.Remote, ":")
	ping := client.StartPing(lab.Ping{From: vip(t, s), To: lab.InsideHost, Interval: 50 * time.Millisecond})
	for range 2 {
		client.MustRun("ip", "address", "del", from+"/24", "dev", "out")
		to := from
		l.Eventually("the client to be elsewhere", 20*time.Second, func() error {
			sa := w.WaitSAs("blue", 1)[0]
			to, _, _ = strings.Cut(sa.Remote, ":")
			if to == from || !strings.HasPrefix(sa.ChildSAs[0].Remote, to+":") {
				return fmt.Errorf("IKE SA with %s, child SA with %s", sa.Remote, sa.ChildSAs[0].Remote)
			}
			if sa.SPIi != before.SPIi {
				t.Fatalf("it has connected anew: %v, before %v\n%s", sa, before, s.Log())
			}
			return nil
		})
		answers(l, ping, 10)
		client.Address("out", from+"/24")
		from = to
	}
	t.Log(ping.Stop())
	if log := s.Log(); strings.Count(log, "UPD_SA_ADDR") < 2 {
		t.Errorf("strongSwan has not moved with MOBIKE:\n%s", log)
	}
}

// The second family of the outside, and that of the inside.
const (
	outsideGateway6 = "2001:db8:51::1"
	outsideClient6  = "2001:db8:51::2"
	insideHost6     = "fd00:10::53"
)

// TestMOBIKEChangesFamily takes the IPv4 address of a strongSwan client away, which has an
// IPv6 address, too: its IKE SA and its child SA, which carries both families, go on over
// IPv6, and over IPv4 again when that is back and IPv6 is gone.
func TestMOBIKEChangesFamily(t *testing.T) {
	t.Parallel()
	l := lab.New(t)
	n := l.TwoTenants()
	client := n.Blue.Client
	client.MustRun("ip", "address", "del", lab.OutsideRouter+"/24", "dev", "out")
	client.Address("out", outsideClient6+"/64")
	n.Blue.Host.Address("in", insideHost6+"/64")
	n.Blue.Host.Route("::/0", "fd00:10::1")
	w := n.StartGateway(replace(t, "blue.hcl",
		`"198.51.100.1/24"`, `["198.51.100.1/24", "`+outsideGateway6+`/64"]`,
		`"10.10.0.1/24"`, `["10.10.0.1/24", "fd00:10::1/64"]`,
		`ip_pool "staff" {`, `ip_pool "staff6" { range = "fd00:99::c:0/112" }`+"\n"+`ip_pool "staff" {`,
		`["10.10.0.0/24"]`, `["10.10.0.0/24", "fd00:10::/64"]`,
		`["staff"]`, `["staff", "staff6"]`))
	w.Ready()
	conn := n.Blue.Conn()
	conn.VIPs, conn.RemoteTS = "0.0.0.0,::", "10.10.0.0/24,fd00:10::/64"
	s := client.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{conn}})
	s.MustInitiate("blue")
	before := w.WaitSAs("blue", 1)[0]
	for _, step := range []struct{ down, up, at string }{
		{lab.OutsideClient + "/24", "", "[" + outsideClient6 + "]:"},
		{outsideClient6 + "/64", lab.OutsideClient + "/24", lab.OutsideClient + ":"},
	} {
		if step.up != "" {
			client.Address("out", step.up)
		}
		client.MustRun("ip", "address", "del", step.down, "dev", "out")
		wholeAt(l, w, "blue", before.SPIi, step.at, s)
		for _, inner := range s.VIPs() {
			to := lab.InsideHost
			if strings.Contains(inner, ":") {
				to = insideHost6
			}
			client.MustPing(lab.Ping{From: inner, To: to})
		}
	}
}

// wholeAt waits until the IKE SA with the initiator's SPI and its child SA are with a peer
// whose address and port begin with at; another IKE SA ends the test.
func wholeAt(l *lab.Lab, w *lab.Warrend, tenant, spi, at string, s *lab.StrongSwan) {
	l.Eventually("the peer to be at "+at, 60*time.Second, func() error {
		sa := w.WaitSAs(tenant, 1)[0]
		if sa.SPIi != spi {
			return fmt.Errorf("it has connected anew: %v\n%s", sa, s.Log())
		}
		if !strings.HasPrefix(sa.Remote, at) || len(sa.ChildSAs) != 1 || !strings.HasPrefix(sa.ChildSAs[0].Remote, at) {
			return fmt.Errorf("IKE SA with %s, child SAs %v\n%s", sa.Remote, sa.ChildSAs, s.Log())
		}
		return nil
	})
}

// TestMOBIKEAsInitiator: a gateway that has dialled strongSwan, and whose path to it
// carries nothing any more, goes on over that between other addresses of both, which
// strongSwan had told, and back when that one is lost.
func TestMOBIKEAsInitiator(t *testing.T) {
	t.Parallel()
	l := lab.New(t)
	n := l.TwoTenants()
	site := n.Blue.Client
	site.Address("out", outsideClient6+"/64")
	site.Address("lo", "10.2.0.1/32")
	conn := n.Blue.Conn()
	conn.Name, conn.LocalID, conn.LocalPSK, conn.RemotePSK = "office", "office.example", "a key of the office", ""
	conn.Local, conn.Remote = lab.OutsideClient+","+outsideClient6, "%any"
	conn.VIPs, conn.LocalTS, conn.RemoteTS = "", "10.2.0.0/24", "10.10.0.0/24"
	s := site.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{conn}})
	w := n.StartGateway(func(name, text string) string {
		if name != "blue.hcl" {
			return text
		}
		text = strings.Replace(office(`"10.10.0.0/24"`, `"10.2.0.0/24"`), `connection      = "respond"`,
			`connection      = "start"`, 1)
		text = strings.Replace(text, `type = "site-to-site"`, `type = "site-to-site"`+"\n"+`  dpd  = "10s"`, 1)
		return strings.Replace(text, `"198.51.100.1/24"`, `["198.51.100.1/24", "`+outsideGateway6+`/64"]`, 1)
	})
	w.Ready()
	before := w.WaitSAs("blue", 1)[0]
	ping := lab.Ping{From: lab.InsideHost, To: "10.2.0.1"}
	n.Blue.Host.MustPing(ping)
	if out := w.MustCLI("show", "crypto", "ikev2", "sa", "--context", "blue", "--detail"); !strings.Contains(out,
		"MOBIKE: yes") {
		t.Errorf("show crypto ikev2 sa --detail:\n%s", out)
	}
	for _, step := range []struct{ lost, at string }{
		{"meta protocol ip", "[" + outsideClient6 + "]:"},
		{"ip6 saddr " + outsideGateway6, lab.OutsideClient + ":"},
	} {
		f := site.Drop("out", step.lost)
		wholeAt(l, w, "blue", before.SPIi, step.at, s)
		l.Eventually("answers over "+step.at, 15*time.Second, func() error { // the peer may not be told yet
			if r := n.Blue.Host.Ping(ping); r.Lost() > 0 {
				return fmt.Errorf("%v\n%s", r, s.Log())
			}
			return nil
		})
		f.Heal()
	}
	if log := s.Log(); strings.Count(log, "UPD_SA_ADDR") < 2 {
		t.Errorf("strongSwan was not told:\n%s", log)
	}
}
