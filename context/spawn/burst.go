package spawn

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// burstPause is how long a reader that has read all leaves the pipe alone. What a
// pipe holds (64 KiB, pipe(7)) may come in that time without holding the writer up.
const burstPause = 10 * time.Millisecond

// burstPipe is the reading end of a pipe whose writer writes in bursts of many
// small pieces. The runtime would be woken for each piece of a pipe that it polls,
// so this one is polled only while nothing comes. One goroutine may call Read and
// then Close; SetReadDeadline may be called by another one.
type burstPipe struct {
	fd    int
	fresh bool          // all was read since the last pause, and it was something
	hurry chan struct{} // closed when there is a deadline

	mu       sync.Mutex // protects what follows
	deadline time.Time
	polled   *os.File // the same pipe, while Read waits for it
}

// newBurstPipe returns a pipe; who writes to it may block.
func newBurstPipe() (*burstPipe, *os.File, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, os.NewSyscallError("pipe2", err)
	}
	w := os.NewFile(uintptr(fds[1]), "burst")
	if err := unix.SetNonblock(fds[0], true); err != nil {
		unix.Close(fds[0])
		w.Close()
		return nil, nil, os.NewSyscallError("fcntl", err)
	}
	return &burstPipe{fd: fds[0], hurry: make(chan struct{})}, w, nil
}

// burstPipeFrom returns the reading end that a descriptor leads to, which was kept. It
// takes f over, also on error.
func burstPipeFrom(f *os.File) (*burstPipe, error) {
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	return &burstPipe{fd: fd, hurry: make(chan struct{})}, nil
}

// keep calls do with the pipe. It is to be called before Read.
func (p *burstPipe) keep(do func(*os.File) error) error {
	fd, err := unix.FcntlInt(uintptr(p.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	f := os.NewFile(uintptr(fd), "burst")
	defer f.Close()
	return do(f)
}

// Read implements io.Reader. It blocks until there is something; the error is
// io.EOF when all writers have closed their end, and os.ErrDeadlineExceeded after
// the deadline.
func (p *burstPipe) Read(b []byte) (int, error) {
	for {
		if p.late(time.Now()) {
			return 0, os.ErrDeadlineExceeded
		}
		if p.fresh {
			p.pause()
		}
		n, err := readPipe(p.fd, b)
		if errors.Is(err, unix.EAGAIN) {
			n, err = p.poll(b)
		}
		switch {
		case err == nil:
			p.fresh = n < len(b)
			return n, nil
		case errors.Is(err, io.EOF), errors.Is(err, os.ErrDeadlineExceeded):
			return 0, err
		case errors.Is(err, unix.EAGAIN): // it cannot be polled
			p.pause()
		default:
			return 0, os.NewSyscallError("read", err)
		}
	}
}

// poll reads as soon as there is something. The error is EAGAIN where the pipe
// cannot be polled, for lack of a descriptor.
func (p *burstPipe) poll(b []byte) (n int, err error) {
	fd, err := unix.FcntlInt(uintptr(p.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return 0, unix.EAGAIN
	}
	f := os.NewFile(uintptr(fd), "burst")
	defer f.Close()
	conn, err := f.SyscallConn()
	if err != nil {
		return 0, unix.EAGAIN
	}
	p.watch(f)
	defer p.watch(nil)
	failed := conn.Read(func(fd uintptr) bool {
		n, err = readPipe(int(fd), b)
		return !errors.Is(err, unix.EAGAIN)
	})
	switch {
	case errors.Is(failed, os.ErrDeadlineExceeded):
		return 0, failed
	case failed != nil:
		return 0, unix.EAGAIN
	}
	return n, err
}

// watch says what is polled, for the deadline.
func (p *burstPipe) watch(f *os.File) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.polled = f
	if f != nil && !p.deadline.IsZero() {
		f.SetReadDeadline(p.deadline) // an error means that it cannot be polled, and Read looks itself
	}
}

// pause waits for a moment, unless there is a deadline that Read is to be ready by.
func (p *burstPipe) pause() {
	p.fresh = false
	timer := time.NewTimer(burstPause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.hurry:
	}
}

// late reports whether the deadline has passed.
func (p *burstPipe) late(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.deadline.IsZero() && now.After(p.deadline)
}

// SetReadDeadline ends every Read at t. It is called once at most.
func (p *burstPipe) SetReadDeadline(t time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deadline = t
	close(p.hurry)
	if p.polled != nil {
		p.polled.SetReadDeadline(t)
	}
}

// Close closes the pipe.
func (p *burstPipe) Close() error { return unix.Close(p.fd) }

// readPipe reads once, and does not wait where the pipe does not block.
func readPipe(fd int, b []byte) (int, error) {
	for {
		n, err := unix.Read(fd, b)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, err
		case n == 0 && len(b) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}
