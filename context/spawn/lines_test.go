package spawn

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// TestLines has a worker that writes without end: what its class allows passes,
// whole, twice as much at most, and the log tells of the rest.
func TestLines(t *testing.T) {
	var out bytes.Buffer
	var told int64
	l, w, err := newLines(&out, 1, func(n int64) { told += n })
	if err != nil {
		t.Fatal(err)
	}
	go l.run()
	long := strings.Repeat("x", 3*longestLine)
	begin := time.Now()
	for i := range 20_000 {
		text := "line\n"
		if i == 1 {
			text = long + "\n"
		}
		if _, err := w.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.WriteString("the end"); err != nil {
		t.Fatal(err)
	}
	w.Close()
	l.stop()
	most := leastBurst + 2*int(time.Since(begin).Seconds()+1)
	if n := strings.Count(out.String(), "line\n"); n < leastBurst-10 || n > most {
		t.Errorf("%d lines passed, want about %d", n, leastBurst)
	}
	if !strings.Contains(out.String(), long) {
		t.Error("a long line was torn")
	}
	if told == 0 {
		t.Error("nobody was told")
	}
}

// TestLinesHeldOpen has somebody hold the worker's end open.
func TestLinesHeldOpen(t *testing.T) {
	var out bytes.Buffer
	l, w, err := newLines(&out, 1, func(int64) {})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	go l.run()
	if _, err := w.WriteString("last words\n"); err != nil {
		t.Fatal(err)
	}
	l.stop()
	if out.String() != "last words\n" {
		t.Errorf("got %q", out.String())
	}
	var none *lines
	none.stop()
}
