//go:build e2e

package conformance

import (
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// papers are the certificates of a scenario, by the names of those who have them:
// authorities, gateways and road warriors. All are valid beyond 2038.
var papers = sync.OnceValue(func() map[string]*lab.Issued {
	p := map[string]*lab.Issued{"root": lab.Root("strongSwan Root CA")}
	root := p["root"]
	p["research"], p["sales"] = root.Authority("Research CA"), root.Authority("Sales CA")
	p["moon"] = root.Leaf("moon", lab.ECDSAKey(), named("moon.strongswan.org"))
	p["sun"] = root.Leaf("sun", lab.ECDSAKey(), named("sun.strongswan.org"))
	p["carol"] = root.Leaf("carol", lab.ECDSAKey(), mail("carol"), unit("Research"))
	p["dave"] = root.Leaf("dave", lab.ECDSAKey(), mail("dave"), unit("Accounting"))
	p["carol of accounting"] = root.Leaf("carol", lab.ECDSAKey(), mail("carol"), unit("Accounting"))
	p["carol of research"] = p["research"].Leaf("carol", lab.ECDSAKey(), mail("carol"))
	p["dave of sales"] = p["sales"].Leaf("dave", lab.ECDSAKey(), mail("dave"))

	p["moon P-521"] = root.Leaf("moon", lab.CurveKey(elliptic.P521()), named("moon.strongswan.org"))
	p["dave P-384"] = root.Leaf("dave", lab.CurveKey(elliptic.P384()), mail("dave"))
	p["moon Ed25519"] = root.Leaf("moon", lab.Ed25519Key(), named("moon.strongswan.org"))
	p["sun Ed25519"] = root.Leaf("sun", lab.Ed25519Key(), named("sun.strongswan.org"))
	p["moon RSA"] = root.Leaf("moon", lab.RSAKey(3072), named("moon.strongswan.org"))
	p["sun RSA"] = root.Leaf("sun", lab.RSAKey(2048), named("sun.strongswan.org"))
	p["carol RSA"] = root.Leaf("carol", lab.RSAKey(2048), mail("carol"))

	p["carol Ed25519"] = root.Leaf("carol", lab.Ed25519Key(), mail("carol"), func(c *x509.Certificate) {
		oid, err := x509.ParseOID(policy)
		if err != nil {
			panic(err)
		}
		c.Policies = []x509.OID{oid}
	})
	p["dave Ed25519"] = root.Leaf("dave", lab.Ed25519Key(), mail("dave"))

	p["sun critical"] = root.Leaf("sun", lab.ECDSAKey(), named("sun.strongswan.org"), func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 36906, 1}, Critical: true,
			Value: []byte{5, 0}}}
	})
	// An authority that may have none below it has one.
	last := root.Leaf("Research CA", lab.ECDSAKey(), authority(0))
	p["carol of ducks"] = last.Authority("Duck Research CA").Leaf("carol", lab.ECDSAKey(), mail("carol"))
	// Two authorities that vouch for each other, and nobody else for them.
	one := lab.Root("One")
	other := one.Authority("Other")
	p["carol of the loop"] = other.Leaf("One", one.Key, authority(-1)).Leaf("carol", lab.ECDSAKey(), mail("carol"))
	return p
})

// policy is a certificate policy of strongSwan's.
const policy = "1.3.6.1.4.1.36906.1.1.1"

func named(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.DNSNames = []string{name} }
}

func mail(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.EmailAddresses = []string{name + "@strongswan.org"} }
}

func unit(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.Subject.OrganizationalUnit = []string{name} }
}

// authority is for one that has so many below it at most; -1: any number.
func authority(below int) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
		c.MaxPathLen, c.MaxPathLenZero = below, below == 0
	}
}

// certified has both ends of moon's tunnel groups prove themselves by certificate, moon by
// one of the papers. extra is more of the trustpoint for peers.
func certified(moon, hcl string, extra ...string) string {
	return trustpoints(extra...) + strings.NewReplacer(
		fmt.Sprintf("local_authentication  = { pre_shared_key = %q }", key),
		`local_authentication  = { certificate = "moon" }`,
		fmt.Sprintf("remote_authentication = { pre_shared_key = %q }", key),
		`remote_authentication = { certificate = "peers" }`).Replace(hcl) + "\n# moon has the papers of: " + moon + "\n"
}

