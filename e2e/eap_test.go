//go:build e2e

package e2e

import (
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// startUsers starts the gateway with a certificate, a tunnel group of blue whose clients log
// in by these EAP methods, and two users.
func startUsers(t *testing.T, p closedPKI, methods string) (*lab.Tenants, *lab.Warrend) {
	t.Helper()
	l := lab.New(t)
	n := l.TwoTenants()
	gw := p.gateways.Leaf("gw", lab.ECDSAKey(), func(c *x509.Certificate) { c.DNSNames = []string{"gw.blue.example"} })
	w := n.StartGateway(replace(t, "blue.hcl",
		`local_authentication  = { pre_shared_key = "blue-gateway-key" }`,
		`local_authentication  = { certificate = "gateway" }`,
		`remote_authentication = { pre_shared_key = "blue-client-key" }`,
		fmt.Sprintf(`remote_authentication = { eap = { methods = [%s] } }`, methods),
		`group_policy "staff" {`, fmt.Sprintf(`trustpoint "gateway" {
  certificate = { file = %q }
  key         = { file = %q }
}
user "alice" { password = "wonderland is far" }
user "bob" { password = %q }
group_policy "staff" {`, l.WriteFile(string(gw.PEM()), "gw.pem"), l.WriteFile(string(gw.KeyPEM()), "gw.key"), bobsHash)))
	w.Ready()
	return n, w
}

// bobsHash is the Argon2id hash of "builders build", as other programs make it, too.
const bobsHash = "$argon2id$v=19$m=19456,t=2,p=1$NWddsE8TWYI+u3im3w9Tjw$fmYlQ2x4EircMbvGe3kgxdFZxk/x5KTuoovzN03ASt4"

// user is a client of blue that logs in, and verifies the certificate of the gateway.
func user(n *lab.Tenants, root *lab.Issued, method, name, password string) *lab.StrongSwan {
	conn := n.Blue.Conn()
	conn.RemoteID, conn.RemoteCert = "gw.blue.example", true
	conn.LocalID, conn.LocalEAP, conn.EAPUser, conn.EAPPassword = "phone7@blue.example", method, name, password
	return n.Blue.Client.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{conn},
		Authorities: [][]byte{root.CertPEM()}})
}

// TestEAP has strongSwan log in by every method that it has in common with the local users,
// each of which it is offered first or asks for.
func TestEAP(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, methods, method, user, password, session string }{
		{"MSCHAPv2", `"mschapv2", "gtc"`, "eap-mschapv2", "alice", "wonderland is far", "alice"},
		{"MSCHAPv2 with a domain", `"mschapv2"`, "eap-mschapv2", `CORP\alice`, "wonderland is far", "alice"},
		{"MD5", `"md5"`, "eap-md5", "alice", "wonderland is far", "alice"},
		{"MD5 that it asks for", `"mschapv2", "md5"`, "eap-md5", "alice", "wonderland is far", "alice"},
		{"GTC with a hash", `"mschapv2", "gtc"`, "eap-gtc", "bob", "builders build", "bob"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newClosedPKI()
			n, w := startUsers(t, p, tt.methods)
			s := user(n, p.root, tt.method, tt.user, tt.password)
			s.MustInitiate("blue")
			if sa := w.WaitSAs("blue", 1)[0]; sa.RemoteID != "phone7@blue.example" {
				t.Errorf("the gateway shows %q", sa.RemoteID)
			}
			if x := w.MustCLI("show", "vpn-sessiondb", "--context", "blue", "--json"); !strings.Contains(x,
				fmt.Sprintf(`"user": %q`, tt.session)) {
				t.Errorf("sessions: %s", x)
			}
			n.Blue.Client.MustPing(lab.Ping{From: vip(t, s), To: lab.InsideHost})
			if err := s.Rekey("blue", true); err != nil {
				t.Error(err)
			}
			n.Blue.Client.MustPing(lab.Ping{From: vip(t, s), To: lab.InsideHost})
		})
	}
}

// TestEAPRefused: whoever does not know a password is told so in the same way, whether there
// is such a user or not, and the log says in one line what was wrong.
func TestEAPRefused(t *testing.T) {
	t.Parallel()
	p := newClosedPKI()
	n, w := startUsers(t, p, `"mschapv2", "gtc"`)
	var first []string
	for _, tt := range []struct{ name, method, user, password, want string }{
		{"a wrong password", "eap-mschapv2", "alice", "wonderland is near", "wrong password of user alice"},
		{"nobody", "eap-mschapv2", "carol", "wonderland is far", "there is no user carol"},
		{"a hash that MSCHAPv2 cannot verify", "eap-mschapv2", "bob", "builders build",
			"user bob has no password of a form that EAP-MSCHAPv2 can verify"},
		{"a method that is not offered", "eap-md5", "alice", "wonderland is far", "this gateway offers [MSCHAPv2 GTC]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := user(n, p.root, tt.method, tt.user, tt.password)
			defer s.Stop()
			began := time.Now()
			if s.Initiate("blue", 5*time.Second) == nil {
				t.Error("it is let in")
			}
			if time.Since(began) > 4*time.Second {
				t.Error("it has to wait for that")
			}
			wantLog(t, w, "level=WARN", "phone7@blue.example", "AUTHENTICATION_FAILED", tt.want)
			var said []string
			for line := range strings.Lines(s.Log()) {
				if _, message, ok := strings.Cut(line, " parsed IKE_AUTH response "); ok {
					said = append(said, strings.TrimSpace(message))
				}
			}
			if tt.method != "eap-mschapv2" {
				return
			}
			if first == nil {
				first = said
			}
			if strings.Join(said, "\n") != strings.Join(first, "\n") {
				t.Errorf("it is told\n%q, the one before\n%q", said, first)
			}
		})
	}
	if sas := w.IKESAs("blue"); len(sas) != 0 {
		t.Errorf("%d IKE SAs are left", len(sas))
	}
}
