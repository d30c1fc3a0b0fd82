package iketest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// PlayFiles plays each scenario file that pattern names, as a test of its own,
// and compares what it prints with what stands there. With update it writes it
// there instead: review the difference.
func PlayFiles(t *testing.T, pattern string, update bool) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d files, %v", pattern, len(files), err)
	}
	for _, name := range files {
		title := strings.TrimSuffix(strings.TrimPrefix(name, "testdata/"), ".txt")
		t.Run(title, func(t *testing.T) { playFile(t, name, update) })
	}
}

func playFile(t *testing.T, name string, update bool) {
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Play(string(want))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s: -want +got (if it is meant, write it with -update):\n%s", name, diff)
	}
}
