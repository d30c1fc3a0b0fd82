package configs

import (
	"os"
	"strings"
	"testing"
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
