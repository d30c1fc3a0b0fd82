package pki

import (
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/pki/pkitest"
)

// now is when the tests look.
var now = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

// read parses what pkitest made, as it comes from a peer.
func read(t testing.TB, ders ...[]byte) (out []*x509.Certificate) {
	t.Helper()
	for _, der := range ders {
		c, err := ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	return out
}

// trust trusts the last certificate of a chain.
func trust(t testing.TB, root *pkitest.Issued, r Revocation, crls ...[]byte) *Trust {
	t.Helper()
	cfg := TrustConfig{Authorities: read(t, root.Chain[0].Raw), Revocation: r}
	for _, b := range crls {
		c, err := ParseCRL(b)
		if err != nil {
			t.Fatal(err)
		}
		cfg.CRLs = append(cfg.CRLs, c)
	}
	out, err := NewTrust(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// want compares the line of an error; "": there is none.
func want(t testing.TB, err error, line string) {
	t.Helper()
	if line == "" && err != nil || line != "" && (err == nil || !strings.Contains(err.Error(), line)) {
		t.Errorf("got %v, want %q", err, line)
	}
	if err != nil && strings.ContainsAny(err.Error(), "\n\r") {
		t.Errorf("%q is more than one line", err)
	}
}

// usages sets the extended key usage.
func usages(known []x509.ExtKeyUsage, others ...asn1.ObjectIdentifier) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.ExtKeyUsage, c.UnknownExtKeyUsage = known, others }
}

// extra adds an extension.
func extra(oid asn1.ObjectIdentifier, critical bool, value []byte) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: oid, Critical: critical, Value: value})
	}
}

func TestVerify(t *testing.T) {
	root, other := pkitest.Root("root"), pkitest.Root("other")
	sub := root.Authority("sub")
	key := pkitest.ECDSA()
	tls := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, tt := range []struct {
		name string
		peer *pkitest.Issued
		end  End
		want string
	}{
		{"of the root", root.Leaf("alice", key), Client, ""},
		{"of an authority below", sub.Leaf("alice", key), Client, ""},
		{"with RSA", root.Leaf("alice", pkitest.RSA(2048)), Client, ""},
		{"with P-521", root.Leaf("alice", pkitest.OnCurve(elliptic.P521())), Client, ""},
		{"with Ed25519", root.Leaf("alice", pkitest.Ed25519()), Client, ""},
		{"of another root", other.Leaf("alice", key), Client,
			`certificate "asn1dn:CN=alice,O=Example" is of no authority that is trusted; its issuer is ` +
				`"asn1dn:CN=other,O=Example"`},
		{"expired", root.Leaf("alice", key, func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) }), Client,
			`certificate "asn1dn:CN=alice,O=Example" has expired on 2026-05-31 23:59:59 UTC`},
		{"not valid yet", root.Leaf("alice", key, func(c *x509.Certificate) { c.NotBefore = now.Add(time.Hour) }),
			Client, `is not valid before 2026-06-01 01:00:00 UTC`},
		{"of an expired authority",
			root.Authority("old", func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Hour) }).Leaf("alice", key),
			Client, `certificate "asn1dn:CN=old,O=Example" is not valid now: it is from 1990-01-01`},
		{"of somebody who is no authority", root.Leaf("mallory", pkitest.ECDSA()).Leaf("alice", key), Client,
			`certificate "asn1dn:CN=alice,O=Example" is of no authority that is trusted`},
		{"too deep", root.Authority("flat", func(c *x509.Certificate) { c.MaxPathLenZero = true }).
			Authority("below").Leaf("alice", key), Client,
			`certificate "asn1dn:CN=flat,O=Example" does not allow so many authorities below it`},
		{"for encryption alone", root.Leaf("alice", key, func(c *x509.Certificate) {
			c.KeyUsage = x509.KeyUsageKeyEncipherment
		}), Client, "is not for signatures"},
		{"for signatures that commit", root.Leaf("alice", key, func(c *x509.Certificate) {
			c.KeyUsage = x509.KeyUsageContentCommitment
		}), Client, ""},
		{"a server as a client", root.Leaf("www", key, usages(tls)), Client, "has neither ipsecIKE nor clientAuth"},
		{"a server as a gateway", root.Leaf("gw", key, usages(tls)), Gateway, ""},
		{"a client as a gateway", root.Leaf("gw", key, usages([]x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth})), Gateway,
			"has neither ipsecIKE nor serverAuth"},
		{"any of both", root.Leaf("gw", key, usages(tls)), AnyEnd, ""},
		{"a signer of code", root.Leaf("alice", key, usages([]x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning})), AnyEnd,
			"has neither ipsecIKE nor clientAuth or serverAuth"},
		{"for IKE", root.Leaf("alice", key, usages(nil, oidIPsecIKE)), Client, ""},
		{"for IKE, of old", root.Leaf("alice", key, usages(tls, oidIKEIntermediate)), Client, ""},
		{"of an authority for servers", root.Authority("tls", usages(tls)).Leaf("alice", key), Client,
			`certificate "asn1dn:CN=tls,O=Example" is an authority for other things`},
		{"a critical extension", root.Leaf("alice", key, extra(asn1.ObjectIdentifier{1, 2, 3, 4}, true, []byte{5, 0})),
			Client, "has a critical extension that is not understood: 1.2.3.4"},
		{"any other extension", root.Leaf("alice", key, extra(asn1.ObjectIdentifier{1, 2, 3, 4}, false, []byte{5, 0})),
			Client, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want(t, trust(t, root, RevocationOff).Verify(now, read(t, tt.peer.DER()...), tt.end), tt.want)
		})
	}
}

