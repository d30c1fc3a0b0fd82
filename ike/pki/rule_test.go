package pki

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/ike/pki/pkitest"
)

func TestRule(t *testing.T) {
	c := pkitest.Root("CA").Leaf("alice", pkitest.ECDSA(), func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: "alice", Organization: []string{"Example"},
			OrganizationalUnit: []string{"Lab", "Staff, north"}, Country: []string{"DE"}}
		c.SerialNumber = big.NewInt(0x0a0b)
		c.DNSNames, c.EmailAddresses = []string{"Laptop7.Lab.example"}, []string{"alice@lab.example"}
		c.IPAddresses = []net.IP{net.IPv4(192, 0, 2, 7).To4()}
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{oidIPsecIKE}
	}).Chain[0]
	for text, want := range map[string]bool{
		"subject-name attr cn eq alice":            true,
		"Subject-Name  attr CN eq  ALICE ":         true,
		"subject-name attr cn ne alice":            false,
		"subject-name attr cn co lic":              true,
		"subject-name attr cn nc lic":              false,
		"subject-name attr ou eq lab":              true, // one of two
		"subject-name attr ou eq staff, north":     true,
		"subject-name attr ou ne lab":              false,
		"subject-name attr ou nc south":            true,
		"subject-name attr ea eq a@b":              false, // there is none
		"subject-name attr ea ne a@b":              true,
		"subject-name co o=example":                true,
		"subject-name nc o=example":                false,
		"subject-name eq alice":                    false, // not the whole of it
		"issuer-name attr cn eq ca":                true,
		"issuer-name attr cn eq alice":             false,
		"alt-subject-name eq laptop7.lab.example":  true,
		"alt-subject-name co @lab.example":         true,
		"alt-subject-name eq 192.0.2.7":            true,
		"alt-subject-name nc @lab.example":         false,
		"serial-number eq 0A:0B":                   true,
		"serial-number eq a0b":                     true,
		"serial-number ne a0b":                     false,
		"serial-number eq a0":                      false,
		"extended-key-usage co clientauth":         true,
		"extended-key-usage co 1.3.6.1.5.5.7.3.2":  true,
		"extended-key-usage co serverauth":         false, // whose OID begins that of ipsecike
		"extended-key-usage co 1.3.6.1.5.5.7.3.17": true,
		"extended-key-usage nc ipsecike":           false,
		"extended-key-usage nc serverauth":         true,
	} {
		r, err := ParseRule(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := r.Matches(c); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// TestUnreadableRule: a name that has a value which is no text fits no rule, also none
// that says what it does not contain.
func TestUnreadableRule(t *testing.T) {
	raw, err := asn1.Marshal(pkix.RDNSequence{{{Type: asn1.ObjectIdentifier{2, 5, 4, 11}, Value: 7}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"subject-name attr ou nc x", "subject-name attr ou co 7"} {
		r, err := ParseRule(text)
		if err != nil {
			t.Fatal(err)
		}
		if r.Matches(&x509.Certificate{RawSubject: raw}) {
			t.Errorf("%s holds", text)
		}
	}
}

func TestBrokenRule(t *testing.T) {
	for text, problem := range map[string]string{
		"":                                "begins with subject-name",
		"subject cn eq x":                 "begins with subject-name",
		"subject-name attr xx eq x":       `no known attribute behind attr, such as cn, o, ou, ea or dc, but "xx"`,
		"subject-name cn eq x":            `one of eq, ne, co, nc, and not with "cn"`,
		"alt-subject-name attr cn eq x":   `and not with "attr"`,
		"subject-name attr cn eq":         "nothing to compare with behind eq",
		"serial-number eq xyz":            "is not hexadecimal",
		"serial-number eq :":              "is not hexadecimal",
		"serial-number co 1":              `one of eq, ne, and not with "co"`,
		"extended-key-usage co tlsclient": "unknown extended-key-usage",
		"extended-key-usage co 1.03.6":    "unknown extended-key-usage",
		"subject-name co " + strings.Repeat("x", maxRule): "more than 512 bytes",
	} {
		_, err := ParseRule(text)
		want(t, err, problem)
	}
}

func FuzzParseRule(f *testing.F) {
	f.Add("subject-name attr ou eq lab")
	f.Add("extended-key-usage co 1.3.6.1")
	c := pkitest.Root("CA").Chain[0]
	f.Fuzz(func(t *testing.T, text string) {
		if r, err := ParseRule(text); err == nil {
			r.Matches(c)
		}
	})
}
