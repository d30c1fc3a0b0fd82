package configs

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/ike/pki/pkitest"
)

// pkcs12 returns a PKCS #12 file that OpenSSL has made, of gw.example and its chain, with
// pkcs12Password: ike/pki/pkcs12_test.go has the list.
func pkcs12(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("../ike/pki/testdata/" + name + ".p12")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const pkcs12Password = "correct horse ä"

func TestPKCS12(t *testing.T) {
	for _, name := range []string{"modern", "legacy"} {
		sys, diags := load(t, map[string]string{"system.hcl": baseSystem, "gw.p12": pkcs12(t, name), "context.hcl": `
trustpoint "gateway" { pkcs12 = { file = "gw.p12", password = "` + pkcs12Password + `" } }
`}, "system.hcl")
		if diags.HasErrors() {
			t.Fatalf("%s:\n%s", name, report(t, diags))
		}
		tenant := sys.Contexts[0].Spec
		// The root, which vouches for itself, stays behind.
		if p := tenant.Trustpoints[0]; len(p.Chain) != 2 || tenant.Secret(p.Key).Len() == 0 {
			t.Errorf("%s: %d certificates, a key of %d bytes", name, len(p.Chain), tenant.Secret(p.Key).Len())
		}
	}
}

func TestUnusablePKCS12(t *testing.T) {
	for _, tt := range []struct{ name, file, trustpoint, want string }{
		{"wrong password", "modern", `pkcs12 = { file = "gw.p12", password = "hunter2" }`, `
context.hcl:1: error: Unusable PKCS #12 file, in trustpoint "x"
   1 | trustpoint "x" { pkcs12 = { file = "gw.p12", password = "*******" } }
     |                                    ^~~~~~~~
  gw.p12: the PKCS #12 file cannot be read: the password is wrong, or the file is damaged.`},
		{"no password", "modern", `pkcs12 = { file = "gw.p12" }`, `
context.hcl:1: error: Missing password, in trustpoint "x"
   1 | trustpoint "x" { pkcs12 = { file = "gw.p12" } }
     |                           ^~~~~~~~~~~~~~~~~~~
  A PKCS #12 file is opened with its password: pkcs12 = { file = "gw.p12", password = { file = "..."
  } }.`},
		{"no key", "nokey", `pkcs12 = { file = "gw.p12", password = { file = "pw" } }`, `
context.hcl:1: error: Unusable PKCS #12 file, in trustpoint "x"
   1 | trustpoint "x" { pkcs12 = { file = "gw.p12", password = { file = "pw" } } }
     |                                    ^~~~~~~~
  gw.p12: the PKCS #12 file has no private key.`},
		{"a certificate, too", "modern", `
  pkcs12      = { file = "gw.p12", password = { file = "pw" } }
  certificate = { file = "gw.pem" }
`, `
context.hcl:3: error: Two certificates, in trustpoint "x"
   3 |   certificate = { file = "gw.pem" }
     |                 ^~~~~~~~~~~~~~~~~~~
  trustpoint "x" has pkcs12 (context.hcl:2), in which certificate and key are. Remove certificate.`},
		{"not a file", "modern", `pkcs12 = "gw.p12"`, `
context.hcl:1: error: Unusable value, in trustpoint "x"
   1 | trustpoint "x" { pkcs12 = "gw.p12" }
     |                           ^~~~~~~~
  pkcs12 is a file: { file = "disk0:/gw.pem" }.`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, diags := load(t, map[string]string{"system.hcl": baseSystem, "gw.p12": pkcs12(t, tt.file),
				"pw": pkcs12Password, "context.hcl": `trustpoint "x" { ` + tt.trustpoint + " }\n"}, "system.hcl")
			if got := report(t, diags); strings.TrimSpace(got) != strings.TrimSpace(tt.want) {
				t.Errorf("got:\n%s\nwant:%s", got, tt.want)
			}
		})
	}
}

