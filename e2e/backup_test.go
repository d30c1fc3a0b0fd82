//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// TestBackup backs a running pair up, changes its configuration and a disk, and restores
// both under traffic: the other unit has them, too, and a rollback goes back. What somebody
// has changed in the backup is refused, and changes nothing.
func TestBackup(t *testing.T) {
	p := startPair(t, lab.PairConfig{})
	a, b := p.Active(p.site.Group)
	a.Write("ca.pem", "a certificate\n")
	a.Write("backup.pass", "correct horse battery staple\n")
	file, pass := filepath.Join(a.Dir, "monday.backup"), filepath.Join(a.Dir, "backup.pass")
	if err := os.Chmod(pass, 0o600); err != nil {
		t.Fatal(err)
	}
	a.MustCLI("copy", filepath.Join(a.Dir, "ca.pem"), "acme:disk0:/ca.pem")
	a.MustCLI("backup", "--out", file, "--passphrase-file", pass)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup: %v, %v", info, err)
	}

	old := fileOf(t, a, "acme.hcl")
	a.Write("acme.hcl", replaced(t, old, "10.55.1.250", "10.55.1.240"))
	a.MustCLI("apply")
	a.MustCLI("delete", "acme:disk0:/ca.pem")

	bad, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	bad[len(bad)-20] ^= 1
	if err := os.WriteFile(file+".bad", bad, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stderr, err := a.CLI("restore", file+".bad", "--passphrase-file", pass, "--yes"); err == nil ||
		!strings.Contains(stderr, "somebody has changed it") {
		t.Errorf("a changed backup: %s", stderr)
	}
	plan := a.MustCLI("restore", file, "--passphrase-file", pass, "--plan")
	if !strings.Contains(plan, `configure context "acme"`) || !strings.Contains(plan, "write acme:disk0:/ca.pem") {
		t.Errorf("the plan:\n%s", plan)
	}
	p.notice(t, "a restore", func() { a.MustCLI("restore", file, "--passphrase-file", pass, "--yes") })
	for _, n := range p.Nodes {
		if text := n.MustCLI("show", "running-config"); !strings.Contains(text, "10.55.1.250") {
			t.Errorf("the configuration is not restored on the %s:\n%s", n.Unit, text)
		}
		if got := fileOf(t, n, "acme.hcl"); got != old {
			t.Errorf("the startup configuration of the %s:\n%s", n.Unit, got)
		}
	}
	p.lab.Eventually("the file on both units", 10*time.Second, func() error {
		for _, n := range []*lab.PairNode{a, b} {
			got, stderr, err := n.CLI("more", "acme:disk0:/ca.pem")
			if err != nil {
				return err
			}
			if got != "a certificate\n" {
				return &unsaid{stderr}
			}
		}
		return nil
	})
	a.MustCLI("rollback", "2")
	if text := b.MustCLI("show", "running-config"); !strings.Contains(text, "10.55.1.240") {
		t.Errorf("the rollback does not reach the standby:\n%s", text)
	}
	p.client.MustPing(lab.Ping{From: p.address, To: lab.PairInsideHost, Interval: 10 * time.Millisecond})
}
