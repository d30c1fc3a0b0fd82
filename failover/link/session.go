package link

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/failover/journal"
	"github.com/warrenvpn/warren/internal/secret"
)

// Limits of a session.
const (
	// DefaultIdle is how long a session may be silent. The supervisor usually
	// knows earlier that the peer is gone.
	DefaultIdle = 500 * time.Millisecond
	// queueLength is how many frames wait in each direction; the Sender and the
	// network hold the rest.
	queueLength = 256
	// writeBuffer is what one TLS write takes at most: four records.
	writeBuffer = 64 << 10
)

// Reasons of the end of a session.
var (
	ErrClosed = errors.New("link: session closed")
	ErrFrame  = errors.New("link: frame is larger than the limit")
)

// SessionConfig is what both workers of a context need to know.
type SessionConfig struct {
	Key  secret.Value  // failover.TenantKey of the context
	Unit failover.Unit // of this node
	// Idle is how long nothing may be heard before the session ends; a quarter
	// of it is the interval of keepalives. Zero: DefaultIdle.
	Idle time.Duration
}

// Session carries the messages of a journal.Sender and a journal.Receiver
// between the two workers of a context. It serves one activation: when the
// roles change both workers close it, and begin again on a new connection.
type Session struct {
	conn     *tls.Conn
	idle     time.Duration
	received chan []byte
	queue    chan []byte
	room     chan struct{}
	done     chan struct{}
	wg       sync.WaitGroup

	once sync.Once
	err  error // why it ended; written before done is closed
}

// NewSession authenticates the worker at the other end of conn and starts the
// session, which owns conn in any case. The primary is the TLS server.
func NewSession(ctx context.Context, conn net.Conn, cfg SessionConfig) (*Session, error) {
	c, err := twinIdentity.config(cfg.Key, cfg.Unit)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	var t *tls.Conn
	if cfg.Unit == failover.UnitPrimary {
		t = tls.Server(conn, c)
	} else {
		t = tls.Client(conn, c)
	}
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("link: authenticating the twin: %w", err), conn.Close())
	}
	s := &Session{
		conn: t, idle: cfg.Idle,
		received: make(chan []byte, queueLength),
		queue:    make(chan []byte, queueLength),
		room:     make(chan struct{}, 1),
		done:     make(chan struct{}),
	}
	if s.idle == 0 {
		s.idle = DefaultIdle
	}
	s.wg.Go(s.read)
	s.wg.Go(s.write)
	return s, nil
}

// Received gives the messages of the twin, in order; the receiver owns each
// slice. It is closed after the session has ended, when all are taken.
func (s *Session) Received() <-chan []byte { return s.received }

// Room gets a value when Send may have become possible again.
func (s *Session) Room() <-chan struct{} { return s.room }

// Done is closed when the session has ended.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err returns why the session ended, or nil.
func (s *Session) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

// Closed reports whether the session ended because the other end's kernel closed the
// connection: the twin's process has ended, or it wanted to. That is not
// authenticated.
func (s *Session) Closed() bool {
	for _, err := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(s.Err(), err) {
			return true
		}
	}
	return false
}

// Send queues a message, which belongs to the session from now on and is
// overwritten when it has left. It never
// blocks; false means that the queue is full or the session over.
func (s *Session) Send(b []byte) bool {
	if len(b) == 0 || len(b) > journal.MaxMessage {
		panic("link: internal error: message of impossible size")
	}
	select {
	case <-s.done:
		return false
	default:
	}
	select {
	case s.queue <- b:
		return true
	default:
		return false
	}
}

// free reports whether Send would take a message. Only the goroutine that
// sends may ask.
func (s *Session) free() bool { return len(s.queue) < cap(s.queue) && s.Err() == nil }

// Close ends the session and waits for its goroutines. The connection is
// closed with the twin's messages unread.
func (s *Session) Close() {
	s.end(ErrClosed)
	s.wg.Wait()
}

func (s *Session) end(err error) {
	s.once.Do(func() {
		s.err = err
		close(s.done)
		s.conn.NetConn().Close() // tls.Conn.Close would wait for a stuck writer
	})
}

// read takes frames: length 4, message. Length 0 is a keepalive.
func (s *Session) read() {
	defer close(s.received)
	r := bufio.NewReaderSize(s.conn, writeBuffer)
	for {
		b, err := s.readFrame(r)
		if err != nil {
			s.end(fmt.Errorf("link: receiving: %w", err))
			return
		}
		if len(b) == 0 {
			continue
		}
		// A worker that is busy slows the twin down; it does not end the session.
		select {
		case s.received <- b:
		case <-s.done:
			return
		}
	}
}

func (s *Session) readFrame(r *bufio.Reader) ([]byte, error) {
	if err := s.conn.SetReadDeadline(time.Now().Add(s.idle)); err != nil {
		return nil, err
	}
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > journal.MaxMessage {
		return nil, ErrFrame
	}
	b := make([]byte, size)
	_, err := io.ReadFull(r, b)
	return b, err
}

// write sends what is queued, as much as there is in one TLS record after the
// other, and keepalives.
func (s *Session) write() {
	w := bufio.NewWriterSize(s.conn, writeBuffer)
	tick := time.NewTicker(s.idle / 4)
	defer tick.Stop()
	for {
		var b []byte
		select {
		case <-s.done:
			return
		case b = <-s.queue:
		case <-tick.C:
		}
		if err := s.writeFrames(w, b); err != nil {
			s.end(fmt.Errorf("link: sending: %w", err))
			return
		}
	}
}

// writeFrames writes b and whatever else is queued.
func (s *Session) writeFrames(w *bufio.Writer, b []byte) error {
	for {
		if err := s.conn.SetWriteDeadline(time.Now().Add(s.idle)); err != nil {
			return err
		}
		var head [4]byte
		binary.BigEndian.PutUint32(head[:], uint32(len(b)))
		if _, err := w.Write(head[:]); err != nil {
			return err
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		clear(b) // it may hold keys
		select {
		case s.room <- struct{}{}:
		default:
		}
		select {
		case b = <-s.queue:
		default:
			return w.Flush()
		}
	}
}
