package main

import (
	"bytes"
	"context"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/warrenvpn/warren/configs/contract"
	"github.com/warrenvpn/warren/system/api"
)

var update = flag.Bool("update", false, "rewrite the transcripts in testdata/script")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestScripts runs the commands of testdata/script/*.txt and compares what they
// print. A line "$ args" is a command; below it stand its standard output, then
// its standard error with "2> " before each line, then its exit code if that is
// not 0. Scripts run in a copy of testdata/files and of
// the contract's tenants, which is $DIR, with servers on
// the sockets $TWO (two contexts and some that do not answer), $EMPTY (none),
// $REFUSING (refuses what changes something) and $PAIR (as $TWO, one of a pair).
// -update rewrites the files. $SELDOM has what is seldom to be seen, and nobody
// listens on $NONE.
func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/script/*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	sockets := t.TempDir()
	vars := map[string]string{"TWO": serve(t, sockets, "two", withFiles()),
		"EMPTY":    serve(t, sockets, "empty", &empty{}),
		"REFUSING": serve(t, sockets, "refusing", newRefusing()), "PAIR": serve(t, sockets, "pair", paired()),
		"SELDOM": serve(t, sockets, "seldom", &seldom{}), "NONE": filepath.Join(sockets, "none")}
	for _, name := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			home, err := filepath.Abs(name)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS("testdata/files")); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"system.hcl", "blue.hcl", "red.hcl"} {
				b, err := contract.Files.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			files, err := filepath.Glob(filepath.Join(dir, "*"))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files { // whatever the mask of whoever runs the test
				if err := os.Chmod(f, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			t.Chdir(dir)
			vars["DIR"] = dir
			got := transcript(string(want), vars)
			if *update {
				if err := os.WriteFile(home, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("-update rewrites it, if this is right (-want +got):\n%s", diff)
			}
		})
	}
}

// transcript runs the commands of a script and returns it as it would be.
func transcript(script string, vars map[string]string) string {
	var out strings.Builder
	for line := range strings.Lines(script) {
		switch {
		case strings.HasPrefix(line, "#"):
			out.WriteString(line)
		case strings.HasPrefix(line, "$ "):
			if out.Len() > 0 && !strings.HasSuffix(out.String(), "\n\n") {
				out.WriteString("\n")
			}
			out.WriteString(line)
			out.WriteString(command(strings.TrimSpace(line[2:]), vars))
		}
	}
	return out.String()
}

// command runs one command and returns what it prints.
func command(line string, vars map[string]string) string {
	args := strings.Fields(line)
	for i := range args {
		args[i] = os.Expand(args[i], func(v string) string { return vars[v] })
	}
	if args[0] == "cat" {
		b, err := os.ReadFile(args[1])
		if err != nil {
			return err.Error() + "\n"
		}
		return string(b)
	}
	var stdout, stderr bytes.Buffer
	code := run(context.Background(), &env{
		stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr,
		getenv: func(name string) string {
			if name == "WARREN_SOCKET" {
				return vars["TWO"]
			}
			return ""
		},
		now: func() time.Time { return now },
	}, args[1:])
	text := stdout.String()
	for l := range strings.Lines(stderr.String()) {
		text += "2> " + l
	}
	if code != exitDone {
		text += "exit " + strconv.Itoa(code) + "\n"
	}
	for name, value := range vars {
		text = strings.ReplaceAll(text, value, "$"+name)
	}
	return text
}

// serve runs a server until the test ends, and returns its socket.
func serve(t *testing.T, dir, name string, b api.Backend) string {
	t.Helper()
	path := filepath.Join(dir, name)
	s, err := api.New(&api.Config{Socket: path, Backend: b, WorkerTimeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	<-s.Ready()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("server: %v", err)
		}
	})
	return path
}

// TestKeysFiles: keys are for their owner's eyes, and lines are kept.
func TestKeysFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "esp_sa")
	if err := os.WriteFile(path, []byte("old\nboth\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := addLines(path, []string{"both", "new"}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != "old\nboth\nnew\n" {
		t.Errorf("got %q, %v", got, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	if err := addLines(path, []string{"a\nb"}); err == nil {
		t.Error("a line break within a key: no error")
	}
	left, err := fs.Glob(os.DirFS(filepath.Dir(path)), "*")
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestPlain(t *testing.T) {
	tests := []struct{ in, want string }{
		{"alice@example", "alice@example"},
		{"Zoë", "Zoë"},
		{"a\x1b[31mred", `a\x1b[31mred`},
		{"two\nlines", `two\nlines`},
		{"\u009b1m", `\u009b1m`},
		{"right\u202eleft", `right\u202eleft`},
		{"\xff\xfe", `\xff\xfe`},
	}
	for _, tt := range tests {
		if got := plain(tt.in); got != tt.want {
			t.Errorf("plain(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestSpan(t *testing.T) {
	tests := []struct {
		in   time.Duration
		want string
	}{
		{-time.Second, "0h:00m:00s"},
		{880 * time.Second, "0h:14m:40s"},
		{49*time.Hour + 61*time.Second, "2d 1h:01m:01s"},
	}
	for _, tt := range tests {
		if got := span(tt.in); got != tt.want {
			t.Errorf("span(%v) = %q, want %q", tt.in, got, tt.want)
		}
	}
}
