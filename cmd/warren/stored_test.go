package main

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestNamesOfFiles(t *testing.T) {
	tests := []struct {
		name, from string
		stored     bool
		into       string
	}{
		{"blue:disk0:/x", "ca.pem", true, "blue:disk0:/x"},
		{"blue:disk0:/certs/", "/etc/ca.pem", true, "blue:disk0:/certs/ca.pem"},
		{"blue:disk0:/", "red:disk0:/a/b", true, "blue:disk0:/b"},
		{"blue:disk0:", "x", true, "blue:disk0:/x"},
		{"images:/x", "y", true, "images:/x"},
		{"x", "y", false, "x"},
		{"./a:b", "y", false, "./a:b"},
		{"/a:b/", "y", false, "/a:b/y"},
		{"a:b", "y", true, "a:b"},
	}
	for _, tt := range tests {
		if got := isStored(tt.name); got != tt.stored {
			t.Errorf("isStored(%q) = %v", tt.name, got)
		}
		if got := intoDirectory(tt.name, tt.from); got != tt.into {
			t.Errorf("intoDirectory(%q, %q) = %q, want %q", tt.name, tt.from, got, tt.into)
		}
	}
}

// TestProgress: a terminal shows how far a long copy is, now and then, and
// nothing of it in the end; nobody else sees anything.
func TestProgress(t *testing.T) {
	for _, watched := range []bool{true, false} {
		var out bytes.Buffer
		clock := now
		e := &env{stderr: &out, watched: watched, now: func() time.Time { return clock }}
		p := e.progress()
		for i := range int64(10) {
			p.at(i<<20, 10<<20)
			clock = clock.Add(70 * time.Millisecond)
		}
		p.end()
		want := ""
		if watched {
			want = "\r 80%  8.0 MiB of 10.0 MiB  14.3 MiB/s\x1b[K\r\x1b[K"
		}
		if got := out.String(); got != want {
			t.Errorf("watched %v: got %q, want %q", watched, got, want)
		}
	}
}

// TestLongCopy has the clock run while a copy goes on.
func TestLongCopy(t *testing.T) {
	b := withFiles()
	socket := serve(t, t.TempDir(), "s", b)
	local := filepath.Join(t.TempDir(), "local")
	for _, args := range [][]string{
		{"copy", "blue:disk0:/banner", local}, {"copy", local, "red:disk0:/local"},
	} {
		clock := now
		var stdout, stderr bytes.Buffer
		e := &env{stdout: &stdout, stderr: &stderr, watched: true, getenv: func(string) string { return socket },
			now: func() time.Time { clock = clock.Add(time.Second); return clock }}
		if code := run(context.Background(), e, args); code != exitDone {
			t.Errorf("%q: exit %d, %s", args, code, stderr.String())
		}
		if got := stderr.String(); !strings.HasPrefix(got, "\r") ||
			!strings.Contains(got, "100%  10 bytes of 10 bytes") || !strings.HasSuffix(got, "\r\x1b[K") {
			t.Errorf("%q: progress %q", args, got)
		}
		if !strings.HasPrefix(stdout.String(), "10 bytes copied to ") {
			t.Errorf("%q: printed %q", args, stdout.String())
		}
	}
}

// TestMoreOnTerminal: what a terminal would act upon is shown.
func TestMoreOnTerminal(t *testing.T) {
	b := withFiles()
	long := strings.Repeat("Zoë ", 3000)
	b.Put("blue:disk0:/odd", "one\n\x1b[31mtwo\r\n\xff"+long)
	socket := serve(t, t.TempDir(), "s", b)
	for _, screen := range []bool{true, false} {
		var stdout, stderr bytes.Buffer
		e := &env{stdout: &stdout, stderr: &stderr, screen: screen, now: time.Now, getenv: func(string) string {
			return socket
		}}
		if code := run(context.Background(), e, []string{"more", "blue:disk0:/odd"}); code != exitDone {
			t.Fatalf("exit %d, %s", code, stderr.String())
		}
		want := "one\n\x1b[31mtwo\r\n\xff" + long
		if screen {
			want = "one\n\\x1b[31mtwo\\r\n\\xff" + long
		}
		if stdout.String() != want {
			t.Errorf("screen %v: got %.100q", screen, stdout.String())
		}
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 bytes", 1: "1 byte", 1023: "1023 bytes", 1 << 10: "1.0 KiB",
		3 << 19: "1.5 MiB", 5 << 40: "5.0 TiB", 5 << 50: "5120.0 TiB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
}

// untouched is a reader that nobody may read.
type untouched struct{ t *testing.T }

func (u untouched) Read([]byte) (int, error) {
	u.t.Error("what is refused was sent")
	return 0, io.EOF
}

// TestRefusedIsNotSent: a file that does not fit is refused before it is sent.
func TestRefusedIsNotSent(t *testing.T) {
	socket := serve(t, t.TempDir(), "s", withFiles())
	e := &env{getenv: func(string) string { return socket }}
	_, err := e.client().WriteFile(t.Context(), "blue:disk0:/x", 1<<20, untouched{t})
	if err == nil || !strings.Contains(err.Error(), "the storage limit is 1000 bytes") {
		t.Errorf("got %v", err)
	}
}
