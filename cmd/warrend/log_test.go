package main

import (
	"bytes"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/warrenvpn/warren/internal/backlog/backlogtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestLogStalls: a log that nobody reads holds up nobody who logs, and says how much it
// has lost once somebody does.
func TestLogStalls(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		t.Run(format, func(t *testing.T) {
			to := backlogtest.Stall(t)
			log, w, err := newLogger(to, format, "info")
			if err != nil {
				t.Fatal(err)
			}
			long := strings.Repeat("x", 1000)
			for range 2 * logRoom / len(long) {
				log.Info("context is active", "reason", long)
				log.Debug("not for this level")
			}
			text := to.Flow(t, w.Close)
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
