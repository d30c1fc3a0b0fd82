package dirwatch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestRun removes files and directories, and in the end a directory that is watched.
func TestRun(t *testing.T) {
	one, two := filepath.Join(t.TempDir(), "one"), t.TempDir()
	for _, dir := range []string{one, filepath.Join(one, "a"), filepath.Join(two, "c")} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(one, "b"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := New(one, two)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	told, ended := make(chan string), make(chan error)
	go func() { ended <- w.Run(t.Context(), func(name string) { told <- name }) }()
	want := func(name string) {
		t.Helper()
		select {
		case got := <-told:
			if got != name {
				t.Errorf("told %q, want %q", got, name)
			}
		case <-time.After(2 * time.Minute):
			t.Fatalf("not told of %q", name)
		}
	}
	want("")
	for _, path := range []string{filepath.Join(one, "a"), filepath.Join(two, "c"), filepath.Join(one, "b")} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		want(filepath.Base(path))
	}
	if err := os.Remove(one); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, ErrGone) {
		t.Errorf("got %v, want %v", err, ErrGone)
	}
}

// TestEnd: a watch ends with its context, and there is none over what is not there.
func TestEnd(t *testing.T) {
	w, err := New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	if err := w.Run(ctx, func(string) { cancel() }); err != nil {
		t.Error(err)
	}
	if _, err := New(filepath.Join(t.TempDir(), "nothing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
