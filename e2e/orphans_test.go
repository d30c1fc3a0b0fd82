//go:build e2e

package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/internal/lab"
)

// TestRemovedContext removes a context and adds another one of its name, which finds none
// of its files; they come back with a rollback, and are gone once they were erased.
func TestRemovedContext(t *testing.T) {
	l := lab.New(t)
	w := l.TwoTenants().StartGateway(nil)
	w.Ready()
	w.Write("customer.key", "a key of red\n")
	w.MustCLI("copy", filepath.Join(w.Dir, "customer.key"), "red:disk0:/customer.key")
	system := lab.File("system.hcl")
	without := system[:strings.Index(system, `context "red"`)]

	w.WriteSystem(without)
	if plan := w.MustCLI("plan"); !strings.Contains(plan, `remove context "red"`) ||
		!strings.Contains(plan, "its disk0: is set aside") {
		t.Errorf("plan:\n%s", plan)
	}
	w.MustCLI("apply")
	if got := w.MustCLI("status"); !strings.Contains(got, "1 disk of a removed context is kept") {
		t.Errorf("status:\n%s", got)
	}
	w.WriteSystem(system)
	w.MustCLI("apply")
	w.Ready()
	if got := w.MustCLI("dir", "red:disk0:/"); strings.Contains(got, "customer.key") {
		t.Errorf("the new context has the file of the old one:\n%s", got)
	}
	if got := w.MustCLI("show", "orphans"); !strings.Contains(got, "red~") {
		t.Errorf("orphans:\n%s", got)
	}

	w.WriteSystem(without)
	w.MustCLI("apply")
	w.MustCLI("rollback", "1")
	w.Ready()
	if got := w.MustCLI("more", "red:disk0:/customer.key"); got != "a key of red\n" {
		t.Errorf("it came back as %q", got)
	}

	w.MustCLI("apply")
	w.MustCLI("delete", "--orphans", "red", "--yes")
	if got := w.MustCLI("show", "orphans"); strings.Contains(got, "red~") {
		t.Errorf("orphans:\n%s", got)
	}
	refused(t, w, []string{"delete", "--orphans", "red", "--yes"}, "no disk of a removed context")
}
