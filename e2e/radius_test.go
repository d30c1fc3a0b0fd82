//go:build e2e

package e2e

import (
	"crypto/x509"
	"fmt"
	"testing"
	"time"

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
	return n.Blue.Host.FreeRADIUS(lab.FreeRADIUSConfig{Listen: lab.InsideHost, Client: lab.InsideGateway,
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
