package durable_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/warrenvpn/warren/internal/durable"
)

// TestWrite: a file is made or replaced as a whole, with its mode, and nothing else is left
// in the directory.
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	for _, text := range []string{"a longer text", "short"} {
		if err := durable.Write(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		info, statErr := os.Stat(path)
		if err != nil || statErr != nil || string(b) != text || info.Mode().Perm() != 0o640 {
			t.Errorf("got %q, %v, %v, want %q", b, info.Mode(), err, text)
		}
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 1 {
		t.Errorf("left: %v, %v", list, err)
	}
}

// TestWriteFails: on an error the file is as it was, and nothing is left beside it.
func TestWriteFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	if err := os.Mkdir(path, 0o755); err != nil { // which no file can replace
		t.Fatal(err)
	}
	if err := durable.Write(path, []byte("text"), 0o600); err == nil {
		t.Error("a directory was replaced")
	}
	if err := durable.Write(filepath.Join(dir, "none", "x"), nil, 0o600); err == nil {
		t.Error("a file was made in a directory that is not there")
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 1 {
		t.Errorf("left: %v, %v", list, err)
	}
	outside := filepath.Join(dir, "outside")
	if err := os.Symlink(outside, path+"2"+durable.Unfinished); err != nil {
		t.Fatal(err)
	}
	if err := durable.Write(path+"2", []byte("text"), 0o600); err == nil {
		t.Error("it was written through a symbolic link")
	}
	if _, err := os.Stat(outside); err == nil {
		t.Error("something was written outside")
	}
}
