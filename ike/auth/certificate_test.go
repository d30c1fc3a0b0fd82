package auth

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/pki"
	"github.com/warrenvpn/warren/ike/pki/pkitest"
	"github.com/warrenvpn/warren/ike/wire"
)

// examiner trusts an authority.
func examiner(t *testing.T, root *pkitest.Issued) *Examiner {
	t.Helper()
	trust, err := pki.NewTrust(pki.TrustConfig{Authorities: root.Chain[:1]})
	if err != nil {
		t.Fatal(err)
	}
	return &Examiner{Trust: trust, End: pki.Client}
}

// TestExamine: a certificate proves its own names, by a signature of its key, and nothing
// else.
func TestExamine(t *testing.T) {
	root := pkitest.Root("root")
	key := pkitest.ECDSA()
	alice := root.Authority("sub").Leaf("alice", key, func(c *x509.Certificate) {
		c.EmailAddresses = []string{"alice@example"}
	})
	bob := root.Leaf("bob", pkitest.ECDSA())
	own, err := pki.NewOwn(alice.Chain, key)
	if err != nil {
		t.Fatal(err)
	}
	signer := &Signer{Own: own}
	octets := []byte("what is signed")
	proof, err := signer.Sign(AllHashes, octets)
	if err != nil {
		t.Fatal(err)
	}
	certs := signer.Certificates()
	if len(certs) != 2 {
		t.Fatalf("%d certificates are sent", len(certs))
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name, id string
		ps       wire.Payloads
		octets   string
		want     string
	}{
		{"by mail address", "alice@example", append(certs, proof), "what is signed", ""},
		{"by subject", "asn1dn:CN=alice,O=Example", append(certs, proof), "what is signed", ""},
		{"as somebody else", "bob@example", append(certs, proof), "what is signed",
			`certificate "asn1dn:CN=alice,O=Example" does not have the name bob@example`},
		{"with the certificate of somebody else", "asn1dn:CN=bob,O=Example",
			wire.Payloads{wire.Cert{Encoding: wire.CertX509, Data: bob.Chain[0].Raw}, proof}, "what is signed",
			"the signature is not that of the certificate's key"},
		{"for something else", "alice@example", append(certs, proof), "what was not signed",
			"the signature is not that of the certificate's key"},
		{"without its authority", "alice@example", wire.Payloads{certs[0], proof}, "what is signed",
			"is of no authority that is trusted"},
		{"with another one that cannot be read", "alice@example", wire.Payloads{certs[0],
			wire.Cert{Encoding: wire.CertX509, Data: []byte("x")}, certs[1], proof}, "what is signed", ""},
		{"without a certificate", "alice@example", wire.Payloads{proof}, "what is signed", "sends no certificate"},
		{"by hash and URL", "alice@example", wire.Payloads{wire.Cert{Encoding: wire.CertHashURL,
			Data: []byte("http://")}, proof}, "what is signed", "sends no certificate"},
		{"with too many", "alice@example", append(wire.Payloads{certs[0], certs[0], certs[0], certs[0], certs[0],
			certs[0], certs[0], certs[0]}, certs[1], proof), "what is signed", "more than 8 certificates"},
		{"unreadable", "alice@example", wire.Payloads{wire.Cert{Encoding: wire.CertX509, Data: []byte("x")}, proof},
			"what is signed", "cannot be read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			claim, err := ClaimOf(identity.MustParse(tt.id), []byte(tt.octets), tt.ps)
			var id identity.Identity
			if err == nil {
				id, err = examiner(t, root).Examine(now, &claim)
			}
			switch {
			case tt.want == "" && (err != nil || id.String() != tt.id):
				t.Errorf("%v, %v", id, err)
			case tt.want != "" && (!errors.Is(err, ErrFailed) || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestAuthorities(t *testing.T) {
	a, b := pkitest.Root("a"), pkitest.Root("b")
	all := []*Examiner{examiner(t, a), examiner(t, b), examiner(t, a)}
	h := pki.KeyHash(a.Chain[0])
	if got := Authorities(all, 8); len(got) != 40 || [20]byte(got) != h {
		t.Errorf("%x", got)
	}
	if got := Authorities(all, 1); len(got) != 20 {
		t.Errorf("%x", got)
	}
}
