package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWriteFileReplaces: a plan, a backup or a copy takes the place of nothing but a regular
// file, so not of a device that root names, or of a link to one.
func TestWriteFileReplaces(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "null")
	if err := os.Symlink(os.DevNull, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, dir} {
		_, err := writeFile(path, 0o600, func(io.Writer) error { return nil })
		if err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("%s: got %v", path, err)
		}
	}
	if to, err := os.Readlink(link); err != nil || to != os.DevNull {
		t.Errorf("the link is now %q, %v", to, err)
	}
}
