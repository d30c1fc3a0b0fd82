package tenants

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/ike/pki/pkitest"
)

// TestCertificatesOfTrustpoint: each certificate is listed once, with what it is for.
func TestCertificatesOfTrustpoint(t *testing.T) {
	root := pkitest.Root("root")
	gw := root.Authority("sub").Leaf("gw", pkitest.ECDSA())
	p := &spec.Trustpoint{Name: "pki", Chain: gw.DER()[:2], Authorities: root.DER()}
	list, err := appendCertificates(nil, "blue", p)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range list {
		if c.Context != "blue" || c.Trustpoint != "pki" || c.Serial == "" || !c.NotAfter.Equal(pkitest.End) {
			t.Errorf("%+v", c)
		}
		got = append(got, []string{"gateway", "chain", "authority"}[c.Use]+" "+c.Subject+" of "+c.Issuer)
	}
	want := []string{
		"gateway asn1dn:CN=gw,O=Example of asn1dn:CN=sub,O=Example",
		"chain asn1dn:CN=sub,O=Example of asn1dn:CN=root,O=Example",
		"authority asn1dn:CN=root,O=Example of asn1dn:CN=root,O=Example",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	p.Chain = [][]byte{{1}}
	if _, err := appendCertificates(nil, "blue", p); err == nil {
		t.Error("what is no certificate is listed")
	}
}
