//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// TestTakenWorker has a worker try, while it carries a tunnel, what somebody would
// who had taken it over: everything is refused, and the last thing ends it. The
// next one goes on with the tunnel.
func TestTakenWorker(t *testing.T) {
	bin := binWithTaken(t)
	t.Setenv("WARREN_BIN", bin)
	l, n, w := start(t, nil)
	_, inner := client(t, n.Blue)
	p := n.Blue.Client.StartPing(lab.Ping{From: inner, To: lab.InsideHost, Interval: 50 * time.Millisecond})
	answers(l, p, 5)
	first := w.Context("blue").PID
	capture := w.StartCLI("capture", "--context", "blue", "--interface", "outside", "--write",
		l.Path("x.pcapng"))
	l.Eventually("the worker's end", 30*time.Second, func() error {
		if c := w.Context("blue"); c.PID == first || c.State != "ready" {
			return fmt.Errorf("%+v", c)
		}
		return nil
	})
	wantLog(t, w, "tried all but the last")
	tries := regexp.MustCompile(`text="?try ([^:]*): ([^"\n]*)`).FindAllStringSubmatch(w.Log(), -1)
	for _, try := range tries {
		switch try[2] {
		case "operation not permitted", "permission denied":
		default:
			t.Errorf("%s: %s", try[1], try[2])
		}
	}
	if len(tries) < 60 {
		t.Errorf("only %d things were tried", len(tries))
	}
	wantLog(t, w, "worker lost", "tenant=blue", "bad system call")
	wantLog(t, w, "worker confined", "tenant=blue",
		"pid namespace, ipc namespace, uts namespace, mount namespace, landlock", "seccomp")
	wantLog(t, w, "texts of contexts are checked in a sandbox", "pid namespace, ipc namespace, uts namespace, "+
		"mount namespace, landlock", "seccomp")
	if detail := w.MustCLI("show", "context", "--detail", "blue"); !strings.Contains(detail,
		"Sandbox:    pid namespace") {
		t.Errorf("the sandbox is not shown:\n%s", detail)
	}
	answers(l, p, 5)
	p.Stop()
	_ = capture.Wait(lab.Patience) // it was cut off
}

// binWithTaken makes a folder with the programs under test, and in place of the
// worker one that was taken over.
func binWithTaken(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "warren-taken")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"warrend", "warren"} {
		b, err := os.ReadFile(filepath.Join(lab.Bin(), name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(dir, "warren-context"),
		"github.com/warrenvpn/warren/internal/lab/taken")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the worker: %v\n%s", err, out)
	}
	return dir
}
