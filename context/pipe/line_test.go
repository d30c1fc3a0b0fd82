package pipe

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"testing"

	"github.com/warrenvpn/warren/context/control"
)

// lineEnds returns the two ends of a line.
func lineEnds(t *testing.T) (ours, theirs *Line) {
	t.Helper()
	ours, file, err := NewLine()
	if err != nil {
		t.Fatal(err)
	}
	theirs, err = LineFromFile(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ours.Close()
		theirs.Close()
	})
	return ours, theirs
}

// TestLine: connections come whole and in their order, whatever became of those before,
// and the copy of an end goes on when the end is closed.
func TestLine(t *testing.T) {
	ours, theirs := lineEnds(t)
	stale, err := ours.Connect() // of a supervisor that ends before anybody takes it
	if err != nil {
		t.Fatal(err)
	}
	stale.Close()
	kept, err := ours.File()
	if err != nil {
		t.Fatal(err)
	}
	ours.Close()
	next, err := LineFromFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	for range 2 {
		supervisor, err := next.Connect()
		if err != nil {
			t.Fatal(err)
		}
		worker, err := theirs.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if stale != nil {
			if err := worker.Serve(t.Context(), echo); err != nil {
				t.Errorf("a connection that is over: %v", err)
			}
			stale = nil
			if worker, err = theirs.Accept(); err != nil {
				t.Fatal(err)
			}
		}
		var served sync.WaitGroup
		served.Go(func() { worker.Serve(t.Context(), echo) })
		served.Go(func() { supervisor.Serve(t.Context(), echo) })
		if _, err := supervisor.Call(t.Context(), control.KindPing, "hello"); err != nil {
			t.Error(err)
		}
		supervisor.Close()
		served.Wait()
	}
	next.Close()
	if _, err := theirs.Accept(); !errors.Is(err, io.EOF) {
		t.Errorf("nobody holds the other end: %v", err)
	}
	theirs.Close()
	if _, err := theirs.Accept(); !errors.Is(err, io.EOF) {
		t.Errorf("it is closed: %v", err)
	}
	if _, err := next.Connect(); err == nil {
		t.Error("a connection on a line that is closed")
	}
}

// TestLineIsChecked: what is no connection ends the line, and a worker that takes no
// connection holds nobody up.
func TestLineIsChecked(t *testing.T) {
	ours, theirs := lineEnds(t)
	if _, err := ours.conn.Write([]byte{0}); err != nil {
		t.Fatal(err)
	}
	if _, err := theirs.Accept(); err == nil {
		t.Error("a message without a descriptor was a connection")
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	fd := int(null.Fd())
	if _, _, err := ours.conn.WriteMsgUnix([]byte{0}, syscall.UnixRights(fd), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := theirs.Accept(); err == nil {
		t.Error("a descriptor that is no socket was a connection")
	}
	for range 10_000 {
		var c *Conn
		if c, err = ours.Connect(); err != nil {
			break
		}
		defer c.Close()
	}
	if err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("connections that nobody takes: %v", err)
	}
}
