// Package roottest is for tests that only root can run.
package roottest

import (
	"os"
	"testing"
)

// Need skips a test on a developer's machine where he is not root, and fails it where it must
// run: in continuous integration.
func Need(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	const text = "this test needs root"
	if os.Getenv("CI") != "" {
		t.Fatal(text)
	}
	t.Skip(text)
}
