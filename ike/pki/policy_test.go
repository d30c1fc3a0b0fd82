package pki

import (
	"crypto/x509"
	"testing"

	"github.com/warrenvpn/warren/ike/pki/pkitest"
)

// policies are those of a certificate.
func policies(t *testing.T, texts ...string) func(*x509.Certificate) {
	t.Helper()
	var list []x509.OID
	for _, text := range texts {
		oid, err := x509.ParseOID(text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, oid)
	}
	return func(c *x509.Certificate) { c.Policies = list }
}

func TestPolicies(t *testing.T) {
	const asked, also, other = "1.3.6.1.4.1.36906.1.1", "1.3.6.1.4.1.36906.1.2", "1.3.6.1.4.1.36906.1.3"
	root := pkitest.Root("root")
	leaf := func(by *pkitest.Issued, texts ...string) *pkitest.Issued {
		return by.Leaf("alice", pkitest.ECDSA(), policies(t, texts...))
	}
	trust := func(texts ...string) *Trust {
		cfg := TrustConfig{Authorities: root.Chain}
		for _, text := range texts {
			p, err := ParsePolicy(text)
			if err != nil {
				t.Fatal(err)
			}
			cfg.Policies = append(cfg.Policies, p)
		}
		x, err := NewTrust(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	for _, tt := range []struct {
		name string
		peer *pkitest.Issued
		want string
	}{
		{"it has one", leaf(root, other, asked), ""},
		{"the second one", leaf(root, also), ""},
		{"it has another", leaf(root, other), `certificate "asn1dn:CN=alice,O=Example" has no certificate policy`},
		{"it has none", leaf(root), "has no certificate policy that is asked for: " + asked + ", " + also},
		{"any is none", leaf(root, anyPolicy), "has no certificate policy"},
		{"over an authority that has it", leaf(root.Authority("ca", policies(t, asked)), asked), ""},
		{"over an authority for any", leaf(root.Authority("ca", policies(t, anyPolicy)), asked), ""},
		{"over an authority for another", leaf(root.Authority("ca", policies(t, also)), asked),
			`certificate "asn1dn:CN=ca,O=Example" has no certificate policy`},
		{"over an authority for none", leaf(root.Authority("ca"), asked), "has no certificate policy"},
		{"the other one over its authority", leaf(root.Authority("ca", policies(t, also)), asked, also), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want(t, trust(asked, also).Verify(pkitest.Begin, tt.peer.Chain, Client), tt.want)
			want(t, trust().Verify(pkitest.Begin, tt.peer.Chain, Client), "")
		})
	}
}

func FuzzParsePolicy(f *testing.F) {
	f.Add("1.3.6.1.4.1.36906.1.1")
	f.Add(anyPolicy)
	f.Fuzz(func(t *testing.T, text string) {
		if oid, err := ParsePolicy(text); err == nil && oid.String() == anyPolicy {
			t.Error("any policy is one that is asked for")
		}
	})
}
