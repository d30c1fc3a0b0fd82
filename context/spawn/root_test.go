package spawn

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/context/spec"
)

// TestRequireSandbox: where a part is missing no worker starts, and the reason
// names the part: a program with a loader cannot run in the empty root.
func TestRequireSandbox(t *testing.T) {
	const program = "/bin/sh"
	w, err := New(&Config{
		Tenant: &spec.Tenant{Name: "blue"}, Binary: program, UID: testUID, Network: &network{}, Group: &group{},
		Stderr: devNull(t), Log: slog.New(slog.DiscardHandler), RequireSandbox: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	_, err = w.start(t.Context())
	if err == nil ||
		!strings.Contains(err.Error(),
			"require_sandbox is set, and this is missing: mount namespace: the program is not linked statically") {
		t.Errorf("got %v", err)
	}
	w.RequireSandbox(false)
	p, err := w.start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if missing := strings.Join(p.box.Missing, ","); !strings.HasPrefix(missing, "mount namespace: ") {
		t.Errorf("missing is %q", missing)
	}
	p.end(w.cfg.Log)
}
