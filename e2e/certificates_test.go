//go:build e2e

package e2e

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// closedPKI is what a company has: a root, an authority below it for its gateways, and
// somebody whose certificate is revoked.
type closedPKI struct{ root, gateways, mallory *lab.Issued }

func newClosedPKI() closedPKI {
	root := lab.Root("Blue root")
	return closedPKI{root, root.Authority("Blue gateways"),
		root.Leaf("mallory", lab.ECDSAKey(), mailOf("mallory@blue.example"))}
}

// startCertified starts the gateway with a trustpoint for itself and one for clients in
// context blue, whose tunnel group has these ways of authentication.
func startCertified(t *testing.T, p closedPKI, key crypto.Signer, local, remote string) (*lab.Tenants, *lab.Warrend) {
	t.Helper()
	l := lab.New(t)
	n := l.TwoTenants()
	gw := p.gateways.Leaf("gw", key, func(c *x509.Certificate) { c.DNSNames = []string{"gw.blue.example"} })
	files := map[string][]byte{"gw.pem": gw.PEM(), "gw.key": gw.KeyPEM(), "root.pem": p.root.PEM(),
		"root.crl": p.root.CRL(time.Now().Add(time.Hour), p.mallory.Issued)}
	path := map[string]string{}
	for name, b := range files {
		path[name] = l.WriteFile(string(b), name)
	}
	w := n.StartGateway(replace(t, "blue.hcl",
		`local_authentication  = { pre_shared_key = "blue-gateway-key" }`, "local_authentication = "+local,
		`remote_authentication = { pre_shared_key = "blue-client-key" }`, "remote_authentication = "+remote,
		`group_policy "staff" {`, fmt.Sprintf(`trustpoint "gateway" {
  certificate = { file = %q }
  key         = { file = %q }
}
trustpoint "clients" {
  ca         = [{ file = %q }]
  crl        = [{ file = %q }]
  revocation = ["crl"]
}
group_policy "staff" {`, path["gw.pem"], path["gw.key"], path["root.pem"], path["root.crl"])))
	w.Ready()
	return n, w
}

// mailOf is a mail address in a certificate.
func mailOf(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.EmailAddresses = []string{name} }
}

// certified is a client of blue with a certificate of its own, which trusts root.
func certified(n *lab.Tenants, root, own *lab.Issued, id string) *lab.StrongSwan {
	conn := n.Blue.Conn()
	conn.LocalID, conn.RemoteID, conn.LocalCert, conn.RemoteCert = id, "gw.blue.example", "own", true
	return n.Blue.Client.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{conn},
		Authorities: [][]byte{root.CertPEM()}, Certificates: []lab.StrongSwanCert{own.StrongSwan("own")}})
}

// TestCertificates has strongSwan and the gateway prove themselves to each other with
// certificates of every kind, in fragments and out of a chain.
func TestCertificates(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]func() crypto.Signer{
		"ECDSA": lab.ECDSAKey, "RSA": func() crypto.Signer { return lab.RSAKey(3072) }, "Ed25519": lab.Ed25519Key,
	} {
		t.Run(name, func(t *testing.T) {
			p := newClosedPKI()
			n, w := startCertified(t, p, key(), `{ certificate = "gateway" }`, `{ certificate = "clients" }`)
			alice := p.root.Leaf("alice", key(), mailOf("alice@blue.example"))
			s := certified(n, p.root, alice, "alice@blue.example")
			s.MustInitiate("blue")
			if sa := w.WaitSAs("blue", 1)[0]; sa.RemoteID != "alice@blue.example" {
				t.Errorf("the gateway shows %q", sa.RemoteID)
			}
			n.Blue.Client.MustPing(lab.Ping{From: vip(t, s), To: lab.InsideHost})
			if err := s.Rekey("blue", true); err != nil {
				t.Error(err)
			}
			n.Blue.Client.MustPing(lab.Ping{From: vip(t, s), To: lab.InsideHost})
		})
	}
}

// TestCertificateOfGatewayAlone has a client with a key, which verifies the certificate of
// the gateway.
func TestCertificateOfGatewayAlone(t *testing.T) {
	t.Parallel()
	p := newClosedPKI()
	n, _ := startCertified(t, p, lab.ECDSAKey(), `{ certificate = "gateway" }`,
		`{ pre_shared_key = "blue-client-key" }`)
	conn := n.Blue.Conn()
	conn.RemoteID, conn.RemoteCert = "gw.blue.example", true
	s := n.Blue.Client.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{conn},
		Authorities: [][]byte{p.root.CertPEM()}})
	s.MustInitiate("blue")
	n.Blue.Client.MustPing(lab.Ping{From: vip(t, s), To: lab.InsideHost})
}

// TestCertificatesRefused: whoever does not prove to be who it says is told
// AUTHENTICATION_FAILED, and the log says in one line what was wrong.
func TestCertificatesRefused(t *testing.T) {
	t.Parallel()
	p, other := newClosedPKI(), newClosedPKI()
	n, w := startCertified(t, p, lab.ECDSAKey(), `{ certificate = "gateway" }`, `{ certificate = "clients" }`)
	id := "alice@blue.example"
	for _, tt := range []struct {
		name, id string
		own      *lab.Issued
		want     string
	}{
		{"of another root", id, other.root.Leaf("alice", lab.ECDSAKey(), mailOf(id)),
			"is of no authority that is trusted"},
		{"revoked", "mallory@blue.example", p.mallory, "was revoked on"},
		{"expired", id, p.root.Leaf("alice", lab.ECDSAKey(), mailOf(id), func(c *x509.Certificate) {
			c.NotAfter = time.Now().Add(-time.Hour)
		}), "has expired on"},
		{"of an authority without a CRL", id,
			p.root.Authority("Blue laptops").Leaf("alice", lab.ECDSAKey(), mailOf(id)),
			"has no CRL here, and one is required"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := certified(n, p.root, tt.own, tt.id)
			defer s.Stop()
			if s.Initiate("blue", 5*time.Second) == nil {
				t.Error("it is let in")
			}
			wantNotify(t, s, "AUTH_FAILED|AUTHENTICATION_FAILED")
			wantLog(t, w, "level=WARN", tt.id, "AUTHENTICATION_FAILED", tt.want)
		})
	}
}
