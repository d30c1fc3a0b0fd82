package worker

import (
	"crypto/x509"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/ike/pki/pkitest"
	"github.com/warrenvpn/warren/internal/secret"
)

// certify gives a tenant a trustpoint with a certificate of its own and the authority of
// its peers, and has both sides of its tunnel groups prove themselves by certificate.
func certify(t *spec.Tenant, own, root *pkitest.Issued) *spec.Tenant {
	t.Secrets = append(t.Secrets, secret.New(own.KeyDER()))
	t.Trustpoints = []spec.Trustpoint{{Name: "pki", Chain: own.DER()[:len(own.Chain)-1],
		Key: spec.SecretRef(len(t.Secrets)), Authorities: root.DER()[:1],
		CRLs: [][]byte{root.CRL(pkitest.End)}, Revocation: spec.RevocationHard}}
	for i := range t.TunnelGroups {
		t.TunnelGroups[i].Local, t.TunnelGroups[i].Remote = spec.Certificate{Trustpoint: "pki"},
			spec.Certificate{Trustpoint: "pki"}
	}
	return t
}

// TestTakeoverWithCertificates: who has come in by certificate stays when the node dies,
// and the twin lets others in.
func TestTakeoverWithCertificates(t *testing.T) {
	root := pkitest.Root("root")
	gw := root.Leaf("gw", pkitest.ECDSA(), func(c *x509.Certificate) { c.DNSNames = []string{"gw.blue.example"} })
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, func() *spec.Tenant { return certify(testGateway(), gw, root) })
		client := func(last int, addr, name string) *host {
			own := root.Leaf(name, pkitest.ECDSA(), func(c *x509.Certificate) { c.EmailAddresses = []string{name} })
			c := newHost(t, p.net, certify(clientTenant(addr, name), own, root), addr)
			c.start()
			time.Sleep(time.Second)
			c.assigned()
			return c
		}
		alice := client(2, "198.51.100.2", "alice@example")
		p.mustPing(alice, "before the takeover")
		p.kill(0)
		p.serve(1)
		p.mustPing(alice, "after the takeover")
		bob := client(3, "198.51.100.3", "bob@example")
		p.mustPing(bob, "with the twin")
		alice.stop()
		bob.stop()
	})
}

// TestTrustpointsThatCannotBeRead are errors by name, and no panic: a supervisor of
// another version may have written them.
func TestTrustpointsThatCannotBeRead(t *testing.T) {
	root := pkitest.Root("root")
	for name, change := range map[string]func(*spec.Trustpoint){
		"chain":       func(p *spec.Trustpoint) { p.Chain = [][]byte{{1}} },
		"key":         func(p *spec.Trustpoint) { p.Key = 0 },
		"authorities": func(p *spec.Trustpoint) { p.Authorities = [][]byte{{1}} },
		"CRLs":        func(p *spec.Trustpoint) { p.CRLs = [][]byte{{1}} },
	} {
		tenant := certify(testGateway(), root.Leaf("gw", pkitest.ECDSA()), root)
		change(&tenant.Trustpoints[0])
		if _, err := engineConfig(tenant); err == nil || !strings.Contains(err.Error(), "trustpoint pki") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
