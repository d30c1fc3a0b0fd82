package tenants

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/resource"
	"github.com/warrenvpn/warren/system/disks"
)

// TestRefusalsAreLogged refuses requests, and looks for the class in the log,
// once in a minute.
func TestRefusalsAreLogged(t *testing.T) {
	var log bytes.Buffer
	s := New(&Config{Disks: disks.New(&disks.Config{StateDir: t.TempDir()})})
	blue := &tenant{
		env: s.env, name: "blue", want: tenantOf("blue", spec.Limits{APISessions: 1}),
		notices: map[resource.Name]*resource.Notice{},
		log:     slog.New(slog.NewTextHandler(&log, nil)).With("tenant", "blue"),
	}
	s.byName["blue"] = blue
	now := time.Now()
	blue.watchLimits(now, true)
	leave, err := s.Enter("blue")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 90 {
		s.Enter("blue")
		blue.watchLimits(now.Add(time.Duration(i)*time.Second), true)
	}
	leave()
	got := log.String()
	if n := strings.Count(got, "\n"); n != 2 {
		t.Errorf("%d lines in 90 seconds, want 2:\n%s", n, got)
	}
	for _, part := range []string{"tenant=blue", "class=gold", "resource=api_sessions", "limit=1", "count=1\n",
		"count=60\n"} {
		if !strings.Contains(got, part) {
			t.Errorf("no %q in\n%s", part, got)
		}
	}
}
