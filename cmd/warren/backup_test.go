package main

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestBackupsAreRegularFiles: a FIFO, to which nobody may ever write, is refused at once in
// the place of a backup and of a passphrase.
func TestBackupsAreRegularFiles(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := readPassphrase(fifo)
	if err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("the passphrase: %v", err)
	}
	f, _, err := openBackup(fifo, nil)
	if err == nil || f != nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("the backup: %v", err)
	}
}
