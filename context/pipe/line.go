package pipe

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// lineTimeout is how long a connection may take to be handed over: there is room
// for some even where the worker does not look.
const lineTimeout = time.Second

// Line is the way on which the supervisor hands connections to a worker, one after
// the other: each message is one byte and the worker's end of a fresh connection.
// The kernel delivers messages whole or not at all, so there is never half of one on
// it, whenever a supervisor ends. A connection ends with the supervisor that made it;
// the line goes on as long as somebody holds its end, and the next supervisor makes
// a connection of its own on it.
type Line struct{ conn *net.UnixConn }

// NewLine returns the supervisor's end of a line, and the other one as a file to
// give to a worker.
func NewLine() (*Line, *os.File, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX,
		syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("pipe: making socket pair: %w", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "line")
	ours, err := LineFromFile(os.NewFile(uintptr(fds[0]), "line"))
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}

// LineFromFile returns the end of a line that a descriptor leads to: the worker's,
// or one that was kept for the supervisor. It takes f over, also on error.
func LineFromFile(f *os.File) (*Line, error) {
	conn, err := unixConn(f)
	if err != nil {
		return nil, err
	}
	return &Line{conn}, nil
}

// File returns a copy of the descriptor, for whoever keeps it. It is the caller's.
func (l *Line) File() (*os.File, error) {
	f, err := l.conn.File()
	if err != nil {
		return nil, fmt.Errorf("pipe: copying a line: %w", err)
	}
	return f, nil
}

// Connect makes a connection and hands the worker its end. It returns the
// supervisor's. The worker gives up the one before.
func (l *Line) Connect() (*Conn, error) {
	ours, theirs, err := Pair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	if err := l.hand(theirs); err != nil {
		ours.Close()
		return nil, fmt.Errorf("pipe: handing a connection over: %w", err)
	}
	return ours, nil
}

func (l *Line) hand(theirs *os.File) error {
	if err := l.conn.SetWriteDeadline(time.Now().Add(lineTimeout)); err != nil {
		return err
	}
	raw, err := theirs.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = raw.Control(func(fd uintptr) {
		_, _, sent = l.conn.WriteMsgUnix([]byte{0}, syscall.UnixRights(int(fd)), nil)
	})
	return errors.Join(err, sent)
}

// Accept waits for the next connection, of which it returns the worker's end. The
// error is io.EOF when nobody holds the other end of the line, and after Close.
func (l *Line) Accept() (*Conn, error) {
	r := frameReader{conn: l.conn, takesFiles: true}
	var b [1]byte
	err := r.full(b[:])
	files := r.files
	defer func() { closeAll(files) }()
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
		return nil, io.EOF
	case err != nil:
		return nil, fmt.Errorf("pipe: waiting for a connection: %w", err)
	case len(files) != 1:
		return nil, fmt.Errorf("pipe: a connection with %d descriptors", len(files))
	}
	f := files[0]
	files = nil
	return FromFile(f)
}

// Close gives up this end of the line. Accept returns.
func (l *Line) Close() error { return l.conn.Close() }

// unixConn makes a unix socket of a file, which it takes over, also on error.
func unixConn(f *os.File) (*net.UnixConn, error) {
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("pipe: taking over %s: %w", f.Name(), err)
	}
	u, ok := conn.(*net.UnixConn)
	if !ok {
		conn.Close()
		return nil, fmt.Errorf("pipe: %s is not a unix socket", f.Name())
	}
	return u, nil
}
