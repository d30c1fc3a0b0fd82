package worker

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// cable is the connection between two twins: what is written to one end can be
// read from the other, in order. Each end has a buffer, as TCP has.
type cable struct {
	// cut, where set, is asked before each write: true loses it, and all that
	// follow, without a word, as the death of a machine does.
	cut func(from int) bool

	ends [2]*cableEnd
}

type cableEnd struct {
	cable *cable
	side  int
	in    chan []byte
	rest  []byte
	done  chan struct{}
	once  sync.Once

	mu   sync.Mutex // guards dead and until
	dead bool
	read time.Time
}

func newCable(cut func(from int) bool) *cable {
	c := &cable{cut: cut}
	for i := range c.ends {
		c.ends[i] = &cableEnd{cable: c, side: i, in: make(chan []byte, 1<<12), done: make(chan struct{})}
	}
	return c
}

func (e *cableEnd) Read(b []byte) (int, error) {
	if len(e.rest) == 0 {
		e.mu.Lock()
		until := e.read
		e.mu.Unlock()
		var late <-chan time.Time
		if !until.IsZero() {
			t := time.NewTimer(time.Until(until))
			defer t.Stop()
			late = t.C
		}
		select {
		case e.rest = <-e.in:
		case <-e.done:
			return 0, net.ErrClosed
		case <-e.cable.ends[1-e.side].done:
			select {
			case e.rest = <-e.in:
			default:
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

func (e *cableEnd) Write(b []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.dead = e.dead || e.cable.cut != nil && e.cable.cut(e.side); e.dead {
		return len(b), nil
	}
	select {
	case <-e.done:
		return 0, net.ErrClosed
	case <-e.cable.ends[1-e.side].done:
		return 0, io.ErrClosedPipe
	case e.cable.ends[1-e.side].in <- append([]byte(nil), b...):
		return len(b), nil
	}
}

func (e *cableEnd) Close() error {
	e.once.Do(func() { close(e.done) })
	return nil
}

func (e *cableEnd) SetReadDeadline(t time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.read = t
	return nil
}

func (e *cableEnd) SetDeadline(t time.Time) error    { return e.SetReadDeadline(t) }
func (e *cableEnd) SetWriteDeadline(time.Time) error { return nil }
func (e *cableEnd) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (e *cableEnd) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
