//go:build e2e

package e2e

import (
	"crypto/x509"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/warrenvpn/warren/context/aaa/radius"
	"github.com/warrenvpn/warren/context/aaa/radius/radiustest"
	"github.com/warrenvpn/warren/internal/lab"
)

// radiusKey is the shared secret of the gateway and its servers.
const radiusKey = "radius-key-of-the-lab-0123456789"

// radiusUsers are those of FreeRADIUS. Framed-IP-Address is what alice gets.
const radiusUsers = `alice Cleartext-Password := "alice-password"
	Framed-IP-Address = 10.99.0.200,
	Class = "OU=staff;",
	Session-Timeout = 7200
`

// startRADIUS starts the gateway, whose context blue has its users from servers: lines of
// an aaa_server_group.
func startRADIUS(t *testing.T, servers string) (*lab.Tenants, *lab.Warrend, *lab.Issued) {
	t.Helper()
	l := lab.New(t)
	n := l.TwoTenants()
	root := lab.Root("Blue root")
	gw := root.Leaf("gw", lab.ECDSAKey(), func(c *x509.Certificate) { c.DNSNames = []string{"gw.blue.example"} })
	chain, key := l.WriteFile(string(gw.PEM()), "gw.pem"), l.WriteFile(string(gw.KeyPEM()), "gw.key")
	w := n.StartGateway(replace(t, "blue.hcl",
		`local_authentication  = { pre_shared_key = "blue-gateway-key" }`, `local_authentication = { certificate = "gateway" }`,
		`remote_authentication = { pre_shared_key = "blue-client-key" }`, `remote_authentication = { eap = {} }`,
		`  address_pools        = ["staff"]`, "  address_pools = [\"staff\"]\n  authentication_server_group = \"ISE\"",
		`group_policy "staff" {`, fmt.Sprintf(`trustpoint "gateway" {
  certificate = { file = %q }
  key         = { file = %q }
}
aaa_server_group "ISE" {
  protocol = "radius"
  %s
}
group_policy "staff" {`, chain, key, servers)))
	w.Ready()
	return n, w, root
}

// radiusServer is the entry of a server.
func radiusServer(address, key, more string) string {
	return fmt.Sprintf("server %q {\n interface = \"inside\"\n key = %q\n %s\n}\n", address, key, more)
}

// eapClient is a client of blue that logs in by EAP.
func eapClient(n *lab.Tenants, root *lab.Issued, method, user, password string) *lab.StrongSwan {
	return n.Blue.Client.StrongSwan(lab.StrongSwanConfig{Authorities: [][]byte{root.CertPEM()},
		Swanctl: fmt.Sprintf(`connections {
  blue {
    version = 2
    remote_addrs = %s
    vips = 0.0.0.0
    local {
      auth = %s
      id = laptop@blue.example
      eap_id = %s
    }
    remote {
      auth = pubkey
      id = gw.blue.example
    }
    children {
      blue {
        remote_ts = 0.0.0.0/0
      }
    }
  }
}
secrets {
  eap-user {
    id = %s
    secret = %q
  }
}
`, lab.OutsideGateway, method, user, user, password)})
}

// freeRADIUS starts a server beside the host behind blue's gateway.
func freeRADIUS(n *lab.Tenants, method string) *lab.FreeRADIUS {
	return n.Blue.Host.FreeRADIUS(lab.FreeRADIUSConfig{Listen: lab.InsideHost, Client: "10.10.0.0/24",
		Key: radiusKey, EAP: method, Users: radiusUsers})
}

// TestRADIUS has strongSwan log in by EAP through FreeRADIUS: by the method that the server
// offers, by one that the client asks for instead, and with a wrong password.
func TestRADIUS(t *testing.T) {
	t.Parallel()
	n, w, root := startRADIUS(t, radiusServer(lab.InsideHost, radiusKey, ""))
	freeRADIUS(n, "md5")
	for _, method := range []string{"eap-mschapv2", "eap-md5"} {
		s := eapClient(n, root, method, "alice", "alice-password")
		s.MustInitiate("blue")
		n.Blue.Client.MustPing(lab.Ping{From: vip(t, s), To: lab.InsideHost})
		if err := s.Terminate("blue"); err != nil {
			t.Error(err)
		}
		s.Stop()
	}
	s := eapClient(n, root, "eap-mschapv2", "alice", "guessed")
	if err := s.Initiate("blue", time.Minute); err == nil {
		t.Error("let in with a wrong password")
	}
	wantLog(t, w, "level=WARN", "AUTHENTICATION_FAILED", "refuses", "alice")
}

