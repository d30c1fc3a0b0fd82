//go:build !race

package checker

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/configs"
)

// testUID is a user that nobody has.
const testUID = 0x7ffffff0

// newChecker returns a Checker whose process is this test's own program, and its log.
func newChecker(t *testing.T) (*Checker, *bytes.Buffer) {
	t.Helper()
	log := &bytes.Buffer{}
	c, err := New(&Config{UID: testUID, Log: slog.New(slog.NewTextHandler(log,
		&slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	c.limits, c.rested = tight, time.Hour // so that a busy host does not end the process under a test
	t.Cleanup(c.Close)
	return c, log
}

var discard = slog.New(slog.DiscardHandler)

const good = `ip_pool "staff" { range = "10.0.0.1-10.0.0.9" }`

// TestHarmless: texts pass, whatever their mistakes are; one process checks all of
// them, and none is needed for a text that has passed.
func TestHarmless(t *testing.T) {
	c, _ := newChecker(t)
	texts := []string{good, "", "ip_pool {{{{", "\xff\xfe", strings.Repeat("[", 1000), "interface \"x\" {}",
		strings.Repeat("# a comment\n", configs.MaxFileSize/4/12)} // a third of a second on a quiet host
	for _, text := range texts {
		if err := c.Check([]byte(text)); err != nil {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	pid := c.child.cmd.Process.Pid
	for i := range 20 {
		if err := c.Check(fmt.Appendf(nil, "# %d\n%s", i, good)); err != nil {
			t.Error(err)
		}
	}
	if got := c.child.cmd.Process.Pid; got != pid {
		t.Errorf("process %d goes on for %d", got, pid)
	}
	c.endChild()
	if err := c.Check([]byte(good)); err != nil || c.child != nil {
		t.Errorf("a text that has passed is checked again: %v", err)
	}
	if err := c.Check(make([]byte, configs.MaxFileSize+1)); err == nil {
		t.Error("a text that is too long passes")
	}
}

// TestHarmful: a text that ends the process, or that takes too much, is refused with the
// reason, and once more without a process; the next text passes.
func TestHarmful(t *testing.T) {
	c, log := newChecker(t)
	for text, want := range map[string]string{
		"panic":    "has ended the process that did it (exit status 2)",
		"exit":     "has ended the process that did it (exit status 0)",
		"chatter":  "has said something else than it should",
		"loop":     "took more than 1s of processor time",
		"allocate": "took more than 512 MiB of memory",
	} {
		for _, worked := range []bool{true, false} { // a process that has worked, and a fresh one
			if worked {
				if err := c.Check([]byte(good + "# " + text)); err != nil {
					t.Errorf("before %s: %v", text, err)
				}
			}
			c.refused = memory[refusal]{most: maxRefused}
			for range 2 { // the second time it is known
				err := c.Check([]byte(text))
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%s: got %v, want %s", text, err, want)
				}
				if c.child != nil {
					t.Errorf("%s: a process is left", text)
				}
			}
		}
	}
	if !strings.Contains(log.String(), "text of a context refused") {
		t.Errorf("nothing is told:\n%s", log)
	}
}

// TestRefusedShare: a text that uses up what it gets is not checked again before that was
// refusedShare of the time, whoever asks; others are when a while has passed.
func TestRefusedShare(t *testing.T) {
	c, _ := newChecker(t)
	for text, least := range map[string]time.Duration{"loop": 20 * tight.cpu, "exit": refusedFor} {
		began := time.Now()
		if c.Check([]byte(text)) == nil {
			t.Fatalf("%s passes", text)
		}
		var until time.Time
		for _, r := range c.refused.values {
			if r.until.After(until) {
				until = r.until
			}
		}
		// The kernel looks at the limit of processor time once in a while, and counts in ticks.
		if rest := until.Sub(began); rest < least*9/10 || rest > least+20*(tight.cpu+overtime) {
			t.Errorf("%s is refused for %v, want %v or a little more", text, rest, least)
		}
		c.refused = memory[refusal]{most: maxRefused}
	}
}

// TestConfined: from inside nothing works that somebody would try who had taken the
// process over, and asking for another program ends it.
func TestConfined(t *testing.T) {
	c, log := newChecker(t)
	if err := c.Check([]byte("try")); err != nil {
		t.Errorf("the sandbox has a hole: %v", err)
	}
	for _, part := range []string{"pid namespace", "ipc namespace", "uts namespace", "landlock", "seccomp"} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("%s is missing:\n%s", part, log)
		}
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.child.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1",
		"Seccomp:\t2", fmt.Sprintf("Uid:\t%d\t%[1]d", testUID)} {
		if !strings.Contains(string(status), line) {
			t.Errorf("no %q in\n%s", line, status)
		}
	}
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", c.child.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{`Max cpu time +1 +3 `, `Max file size +0 +0 `, `Max core file size +0 +0 `,
		`Max open files +16 +16 `, `Max processes +64 +64 `} {
		if !regexp.MustCompile(line).Match(limits) {
			t.Errorf("no %q in\n%s", line, limits)
		}
	}
}

// TestRequireSandbox: where it is required, no text is checked by a process that lacks a part
// of its confinement, be it one that cannot be had or one that has been at work before.
func TestRequireSandbox(t *testing.T) {
	c, _ := newChecker(t)
	if err := c.Check([]byte(good)); err != nil {
		t.Fatal(err)
	}
	before := c.child
	before.box.Missing = []string{"seccomp"}
	c.RequireSandbox(true)
	if err := c.Check([]byte(good + "\n")); err != nil || c.child == before {
		t.Errorf("got %v, and the process that was at work before goes on: %v", err, c.child == before)
	}
	c.endChild()
	c.cfg.Program = "/bin/sh" // it has a loader, which the empty root has not
	want := "require_sandbox is set, and this is missing: mount namespace: the program is not linked statically"
	if err := c.Check([]byte(good + "\n\n")); err == nil || !strings.Contains(err.Error(), want) || c.child != nil {
		t.Errorf("got %v, want %q", err, want)
	}
}

// TestProcessEnds: nothing is left when a Checker is closed or has rested, and it goes on
// after somebody has killed its process.
func TestProcessEnds(t *testing.T) {
	c, _ := newChecker(t)
	if err := c.Check([]byte(good)); err != nil {
		t.Fatal(err)
	}
	if err := c.child.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := c.Check([]byte(good + "\n")); err != nil {
		t.Errorf("after a kill: %v", err)
	}
	pid := c.child.cmd.Process.Pid
	c.rest()
	if err := unix.Kill(pid, 0); err != unix.ESRCH {
		t.Errorf("after a rest: %v", err)
	}
	if err := c.Check([]byte(good + "\n\n")); err != nil {
		t.Errorf("after a rest: %v", err)
	}
}
