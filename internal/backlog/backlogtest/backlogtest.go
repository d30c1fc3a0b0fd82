// Package backlogtest is for tests of logs that stall.
package backlogtest

import (
	"bytes"
	"io"
	"os"
	"testing"
	"time"
)

// Stalled is a pipe that nobody reads before Flow.
type Stalled struct {
	*os.File // takes what is written

	from *os.File
}

// Stall returns a pipe, which is closed when the test ends.
func Stall(t *testing.T) *Stalled {
	t.Helper()
	from, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { from.Close(); to.Close() })
	return &Stalled{to, from}
}

// Flow closes what writes to the pipe (backlog.Writer.Close), which cannot end before somebody
// reads, and returns all that was written.
func (s *Stalled) Flow(t *testing.T, end func(within time.Duration) bool) string {
	t.Helper()
	if end(time.Millisecond) {
		t.Error("all is written to a pipe that nobody reads")
	}
	read := make(chan string)
	go func() {
		var b bytes.Buffer
		_, _ = io.Copy(&b, s.from) // it ends when the other end is closed
		read <- b.String()
	}()
	if !end(time.Minute) {
		t.Error("not all is written to a pipe that somebody reads")
	}
	s.Close()
	return <-read
}
