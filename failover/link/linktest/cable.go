// Package linktest has the connection between two twins in memory, for tests of
// what runs over it. It does no I/O.
package linktest

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// room is how many writes an end holds until somebody reads them.
const room = 64

// Cable is a connection: what is written to one end can be read from the other,
// in order, and waits there as it does in the buffer of a socket.
type Cable struct {
	// Ends are the two ends; both implement net.Conn.
	Ends [2]net.Conn

	cut func(from int) bool
}

// NewCable returns a Cable. Cut, which may be nil, is asked before each write:
// true loses it, and all that follow from this end, without a word, as the death
// of a machine does.
func NewCable(cut func(from int) bool) *Cable {
	c := &Cable{cut: cut}
	a := &end{cable: c, side: 0, in: make(chan []byte, room), done: make(chan struct{})}
	b := &end{cable: c, side: 1, in: make(chan []byte, room), done: make(chan struct{})}
	a.other, b.other = b, a
	c.Ends = [2]net.Conn{a, b}
	return c
}

// end is one end. One goroutine at a time may read, and one may write.
type end struct {
	cable *Cable
	side  int
	other *end
	in    chan []byte
	rest  []byte
	dead  bool
	done  chan struct{}
	once  sync.Once

	mu          sync.Mutex // guards what follows
	read, write time.Time
}

// late returns a channel that is ready at an instant; nil for the zero Time.
func (e *end) late(at *time.Time) (<-chan time.Time, func() bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if at.IsZero() {
		return nil, func() bool { return true }
	}
	t := time.NewTimer(time.Until(*at))
	return t.C, t.Stop
}

// Read implements net.Conn.
func (e *end) Read(b []byte) (int, error) {
	late, stop := e.late(&e.read)
	defer stop()
	for len(e.rest) == 0 {
		select {
		case e.rest = <-e.in:
			continue
		default:
		}
		select {
		case e.rest = <-e.in:
		case <-e.done:
			return 0, net.ErrClosed
		case <-e.other.done:
			if len(e.in) == 0 {
				return 0, io.EOF
			}
		case <-late:
			return 0, os.ErrDeadlineExceeded
		}
	}
	n := copy(b, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

// Write implements net.Conn.
func (e *end) Write(b []byte) (int, error) {
	if e.dead = e.dead || e.cable.cut != nil && e.cable.cut(e.side); e.dead {
		return len(b), nil
	}
	late, stop := e.late(&e.write)
	defer stop()
	select {
	case <-e.done:
		return 0, net.ErrClosed
	case <-e.other.done:
		return 0, io.ErrClosedPipe
	case <-late:
		return 0, os.ErrDeadlineExceeded
	case e.other.in <- append([]byte(nil), b...):
		return len(b), nil
	}
}

// Close implements net.Conn.
func (e *end) Close() error {
	e.once.Do(func() { close(e.done) })
	return nil
}

// SetReadDeadline implements net.Conn; a Read that waits already is not touched.
func (e *end) SetReadDeadline(t time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.read = t
	return nil
}

// SetWriteDeadline implements net.Conn; a Write that waits already is not touched.
func (e *end) SetWriteDeadline(t time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.write = t
	return nil
}

// SetDeadline implements net.Conn.
func (e *end) SetDeadline(t time.Time) error {
	_ = e.SetReadDeadline(t)
	return e.SetWriteDeadline(t)
}

// LocalAddr implements net.Conn.
func (e *end) LocalAddr() net.Addr { return addr{} }

// RemoteAddr implements net.Conn.
func (e *end) RemoteAddr() net.Addr { return addr{} }

type addr struct{}

func (addr) Network() string { return "cable" }
func (addr) String() string  { return "cable" }
