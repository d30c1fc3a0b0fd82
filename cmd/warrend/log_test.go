package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestLogStalls: a log that nobody reads holds up nobody who logs, and says how much it
// has lost once somebody does.
func TestLogStalls(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		t.Run(format, func(t *testing.T) {
			r, to, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			log, w, err := newLogger(to, format, "info")
			if err != nil {
				t.Fatal(err)
			}
			long := strings.Repeat("x", 1000)
			for range 2 * logRoom / len(long) {
				log.Info("context is active", "reason", long)
				log.Debug("not for this level")
			}
			if w.Close(time.Millisecond) {
				t.Error("all is written to a pipe that nobody reads")
			}
			read := make(chan string)
			go func() {
				var b bytes.Buffer
				b.ReadFrom(r)
				read <- b.String()
			}()
			if !w.Close(time.Minute) {
				t.Error("not all is written to a pipe that somebody reads")
			}
			to.Close()
			text := <-read
			if n := strings.Count(text, long); n < logRoom/2/len(long) {
				t.Errorf("%d lines are written", n)
			}
			if !strings.Contains(text, "lines of the log are lost") || strings.Contains(text, "not for this level") {
				t.Errorf("the log ends with %q", text[len(text)-200:])
			}
		})
	}
}

func TestLoggerFlags(t *testing.T) {
	for _, tt := range []struct{ format, level, want string }{
		{"xml", "info", `--log-format is text or json, not "xml"`},
		{"text", "loud", `--log-level is debug, info, warn or error, not "loud"`},
	} {
		if _, _, err := newLogger(&bytes.Buffer{}, tt.format, tt.level); err == nil || err.Error() != tt.want {
			t.Errorf("%s, %s: got %v, want %s", tt.format, tt.level, err, tt.want)
		}
	}
}
