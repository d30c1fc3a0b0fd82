package pki

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/ike/pki/pkitest"
)

func TestParseCertificates(t *testing.T) {
	chain := pkitest.Root("root").Authority("sub").Leaf("gw", pkitest.ECDSA())
	text := append([]byte("subject=gw\n"), chain.PEM()...)
	got, err := ParseCertificates(append(text, chain.KeyPEM()...), MaxChain)
	if err != nil || len(got) != 3 || !got[0].Equal(chain.Chain[0]) {
		t.Errorf("%d certificates, %v", len(got), err)
	}
	if got, err := ParseCertificates(chain.Chain[0].Raw, MaxChain); err != nil || len(got) != 1 {
		t.Errorf("DER: %d certificates, %v", len(got), err)
	}
	_, err = ParseCertificates(text, 2)
	want(t, err, "has more than 2 certificates")
	_, err = ParseCertificates(chain.KeyPEM(), MaxChain)
	want(t, err, "has no certificate")
	_, err = ParseCertificates(append(chain.PEM(), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE",
		Bytes: []byte("x")})...), MaxChain)
	want(t, err, "cannot be read: x509: malformed certificate (number 4)")
}

// TestKeysOfCertificates: what is too weak, too long or unknown is refused by name.
func TestKeysOfCertificates(t *testing.T) {
	root := pkitest.Root("root")
	for _, tt := range []struct {
		leaf *pkitest.Issued
		want string
	}{
		{root.Leaf("a", pkitest.RSA(1024)), `"asn1dn:CN=a,O=Example" has an RSA key of 1024 bits; 2048 to 8192 are used`},
		{root.Leaf("a", pkitest.OnCurve(elliptic.P224())), "has a key on the curve P-224"},
		{root.Leaf("a", pkitest.ECDSA(), func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3}, Value: make([]byte, MaxCertificate)}}
		}), "bytes, more than 16384"},
	} {
		_, err := ParseCertificate(tt.leaf.Chain[0].Raw)
		want(t, err, tt.want)
	}
}

// TestDescribe: no name of a peer can write a line into a log.
func TestDescribe(t *testing.T) {
	c := pkitest.Root("root\n2026 INFO").Leaf("", pkitest.ECDSA(), func(c *x509.Certificate) {
		c.Subject = pkix.Name{}
	}).Chain[0]
	if got := Describe(c); strings.Contains(got, "\n") || !strings.HasPrefix(got, "number ") {
		t.Errorf("%q", got)
	}
}

func TestNewOwn(t *testing.T) {
	root := pkitest.Root("root")
	sub := root.Authority("sub")
	gw := sub.Leaf("gw", pkitest.ECDSA())
	own, err := NewOwn(read(t, gw.DER()...), gw.Key)
	if err != nil || len(own.Chain) != 2 {
		t.Fatalf("%+v, %v", own, err)
	}
	_, err = NewOwn(read(t, gw.DER()...), pkitest.ECDSA())
	want(t, err, `the private key is not that of certificate "asn1dn:CN=gw,O=Example", which is the first of its file`)
	_, err = NewOwn(read(t, gw.DER()[0], gw.DER()[2]), gw.Key)
	want(t, err, `certificate "asn1dn:CN=root,O=Example" is not the issuer of "asn1dn:CN=gw,O=Example"`)
	_, err = NewOwn(nil, gw.Key)
	want(t, err, "has no certificate")
	self := pkitest.Root("self", func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageDigitalSignature })
	if own, err := NewOwn(read(t, self.DER()...), self.Key); err != nil || len(own.Chain) != 1 {
		t.Errorf("self-signed: %+v, %v", own, err)
	}
}

func TestExpiry(t *testing.T) {
	root := pkitest.Root("root")
	sub := root.Authority("sub", func(c *x509.Certificate) { c.NotAfter = now })
	gw := sub.Leaf("gw", pkitest.ECDSA())
	if at, c := Expiry(gw.Chain); !at.Equal(now) || c != gw.Chain[1] {
		t.Errorf("%v, %v", at, c)
	}
	if at, c := Expiry(nil); !at.IsZero() || c != nil {
		t.Errorf("nothing ends at %v, %v", at, c)
	}
	want(t, CheckTime(sub.Chain[0], now.Add(time.Second)), "has expired")
}

func FuzzParseCertificates(f *testing.F) {
	f.Add(pkitest.Root("root").Leaf("gw", pkitest.ECDSA()).PEM())
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := ParseCertificates(b, MaxChain)
		if (err == nil) != (len(list) > 0) || len(list) > MaxChain {
			t.Fatalf("%d certificates, %v", len(list), err)
		}
	})
}

// FuzzParseCertificate reads whatever a peer sends, and verifies it.
func FuzzParseCertificate(f *testing.F) {
	root := pkitest.Root("root")
	sub := root.Authority("sub", extra(oidNameConstraints, true, subtrees(0, root.Chain[0].Subject)))
	leaf := sub.Leaf("gw", pkitest.ECDSA())
	for _, b := range leaf.DER() {
		f.Add(b)
	}
	v := trust(f, root, RevocationHard, root.CRL(pkitest.End), sub.CRL(pkitest.End))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseCertificate(b)
		if err != nil {
			want(t, err, "pki: ")
			return
		}
		Describe(c)
		between := read(t, sub.Chain[0].Raw)
		if v.Verify(now, append(between, c), Client) == nil && !bytes.Equal(b, sub.Chain[0].Raw) {
			t.Fatal("an authority without the usage of an end is let in")
		}
		_ = v.Verify(now, append([]*x509.Certificate{c}, between...), Client)
	})
}

func FuzzParseCRL(f *testing.F) {
	root := pkitest.Root("root")
	leaf := root.Leaf("gw", pkitest.ECDSA())
	f.Add(root.CRL(pkitest.End, leaf))
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: root.CRL(pkitest.End)}))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := ParseCRL(b)
		if err != nil {
			want(t, err, "pki: ")
			return
		}
		_ = trust(t, root, RevocationHard).Verify(now, leaf.Chain, Client)
		_ = l.checkTime(now)
	})
}