// fakeRADIUS is a server on a port of the host behind blue's gateway, which does as answer says.
func fakeRADIUS(t *testing.T, n *lab.Tenants, port int, answer func(request []byte) []byte) {
	t.Helper()
	var conn *net.UDPConn
	err := n.Blue.Host.Do(func() (err error) {
		conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(lab.InsideHost), Port: port})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		b := make([]byte, radius.MaxPacket)
		for {
			size, from, err := conn.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			if a := answer(b[:size]); a != nil {
				_, _ = conn.WriteToUDPAddrPort(a, from)
			}
		}
	})
	t.Cleanup(func() { conn.Close(); serving.Wait() })
}

// success is an EAP Success, as an attribute.
var success = radiustest.Attribute(radius.TypeEAPMessage, []byte{3, 0, 0, 4})

// TestRADIUSRefused: what servers do wrong lets nobody in, and the operator reads which one
// did what.
func TestRADIUSRefused(t *testing.T) {
	t.Parallel()
	quick := "timeout = \"500ms\"\n retries = 1\n authentication_port = %d"
	for _, tt := range []struct {
		name, key string
		port      int
		answer    func(request []byte) []byte // nil: FreeRADIUS
		want      []string                    // of one line of the log
	}{
		{"the gateway has another key", "another-key-of-the-lab-0123456789", 1812, nil,
			[]string{"authentication server in trouble", "does not answer", "is the key the same"}},
		{"the server has another key", radiusKey, 1645, func(request []byte) []byte {
			return radiustest.Reply(request, "guessed",
				radiustest.Answer{Code: radius.AccessAccept, Attributes: success})
		}, []string{"authentication server in trouble", "made with another key"}},
		{"without Message-Authenticator", radiusKey, 1646, func(request []byte) []byte {
			return radiustest.Reply(request, radiusKey,
				radiustest.Answer{Code: radius.AccessAccept, Attributes: success, Unsigned: true})
		}, []string{"authentication server in trouble", "no Message-Authenticator", "CVE-2024-3596"}},
		{"nobody listens", radiusKey, 1647, nil, []string{"authentication server in trouble", "nobody listens"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n, w, root := startRADIUS(t, radiusServer(lab.InsideHost, tt.key, fmt.Sprintf(quick, tt.port)))
			if tt.answer != nil {
				fakeRADIUS(t, n, tt.port, tt.answer)
			} else {
				freeRADIUS(n, "mschapv2")
			}
			s := eapClient(n, root, "eap-mschapv2", "alice", "alice-password")
			if s.Initiate("blue", time.Minute) == nil {
				t.Error("let in")
			}
			wantLog(t, w, append(tt.want, "server_group=ISE", "server="+lab.InsideHost)...)
			wantLog(t, w, "level=WARN", "peer refused", "AUTHENTICATION_FAILED", lab.InsideHost)
		})
	}
}

// TestRADIUSNextServer: where the first server is away the second one lets the user in, and a
// third one, slower than a request waits, does, too.
func TestRADIUSNextServer(t *testing.T) {
	t.Parallel()
	quick := "timeout = \"500ms\"\n retries = 0"
	slow := "authentication_port = 1645\n timeout = \"300ms\"\n retries = 4"
	for name, servers := range map[string]string{
		"away": radiusServer("10.10.0.99", radiusKey, quick) + radiusServer(lab.InsideHost, radiusKey, ""),
		"slow": radiusServer(lab.InsideHost, radiusKey, slow),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, w, root := startRADIUS(t, servers)
			freeRADIUS(n, "mschapv2")
			before := map[string][]byte{} // FreeRADIUS takes each State once
			fakeRADIUS(t, n, 1645, func(request []byte) []byte {
				if before[string(request)] == nil {
					before[string(request)] = slowly(n, request)
				}
				return before[string(request)]
			})
			s := eapClient(n, root, "eap-mschapv2", "alice", "alice-password")
			s.MustInitiate("blue")
			n.Blue.Client.MustPing(lab.Ping{From: vip(t, s), To: lab.InsideHost})
			if told := strings.Contains(w.Log(), "authentication server in trouble"); told != (name == "away") {
				t.Errorf("trouble was told: %t", told)
			}
		})
	}
}

// slowly has FreeRADIUS answer, after longer than a request waits for its first answer.
func slowly(n *lab.Tenants, request []byte) []byte {
	time.Sleep(600 * time.Millisecond)
	var answer []byte
	_ = n.Blue.Host.Do(func() error { // no answer, on error
		conn, err := net.Dial("udp4", net.JoinHostPort(lab.InsideHost, "1812"))
		if err != nil {
			return err
		}
		defer conn.Close()
		if _, err := conn.Write(request); err != nil {
			return err
		}
		b := make([]byte, radius.MaxPacket)
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		size, err := conn.Read(b)
		answer = b[:size]
		return err
	})
	return answer
}
