package fdstore

import (
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Descriptor is a descriptor that somebody else uses, too. It is no os.File: the
// runtime would watch one that does not block, and be woken by every packet that is
// for the other one; and whether it blocks is the same for both. Its methods may be
// called from several goroutines at once.
type Descriptor struct {
	mu sync.Mutex // protects fd
	fd int        // -1: it was closed, or taken
}

// NewDescriptor takes fd over.
func NewDescriptor(fd int) *Descriptor { return &Descriptor{fd: fd} }

// Dup returns a file of a copy, which should not live for long. It is the caller's.
func (d *Descriptor) Dup(name string) (*os.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fd < 0 {
		return nil, fmt.Errorf("fdstore: %s: %w", name, os.ErrClosed)
	}
	fd, err := unix.FcntlInt(uintptr(d.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("fdstore: %s: %w", name, os.NewSyscallError("fcntl", err))
	}
	return os.NewFile(uintptr(fd), name), nil
}

// File returns the descriptor as a file, which is the caller's. The Descriptor is
// closed. It returns nil where it was that already.
func (d *Descriptor) File(name string) *os.File {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fd < 0 {
		return nil
	}
	f := os.NewFile(uintptr(d.fd), name)
	d.fd = -1
	return f
}

// Close closes the descriptor. Closing it twice, and a nil one, does nothing.
func (d *Descriptor) Close() {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fd >= 0 {
		unix.Close(d.fd)
		d.fd = -1
	}
}