// trustpoints are moon's own, and that of peers.
func trustpoints(extra ...string) string {
	return `
trustpoint "moon" {
  certificate = { file = "moon.pem" }
  key         = { file = "moon.key" }
}
trustpoint "peers" {
  ca = { file = "root.pem" }
  ` + strings.Join(extra, "\n  ") + `
}
`
}

// withCRLs has moon look into the CRL of the root.
func withCRLs(policy string) string {
	return `crl = [{ file = "root.crl" }]` + "\n  revocation = " + policy
}

// papers are what moon's file names: the papers of the one that it says, of the root, and a
// CRL that revokes some.
func (s scenario) papers() map[string]string {
	_, who, ok := strings.Cut(s.moon, "# moon has the papers of: ")
	if !ok {
		return nil
	}
	who, _, _ = strings.Cut(who, "\n")
	p := papers()
	out := map[string]string{"moon.pem": string(p[who].PEM()), "moon.key": string(p[who].KeyPEM()),
		"root.pem": string(p["root"].CertPEM()), "root.crl": crl(s.revoked)}
	if strings.Contains(s.moon, "moon.p12") {
		out["moon.p12"] = openssl(who, "pkcs12", "-export", "-in", "FILE.pem", "-inkey", "FILE.key", "-passout",
			"pass:"+filePassword)
	}
	if strings.Contains(s.moon, filePassword) {
		out["moon.enc"] = openssl(who, "pkcs8", "-topk8", "-v2", "aes-256-cbc", "-in", "FILE.key", "-passout",
			"pass:"+filePassword)
	}
	return out
}

// crl is the CRL of the root.
func crl(revoked string) string {
	root, until := papers()["root"].Issued, time.Now().Add(24*time.Hour)
	if revoked == "" {
		return string(root.CRL(until))
	}
	return string(root.CRL(until, papers()[revoked].Issued))
}

// filePassword is that of encrypted files.
const filePassword = "the password of a file"

// openssl returns what OpenSSL makes of the papers of somebody.
func openssl(who string, args ...string) string {
	dir, err := os.MkdirTemp("", "papers")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	base := filepath.Join(dir, "own")
	for end, b := range map[string][]byte{".pem": papers()[who].PEM(), ".key": papers()[who].KeyPEM()} {
		if err := os.WriteFile(base+end, b, 0o600); err != nil {
			panic(err)
		}
	}
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "FILE", base)
	}
	out := filepath.Join(dir, "out")
	if said, err := exec.Command("openssl", append(args, "-out", out)...).CombinedOutput(); err != nil {
		panic(fmt.Sprintf("openssl: %v: %s", err, said))
	}
	b, err := os.ReadFile(out)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// byPapers are settings of a connection in which both ends have certificates.
func byPapers(conn string) []string {
	return []string{conn + ".local.auth = pubkey", conn + ".local.certs = own-0.pem", conn + ".remote.auth = pubkey"}
}

// papered starts strongSwan with the papers of somebody, which trusts the root.
func papered(name, who string, s settings) step {
	return func(w *world) error {
		c := s.config(w.kernel)
		c.Authorities = [][]byte{papers()["root"].CertPEM()}
		for i, x := range strings.Split(who, ", ") {
			own := papers()[x].StrongSwan([]string{"own", "other"}[i])
			c.Certificates = append(c.Certificates, own)
		}
		if strings.Contains(strings.Join(s, "\n"), "secrets.private-own") {
			c.Certificates[0].Key = []byte(openssl(who, "pkcs8", "-topk8", "-v2", "aes-256-cbc", "-in", "FILE.key",
				"-passout", "pass:"+filePassword))
		}
		w.host(name).swan = w.host(name).StrongSwan(c)
		return nil
	}
}

// carolAnd are carol and dave with papers, and addresses of their own.
func carolAnd(carol, dave string) []step {
	return []step{papered("carol", carol, hostClient("carol", byPapers("home")...)),
		papered("dave", dave, hostClient("dave", byPapers("home")...))}
}

// denied waits until moon tells its operator why somebody is not let in.
func denied(reason ...string) step {
	return func(w *world) error {
		if err := w.moon.WaitLine(patience, reason...); err != nil {
			return err
		}
		w.see("moon logs %q", strings.Join(reason, " ... "))
		return nil
	}
}
