package spawn

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/pipe"
)

// TestUnreadableMemoryIsSetAside has workers that cannot go on from what the
// first one has left: one says so, one dies of it. Both get fresh memory, and
// what they could not read is kept.
func TestUnreadableMemoryIsSetAside(t *testing.T) {
	for manner, losses := range map[string]int{"illiterate": 2, "poisoned": 1 + unreadLosses} {
		t.Run(manner, func(t *testing.T) {
			w := run(t, manner)
			first := w.until(t, "ready", ready)
			syscall.Kill(first.PID, syscall.SIGKILL)
			w.until(t, "ready again", func(s Status) bool { return s.Ready && s.Restarts == losses })
			keys, err := w.Keys(t.Context())
			if err != nil || keys.ESP[0] != "start 1" {
				t.Errorf("got %v, %v, want the first start with fresh memory", keys.ESP, err)
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			var kept [1]byte
			if _, err := w.aside.journal.ReadAt(kept[:], 0); err != nil || kept[0] < 2 {
				t.Errorf("what was set aside has seen %d starts, %v", kept[0], err)
			}
		})
	}
}

func TestDoubt(t *testing.T) {
	exited := func(script string) error {
		return fmt.Errorf("%w: %w", errDied, exec.Command("/bin/sh", "-c", script).Run())
	}
	died, panicked, killed := errDied, exited("exit 2"), exited("kill -9 $$")
	unread := fmt.Errorf("spawn: starting: %w", &pipe.Failure{Cause: control.CauseMemory})
	other := &pipe.Failure{Reason: "another version"}
	machine := errors.New("spawn: starting /no/program: not found")
	type loss struct {
		readyFor time.Duration
		err      error
		times    int
	}
	for _, tt := range []struct {
		name   string
		losses []loss
		enough string // for a worker alone or standby, and for an active one of a pair
	}{
		{"it has never failed", nil, "false false"},
		{"it cannot read", []loss{{0, unread, 1}}, "true false"},
		{"it cannot read, and the twin does not take over", []loss{{0, unread, activeLosses}}, "true true"},
		{"it dies before it is ready", []loss{{0, died, unreadLosses - 1}}, "false false"},
		{"it dies before it is ready, again", []loss{{0, died, unreadLosses}}, "true false"},
		{"it dies before it is ready, once in between it was ready",
			[]loss{{0, died, 2}, {time.Second, killed, 1}, {0, died, 2}}, "false false"},
		{"it was ready, and panics", []loss{{time.Second, panicked, briefLosses}}, "true true"},
		{"it was ready, and is killed", []loss{{time.Second, killed, 2 * briefLosses}}, "false false"},
		{"it panics, but was stable", []loss{{time.Second, panicked, briefLosses - 1}, {stableAfter, panicked, 1}},
			"false false"},
		{"it refuses for another reason", []loss{{0, other, 20}}, "false false"},
		{"it cannot be started", []loss{{0, machine, 20}}, "false false"},
	} {
		var d doubt
		for _, l := range tt.losses {
			for range l.times {
				d.note(l.readyFor, l.err)
			}
		}
		if got := fmt.Sprint(d.enough(false), d.enough(true)); got != tt.enough {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.enough)
		}
	}
	if !strings.Contains(killed.Error(), "killed") {
		t.Fatal(killed)
	}
}
