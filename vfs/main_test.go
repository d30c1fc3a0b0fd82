package vfs

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// helpers are what the test binary can be run for instead of its tests, by the
// value of the environment variable VFS_HELPER.
var helpers = map[string]func(args []string) error{
	"mounts":  mountsHelper,
	"full":    fullHelper,
	"replace": replaceHelper,
}

func TestMain(m *testing.M) {
	if name := os.Getenv("VFS_HELPER"); name != "" {
		if err := helpers[name](os.Args[1:]); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// helper returns a command that runs a helper.
func helper(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, args...)
	cmd.Env = append(os.Environ(), "VFS_HELPER="+name)
	return cmd
}

// must stops a test on an error.
func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// left returns what a directory holds, without the directories themselves.
func left(t *testing.T, dir string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "find", dir, "-mindepth", "1", "-printf", "%P ").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
