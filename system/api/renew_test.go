package api

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestRenew: a socket that somebody has removed, with its directory, is made again
// when that is asked for, and one that is there stays.
func TestRenew(t *testing.T) {
	renew := make(chan os.Signal)
	path := filepath.Join(t.TempDir(), "run", "s")
	if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := New(&Config{Socket: path, Backend: &backend{}, Renew: renew})
	if err != nil {
		t.Fatal(err)
	}
	stop := start(t, s)
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	renew <- os.Interrupt
	renew <- os.Interrupt // the first one is done when this one is taken
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
		t.Errorf("a socket that was there is another one: %v", err)
	}
	// In one step, because the second request may be under way still: it finds the
	// socket, or makes it again.
	if err := os.Rename(filepath.Dir(path), filepath.Join(t.TempDir(), "removed")); err != nil {
		t.Fatal(err)
	}
	renew <- os.Interrupt
	renew <- os.Interrupt
	c, err := net.DialTimeout("unix", path, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the socket is left behind")
	}
}