// TestAnchors: whom the operator names is trusted as it is; what a peer sends beside its
// certificate vouches for nobody.
func TestAnchors(t *testing.T) {
	root := pkitest.Root("root")
	sub := root.Authority("sub")
	leaf := sub.Leaf("alice", pkitest.ECDSA())
	want(t, trust(t, sub, RevocationOff).Verify(now, read(t, leaf.Chain[0].Raw), Client), "")
	want(t, trust(t, root, RevocationOff).Verify(now, read(t, leaf.Chain[0].Raw), Client), "is of no authority")
	own := pkitest.Root("own", func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageDigitalSignature })
	want(t, trust(t, own, RevocationOff).Verify(now, read(t, own.DER()...), Client), "")
	want(t, trust(t, root, RevocationOff).Verify(now, read(t, own.DER()...), Client), "is of no authority")
	want(t, trust(t, root, RevocationOff).Verify(now, nil, Client), "0 certificates")
}

// subtrees is the DER of name constraints on directory names.
func subtrees(tag int, names ...pkix.Name) []byte {
	var trees []byte
	for _, n := range names {
		name := der(n.ToRDNSequence())
		base := der(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 4, IsCompound: true, Bytes: name})
		trees = append(trees, der(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: base})...)
	}
	inner := der(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: true, Bytes: trees})
	return der(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: inner})
}

func der(v any) []byte {
	b, err := asn1.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// TestDirectoryConstraints: permitted and excluded directory names, which crypto/x509 does
// not know, hold for all certificates below, whether the extension is critical or not, and
// neither case nor space goes around them.
func TestDirectoryConstraints(t *testing.T) {
	example := pkix.Name{Organization: []string{"Example"}}
	foreign := pkix.Name{Organization: []string{"Foreign"}}
	named := func(n pkix.Name) func(*x509.Certificate) { return func(c *x509.Certificate) { c.Subject = n } }
	altName := extra(oidAltName, false, der(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true,
		Bytes: der(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 4, IsCompound: true,
			Bytes: der(foreign.ToRDNSequence())})}))
	const refused = "has a name that its authority"
	for _, tt := range []struct {
		name  string
		value []byte
		leaf  []func(*x509.Certificate)
		want  string
	}{
		{"permitted", subtrees(0, foreign, example), nil, ""},
		{"not permitted", subtrees(0, foreign), nil, refused},
		{"excluded", subtrees(1, example), nil, refused},
		{"not excluded", subtrees(1, foreign), nil, ""},
		{"excluded in other letters", subtrees(1, pkix.Name{Organization: []string{" EXAMPLE "}}), nil, refused},
		{"permitted in other letters", subtrees(0, pkix.Name{Organization: []string{"exAmple"}}), nil, ""},
		{"no subject", subtrees(0, foreign), []func(*x509.Certificate){named(pkix.Name{}),
			func(c *x509.Certificate) { c.DNSNames = []string{"a.example"} }}, ""},
		{"another name beside", subtrees(0, example), []func(*x509.Certificate){altName}, refused},
	} {
		for _, critical := range []bool{true, false} {
			t.Run(tt.name, func(t *testing.T) {
				root := pkitest.Root("root")
				sub := root.Authority("sub", extra(oidNameConstraints, critical, tt.value))
				leaf := sub.Leaf("alice", pkitest.ECDSA(), tt.leaf...)
				want(t, trust(t, root, RevocationOff).Verify(now, read(t, leaf.DER()...), Client), tt.want)
			})
		}
	}
}

