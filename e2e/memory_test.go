//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/warrenvpn/warren/internal/lab"
)

// damage makes the journal of a daemon's one context unreadable, and kills the
// worker that has it, as nobody but itself could.
func damage(t *testing.T, daemon, worker int) {
	t.Helper()
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", daemon))
	if err != nil {
		t.Fatal(err)
	}
	var journals []string
	for _, fd := range fds {
		if at, err := os.Readlink(fd); err == nil && strings.Contains(at, "memfd:warren-journal") {
			journals = append(journals, fd)
		}
	}
	if len(journals) != 1 {
		t.Fatalf("journals of process %d: %v", daemon, journals)
	}
	f, err := os.OpenFile(journals[0], os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := syscall.Kill(worker, syscall.SIGSTOP); err != nil { // it would mend it
		t.Fatal(err)
	}
	if _, err := f.WriteAt(bytes.Repeat([]byte{0xff}, 8192), 0); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(worker, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// TestDamagedMemory: a worker that cannot read what its predecessor has left gets
// fresh memory. In a pair the twin goes on, and fills it: no session is lost.
func TestDamagedMemory(t *testing.T) {
	p := startPair(t, lab.PairConfig{})
	group, context := p.site.Group, p.site.Context
	first := spis(p.swan.ListSAs(), true)
	_, standby := p.Active(group)
	p.notice(t, "memory of the standby damaged", func() {
		damage(t, standby.PID(), standby.Context(context).PID)
		wantLog(t, standby.Warrend, "SAs given up")
	})
	p.Whole()
	active, other := p.Active(group)
	p.watch(t, "memory of the active node damaged", func() {
		damage(t, active.PID(), active.Context(context).PID)
		p.WaitRole(other, group, "active")
	})
	p.Whole()
	wantLog(t, active.Warrend, "SAs given up")
	if now := spis(p.swan.ListSAs(), true); now != first {
		t.Errorf("IKE SAs of the client: got %s, want %s as at the beginning", now, first)
	}
}
