package spawn

import (
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// newTestPipe returns a pipe that is closed with the test.
func newTestPipe(t *testing.T) (*burstPipe, *os.File) {
	t.Helper()
	p, w, err := newBurstPipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Close()
		w.Close()
	})
	return p, w
}

// TestBurstPipe: a burst of small pieces comes whole, in fewer reads, and then the
// end.
func TestBurstPipe(t *testing.T) {
	p, w := newTestPipe(t)
	const n, line = 20_000, "a line of a worker, some forty bytes long\n"
	wrote := make(chan error, 1)
	go func() {
		defer w.Close()
		for range n {
			if _, err := w.WriteString(line); err != nil {
				wrote <- err
				return
			}
		}
		wrote <- nil
	}()
	var got strings.Builder
	b := make([]byte, lineBuffer)
	reads := 0
	for {
		k, err := p.Read(b)
		got.Write(b[:k])
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		reads++
	}
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	if got.String() != strings.Repeat(line, n) {
		t.Errorf("got %d bytes, want %d", got.Len(), n*len(line))
	}
	if reads > n/10 {
		t.Errorf("%d reads for %d lines", reads, n)
	}
}

// whenPolled calls f as soon as a Read waits.
func whenPolled(p *burstPipe, f func()) {
	for {
		p.mu.Lock()
		polled := p.polled != nil
		p.mu.Unlock()
		if polled {
			f()
			return
		}
		runtime.Gosched()
	}
}

// TestBurstPipeWaits: a piece that comes late ends a Read that waits, and what was
// polled meanwhile is not polled any more.
func TestBurstPipeWaits(t *testing.T) {
	p, w := newTestPipe(t)
	for range 3 {
		go whenPolled(p, func() { w.WriteString("late") })
		b := make([]byte, 8)
		if n, err := p.Read(b); err != nil || string(b[:n]) != "late" {
			t.Fatalf("got %q, %v", b[:n], err)
		}
		if p.polled != nil {
			t.Error("it is polled still")
		}
	}
}

// TestBurstPipeDeadline: a deadline ends a Read that waits, and one that would never
// wait; what comes before it is read.
func TestBurstPipeDeadline(t *testing.T) {
	b := make([]byte, 8)
	p, w := newTestPipe(t)
	w.WriteString("last")
	p.SetReadDeadline(time.Now().Add(time.Hour))
	if n, err := p.Read(b); err != nil || string(b[:n]) != "last" {
		t.Errorf("got %q, %v", b[:n], err)
	}
	p, w = newTestPipe(t)
	go whenPolled(p, func() { p.SetReadDeadline(time.Now()) })
	if _, err := p.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a Read that waits: %v", err)
	}
	w.WriteString("more")
	if _, err := p.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a Read of what is there: %v", err)
	}
}