// TestDomainConstraints: those that crypto/x509 knows hold beside ours.
func TestDomainConstraints(t *testing.T) {
	root := pkitest.Root("root", func(c *x509.Certificate) {
		c.PermittedDNSDomains, c.PermittedDNSDomainsCritical = []string{"example.com"}, true
	})
	domain := func(name string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.DNSNames = []string{name} }
	}
	v := trust(t, root, RevocationOff)
	want(t, v.Verify(now, read(t, root.Leaf("a", pkitest.ECDSA(), domain("a.example.com")).DER()...), Client), "")
	want(t, v.Verify(now, read(t, root.Leaf("a", pkitest.ECDSA(), domain("a.example.org")).DER()...), Client),
		"has a name that its authority")
}

// TestUnknownConstraints: a kind of name that nobody looks at is refused where it is
// critical, as RFC 5280 section 4.2 has it, and where it is not, too.
func TestUnknownConstraints(t *testing.T) {
	base := der(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 8, Bytes: []byte{42, 3}}) // registeredID
	tree := der(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: base})
	inner := der(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: tree})
	value := der(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: inner})
	for _, critical := range []bool{true, false} {
		root := pkitest.Root("root")
		leaf := root.Authority("sub", extra(oidNameConstraints, critical, value)).Leaf("a", pkitest.ECDSA())
		if trust(t, root, RevocationOff).Verify(now, read(t, leaf.DER()...), Client) == nil {
			t.Errorf("critical %v: accepted", critical)
		}
	}
}

func TestRevocation(t *testing.T) {
	root := pkitest.Root("root")
	sub := root.Authority("sub")
	good, bad := sub.Leaf("good", pkitest.ECDSA()), sub.Leaf("bad", pkitest.ECDSA())
	later, gone := now.Add(time.Hour), now.Add(-time.Hour)
	forged := pkitest.Root("sub", func(c *x509.Certificate) { c.SubjectKeyId = sub.Chain[0].SubjectKeyId })
	for _, tt := range []struct {
		name       string
		crls       [][]byte
		peer       *pkitest.Issued
		soft, hard string
	}{
		{"good", [][]byte{root.CRL(later), sub.CRL(later, bad)}, good, "", ""},
		{"revoked", [][]byte{root.CRL(later), sub.CRL(later, bad)}, bad, "was revoked on 1990", "was revoked on 1990"},
		{"authority revoked", [][]byte{root.CRL(later, sub), sub.CRL(later)}, good, "was revoked on", "was revoked on"},
		{"no list", nil, good, "", `"asn1dn:CN=sub,O=Example" has no CRL here, and one is required`},
		{"none of the root", [][]byte{sub.CRL(later)}, good, "", `"asn1dn:CN=root,O=Example" has no CRL here`},
		{"out of date", [][]byte{root.CRL(later), sub.CRL(gone)}, good, "",
			`the CRL of "asn1dn:CN=sub,O=Example" is out of date: the next one was due on 2026-05-31 23:00:00 UTC`},
		{"out of date, and revoked", [][]byte{root.CRL(later), sub.CRL(gone, bad)}, bad, "was revoked", "was revoked"},
		{"an old one beside", [][]byte{root.CRL(later), sub.CRL(later), sub.CRL(gone, bad)}, bad, "was revoked",
			"was revoked"},
		{"of somebody else", [][]byte{root.CRL(later), forged.CRL(later, good)}, good, "",
			"is not signed by its authority"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			peer := read(t, tt.peer.DER()...)
			want(t, trust(t, root, RevocationOff, tt.crls...).Verify(now, peer, Client), "")
			want(t, trust(t, root, RevocationSoft, tt.crls...).Verify(now, peer, Client), tt.soft)
			want(t, trust(t, root, RevocationHard, tt.crls...).Verify(now, peer, Client), tt.hard)
		})
	}
}

func TestCheckName(t *testing.T) {
	c := read(t, pkitest.Root("root").Leaf("alice", pkitest.ECDSA(), func(c *x509.Certificate) {
		c.DNSNames = []string{"alice.example", "*.wild.example"}
		c.EmailAddresses = []string{"alice@example"}
		c.IPAddresses = []net.IP{net.ParseIP("192.0.2.7").To4(), net.ParseIP("2001:db8::7")}
	}).Chain[0].Raw)[0]
	for text, ok := range map[string]bool{
		"asn1dn:CN=alice,O=Example": true, "asn1dn:O=Example,CN=alice": false, "asn1dn:CN=bob,O=Example": false,
		"alice.example": true, "ALICE.example": true, "alice": false, "a.wild.example": false,
		"fqdn:alice@example": false,
		"alice@example":      true, "bob@example": false, "email:alice.example": false,
		"192.0.2.7": true, "192.0.2.8": false, "2001:db8::7": true, "keyid:alice": false,
	} {
		if err := CheckName(c, identity.MustParse(text)); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}
