package tenants

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/context/netns"
)

// TestLookedAt: what was put right is a line, and what cannot be one line and a problem
// until it can.
func TestLookedAt(t *testing.T) {
	var log bytes.Buffer
	b, _ := loneTenant(&log)
	mended := netns.Mended{Devices: 1, Routes: 2}
	for _, step := range []struct {
		look     netns.Look
		line     string // "": none
		problems int
	}{
		{netns.Look{Mended: mended}, `msg="network of the context put right" detail="1 device, 2 routes"`, 0},
		{netns.Look{Err: errors.New("no device")},
			`level=WARN msg="network of the context cannot be put right" reason="no device"`, 1},
		{netns.Look{Err: errors.New("no device")}, "", 1},
		{netns.Look{}, `msg="network of the context is as it must be again"`, 0},
		{netns.Look{Mended: mended, Contested: true}, `level=WARN msg="somebody keeps changing the network`, 1},
		{netns.Look{Mended: mended, Contested: true}, "", 1},
		{netns.Look{}, `msg="nobody changes the network of the context any more"`, 0},
	} {
		log.Reset()
		b.lookedAt(step.look)
		lines := 0
		if step.line != "" {
			lines = 1
		}
		if got := log.String(); !strings.Contains(got, step.line) || strings.Count(got, "\n") != lines {
			t.Errorf("%+v: log %q, want %q", step.look, got, step.line)
		}
		if got := b.problems(); len(got) != step.problems {
			t.Errorf("%+v: problems %v", step.look, got)
		}
	}
}
