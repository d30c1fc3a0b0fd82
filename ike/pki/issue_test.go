package pki

import (
	"crypto/rand"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/pki/pkitest"
)

// TestCA: what an authority signs is verified against it, for the end and the names that it
// is for and for no others, and no longer than the authority itself.
func TestCA(t *testing.T) {
	from := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	until, now := from.AddDate(2, 0, 0), from.AddDate(1, 0, 0)
	ca, err := NewCA(rand.Reader, "Example VPN", pkitest.ECDSA(), from, from.AddDate(10, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	kept, err := MarshalKey(ca.key)
	if err != nil {
		t.Fatal(err)
	}
	if ca, err = ParseCA(ca.Certificate.Raw, kept.Reveal()); err != nil {
		t.Fatal(err)
	}
	trust, err := NewTrust(TrustConfig{Authorities: []*x509.Certificate{ca.Certificate}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		end, other End
		names      []string
	}{
		{Gateway, Client, []string{"vpn.example.com", "203.0.113.2", "2001:db8::2"}},
		{Client, Gateway, []string{"alice@example.com"}},
	} {
		key := pkitest.RSA(2048)
		c, err := ca.Issue(rand.Reader, key.Public(), tt.end, tt.names, from, until)
		if err != nil {
			t.Fatal(err)
		}
		renewed, err := ca.Renew(rand.Reader, c, now, now.AddDate(2, 0, 0))
		if err != nil {
			t.Fatal(err)
		}
		if renewed.SerialNumber.Cmp(c.SerialNumber) == 0 || !renewed.NotAfter.After(c.NotAfter) {
			t.Errorf("renewed: number %v, until %v", renewed.SerialNumber, renewed.NotAfter)
		}
		for _, c := range []*x509.Certificate{c, renewed} {
			want(t, trust.Verify(now, []*x509.Certificate{c}, tt.end), "")
			want(t, trust.Verify(now, []*x509.Certificate{c}, tt.other), "is for other things")
			want(t, trust.Verify(now.AddDate(3, 0, 0), []*x509.Certificate{c}, tt.end), "has expired on")
			for _, name := range tt.names {
				want(t, CheckName(c, identity.MustParse(name)), "")
			}
			want(t, CheckName(c, identity.MustParse("bob@example.com")), "does not have the name")
			if _, err := NewOwn([]*x509.Certificate{c, ca.Certificate}, key); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestCARefuses(t *testing.T) {
	from, until := pkitest.Begin, pkitest.Begin.AddDate(1, 0, 0)
	ca, err := NewCA(rand.Reader, "Example VPN", pkitest.ECDSA(), from, until)
	if err != nil {
		t.Fatal(err)
	}
	key := pkitest.ECDSA()
	issue := func(until time.Time, names ...string) error {
		_, err := ca.Issue(rand.Reader, key.Public(), Client, names, from, until)
		return err
	}
	want(t, issue(until), "needs a name")
	want(t, issue(until, "keyid:x"), "is no domain, address or mail address")
	want(t, issue(until, ""), "the name cannot be used")
	want(t, issue(until.Add(time.Second), "a@b.example"), "and its authority")
	want(t, issue(from, "a@b.example"), "would end on")
	_, err = NewCA(rand.Reader, "", key, from, until)
	want(t, err, "needs a name")
	_, err = ca.Issue(strings.NewReader(""), key.Public(), Client, []string{"a@b.example"}, from, until)
	want(t, err, "has got no number")

	other := pkitest.Root("other")
	_, err = ca.Renew(rand.Reader, other.Leaf("x", key).Chain[0], from, until)
	want(t, err, "is none that")
	_, err = ParseCA(other.Chain[0].Raw, (&pkitest.Issued{Key: key}).KeyDER())
	want(t, err, "is not that of certificate")
	leaf := other.Leaf("x", key)
	_, err = ParseCA(leaf.Chain[0].Raw, leaf.KeyDER())
	want(t, err, "is no authority")
}

func FuzzParseCA(f *testing.F) {
	root := pkitest.Root("root")
	f.Add(root.PEM(), root.KeyPEM())
	f.Fuzz(func(t *testing.T, certificate, key []byte) {
		ca, err := ParseCA(certificate, key)
		if (err == nil) != (ca != nil) {
			t.Fatalf("%v, %v", ca, err)
		}
	})
}
