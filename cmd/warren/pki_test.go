package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/ike/pki"
)

// TestPKI: what `warren pki` makes is a gateway's trustpoint and whom it trusts, readable
// for those who need it.
func TestPKI(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	warren := func(args ...string) {
		t.Helper()
		var stderr bytes.Buffer
		e := &env{stdout: &bytes.Buffer{}, stderr: &stderr, getenv: func(string) string { return "" },
			now: func() time.Time { return now }}
		if code := run(context.Background(), e, append([]string{"pki"}, args...)); code != exitDone {
			t.Fatalf("%v: exit %d: %s", args, code, stderr.String())
		}
	}
	ca, gw := filepath.Join(dir, "ca"), filepath.Join(dir, "gw")
	warren("ca", "--key", "ecdsa", "--name", "Example", ca)
	warren("gateway", "--ca", ca, "--key", "ecdsa", "--name", "gw.example.com", gw)
	read := func() *pki.Own {
		t.Helper()
		b, err := os.ReadFile(gw + ".pem")
		if err != nil {
			t.Fatal(err)
		}
		chain, err := pki.ParseCertificates(b, pki.MaxChain)
		if err != nil {
			t.Fatal(err)
		}
		return &pki.Own{Chain: chain}
	}
	first := read()
	now = now.AddDate(1, 0, 0)
	warren("renew", "--ca", ca, gw+".pem")
	second := read()
	if a, b := first.Chain[0], second.Chain[0]; !b.NotAfter.After(a.NotAfter) || len(second.Chain) != 2 {
		t.Errorf("renewed until %v, was until %v; %d certificates", b.NotAfter, a.NotAfter, len(second.Chain))
	}
	for name, mode := range map[string]fs.FileMode{"ca/ca.key": 0o600, "ca/ca.pem": 0o644, "gw.key": 0o600,
		"gw.pem": 0o644} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != mode {
			t.Errorf("%s has mode %v, want %v", name, got, mode)
		}
	}

	const hcl = `trustpoint "gw" {
  certificate = { file = "gw.pem" }
  key         = { file = "gw.key" }
  ca          = { file = "ca/ca.pem" }
}
`
	if err := os.WriteFile(filepath.Join(dir, "blue.hcl"), []byte(hcl), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "system.hcl"), []byte(`context "blue" { config_url = "file:blue.hcl" }
`), 0o600); err != nil {
		t.Fatal(err)
	}
	sys, diags := configs.Load(configs.FSLoader{FS: os.DirFS(dir)}, "system.hcl",
		configs.Machine{Cores: 1, Memory: 1 << 30})
	if diags.HasErrors() {
		t.Fatal(diags.Err())
	}
	leaf, err := x509.ParseCertificate(sys.Contexts[0].Spec.Trustpoints[0].Chain[0])
	if err != nil || leaf.VerifyHostname("gw.example.com") != nil {
		t.Errorf("%v, %v", leaf.DNSNames, err)
	}
}
