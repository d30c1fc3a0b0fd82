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

// TestPairIsConfiguredOnce: a pair is configured on its active unit. A standby that comes
// with other files is brought along; an apply reaches both, under traffic, and the standby
// is ready throughout; what either unit cannot run changes neither.
func TestPairIsConfiguredOnce(t *testing.T) {
	p := startPair(t, lab.PairConfig{Edit: func(unit, name, text string) string {
		if unit == "secondary" && name == "acme.hcl" {
			return replaced(t, text, "10.55.1.250", "10.55.1.200")
		}
		return text
	}})
	a, b := p.Active(p.site.Group)
	if text := fileOf(t, b, "acme.hcl"); !strings.Contains(text, "10.55.1.250") {
		t.Errorf("the standby was not brought along:\n%s", text)
	}
	before := rolesOf(t, a, b)

	a.Write("acme.hcl", replaced(t, fileOf(t, a, "acme.hcl"), "10.55.1.250", "10.55.1.240"))
	_, stderr, err := b.CLI("apply")
	if err != nil {
		t.Errorf("nothing of the standby has changed, and it says %s", stderr)
	}
	r := p.notice(t, "apply on the active unit", func() { a.MustCLI("apply", "--comment", "a smaller pool") })
	for _, ping := range r.Pings {
		if lost := ping.Lost(); lost > 0 {
			t.Errorf("%d pings are lost", lost)
		}
	}
	if text := fileOf(t, b, "acme.hcl"); !strings.Contains(text, "10.55.1.240") {
		t.Errorf("the standby's file does not say so:\n%s", text)
	}
	a.Write("acme.hcl", replaced(t, fileOf(t, a, "acme.hcl"), "10.55.1.240", "10.55.1.230"))
	p.notice(t, "apply and rollback", func() {
		a.MustCLI("apply", "--confirm", "1s")
		p.lab.Eventually("both units to go back", 20*time.Second, func() error {
			for _, n := range p.Nodes {
				if err := says(n, "same"); err != nil {
					return err
				}
				if text := n.MustCLI("show", "running-config"); !strings.Contains(text, "10.55.1.240") {
					return &unsaid{text}
				}
			}
			return nil
		})
	})
	a.MustCLI("write", "memory")
	if text := fileOf(t, b, "acme.hcl"); !strings.Contains(text, "10.55.1.240") {
		t.Errorf("write memory does not reach the standby:\n%s", text)
	}
	if got := rolesOf(t, a, b); got != before {
		t.Errorf("roles have changed: %s, and were %s", got, before)
	}
	if out := a.MustCLI("failover", "diff"); out != "nothing differs\n" {
		t.Errorf("failover diff:\n%s", out)
	}

	b.Write("acme.hcl", replaced(t, fileOf(t, b, "acme.hcl"), "10.55.1.240", "10.55.1.220"))
	if _, stderr, err := b.CLI("apply"); err == nil || !strings.Contains(stderr, "the primary unit is active") {
		t.Errorf("the standby takes an apply: %s", stderr)
	}
	a.Write("system.hcl", replaced(t, fileOf(t, a, "system.hcl"), `interface "Ethernet9/9"`,
		"interface \"Ethernet7/7\" { device = \"lo\" }\ninterface \"Ethernet9/9\"")+`
context "late" {
  config_url = "file:late.hcl"

  allocate_interface "Ethernet7/7" { name = "outside" }
}
`)
	a.Write("late.hcl", "interface \"outside\" { address = \"203.0.113.1/24\" }\n")
	_, stderr, err = a.CLI("apply")
	if err == nil || !strings.Contains(stderr, "the secondary unit refuses") ||
		!strings.Contains(stderr, filepath.Join(b.Dir, "system.hcl")+":") {
		t.Errorf("the refusal of the other unit: %s", stderr)
	}
	b.MustCLI("status")
	p.client.MustPing(lab.Ping{From: p.address, To: lab.PairInsideHost, Interval: 10 * time.Millisecond})
}

// fileOf reads a file of a node.
func fileOf(t *testing.T, n *lab.PairNode, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(n.Dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// replaced replaces a part of a text that must be there.
func replaced(t *testing.T, text, old, with string) string {
	t.Helper()
	if !strings.Contains(text, old) {
		t.Fatalf("there is no %q in\n%s", old, text)
	}
	return strings.ReplaceAll(text, old, with)
}

// rolesOf are the changes of roles that both nodes know.
func rolesOf(t *testing.T, nodes ...*lab.PairNode) string {
	t.Helper()
	var b strings.Builder
	for _, n := range nodes {
		s, err := n.Failover()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range s.History {
			b.WriteString(n.Port + ": " + c.From + " to " + c.To + "; ")
		}
	}
	return b.String()
}