// TestSharedTrustpoint: a group for clients that does not say what proves the gateway has
// the trustpoint that all of them share; DefaultRAGroup, too, and no site.
func TestSharedTrustpoint(t *testing.T) {
	const trustpoints = `
trustpoint "gw" { pkcs12 = { file = "gw.p12", password = { file = "pw" } } }
trustpoint "ca" { ca = { file = "ca.pem" } }
`
	group := func(name, kind, local string) string {
		return `tunnel_group "` + name + `" {
  type = "` + kind + `"
  ikev2 {
    remote_identity       = "*.` + name + `.example"
    ` + local + `
    remote_authentication = { certificate = "ca" }
  }
}
`
	}
	read := func(text string) (*System, string) {
		sys, diags := load(t, map[string]string{"system.hcl": baseSystem, "gw.p12": pkcs12(t, "modern"),
			"pw": pkcs12Password, "ca.pem": string(pkitest.Root("ca").PEM()),
			"context.hcl": trustpoints + text}, "system.hcl")
		return sys, report(t, diags)
	}
	own := `local_authentication = { pre_shared_key = "sixteen characters or more" }`
	sys, told := read(`ikev2 { remote_access_trustpoint = "gw" }
` + group("DefaultRAGroup", "remote-access", "") + group("own", "remote-access", own))
	if sys == nil {
		t.Fatal(told)
	}
	for _, g := range sys.Contexts[0].Spec.TunnelGroups {
		_, isPSK := g.Local.(spec.PSK)
		if c, _ := g.Local.(spec.Certificate); (g.Name == "own") != isPSK || !isPSK && c.Trustpoint != "gw" {
			t.Errorf("%s has %#v", g.Name, g.Local)
		}
	}
	for _, tt := range []struct{ name, text, want string }{
		{"nothing is shared", group("a", "remote-access", ""), "ikev2 needs local_authentication; write, for example"},
		{"a site", `ikev2 { remote_access_trustpoint = "gw" }` + "\n" + group("a", "site-to-site", ""),
			"remote_access_trustpoint (context.hcl:4) is for clients alone"},
		{"unknown", `ikev2 { remote_access_trustpoint = "gv" }` + "\n" + group("a", "remote-access", "") +
			group("b", "remote-access", ""), `There is no trustpoint "gv". Did you mean "gw"?`},
		{"of peers", `ikev2 { remote_access_trustpoint = "ca" }`, "has no certificate and key that prove this gateway"},
	} {
		sys, told := read(tt.text)
		if sys != nil || strings.Count(told, tt.want) != 1 {
			t.Errorf("%s: want once %q, got:\n%s", tt.name, tt.want, told)
		}
	}
}

// TestCertificateMap: who a map leads to is a group whose peers prove themselves by
// certificate. Identities do not compete for it any more.
func TestCertificateMap(t *testing.T) {
	const groups = `trustpoint "ca" { ca = { file = "ca.pem" } }
ip_pool "p" { range = "10.99.0.10-10.99.0.20" }
interface "outside" { address = "203.0.113.2/24" }
crypto_map "outside" {
  dynamic "any" {}
}
tunnel_group "staff" {
  type = "remote-access"
  address_pools = "p"
  ikev2 {
    local_authentication  = { pre_shared_key = "sixteen characters or more" }
    remote_authentication = { certificate = "ca" }
  }
}
tunnel_group "lab" {
  type = "remote-access"
  address_pools = "p"
  ikev2 {
    local_authentication  = { pre_shared_key = "sixteen characters or more" }
    remote_authentication = { certificate = "ca" }
  }
}
tunnel_group "keys" {
  type = "remote-access"
  address_pools = "p"
  ikev2 {
    remote_identity       = "*.keys.example"
    local_authentication  = { pre_shared_key = "sixteen characters or more" }
    remote_authentication = { pre_shared_key = "and another one, as long" }
  }
}
`
	read := func(text string) (*System, string) {
		sys, diags := load(t, map[string]string{"system.hcl": baseSystem,
			"ca.pem": string(pkitest.Root("ca").PEM()), "context.hcl": groups + text}, "system.hcl")
		return sys, report(t, diags)
	}
	if _, told := read(""); !strings.Contains(told, "Two tunnel groups for one identity") {
		t.Errorf("without a map:\n%s", told)
	}
	sys, told := read(`certificate_map "lab" {
  rules        = ["subject-name attr ou eq Lab"]
  tunnel_group = "lab"
}
`)
	if sys == nil || strings.Contains(told, "error") {
		t.Fatal(told)
	}
	want := []spec.CertificateMap{{Name: "lab", Rules: []string{"subject-name attr ou eq Lab"}, TunnelGroup: "lab"}}
	if diff := cmp.Diff(want, sys.Contexts[0].Spec.CertificateMaps); diff != "" {
		t.Error(diff)
	}
	for _, tt := range []struct{ rules, group, want string }{
		{`["subject-name ou eq lab"]`, "lab", `Unusable rule, in certificate_map "x"`},
		{`[]`, "lab", "rules has 1 to 16 rules"},
		{`["subject-name co x"]`, "labs", `There is no tunnel_group "labs". Did you mean "lab"?`},
		{`["subject-name co x"]`, "keys", `Tunnel group without certificates, in certificate_map "x"`},
	} {
		sys, told := read(`certificate_map "x" {
  rules        = ` + tt.rules + `
  tunnel_group = "` + tt.group + `"
}
`)
		if sys != nil || !strings.Contains(told, tt.want) {
			t.Errorf("%s, %s: want %q, got\n%s", tt.rules, tt.group, tt.want, told)
		}
	}
}
