// Package dirwatch tells what is removed from directories (inotify(7)), on file
// systems of the kernel, too, such as control groups. It does I/O and nothing else.
package dirwatch

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ErrGone is the error of a watch of which a directory has gone itself. What was
// removed from it is told; whoever wants to know more begins a new watch.
var ErrGone = errors.New("dirwatch: a directory that was watched is gone")

// Watch is a watch over directories. It belongs to one goroutine.
type Watch struct{ file *os.File }

// New returns a watch over directories, which must exist. It must be closed. A path
// is looked up by the calling thread, in its mount namespace.
func New(dirs ...string) (*Watch, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("dirwatch: %w", err)
	}
	w := &Watch{os.NewFile(uintptr(fd), "removals")}
	for _, dir := range dirs {
		const what = unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR
		if _, err := unix.InotifyAddWatch(fd, dir, what); err != nil {
			w.Close()
			return nil, fmt.Errorf("dirwatch: watching %s: %w", dir, err)
		}
	}
	return w, nil
}

// Close ends the watch.
func (w *Watch) Close() { w.file.Close() }

// Run calls removed with the name of everything that is removed from one of the
// directories, until ctx ends; with "" where names were lost, and once at the
// beginning. It returns nil when ctx has ended, and ErrGone when a directory has gone.
func (w *Watch) Run(ctx context.Context, removed func(name string)) error {
	stop := context.AfterFunc(ctx, w.Close)
	defer stop()
	removed("") // whatever happened before
	b := make([]byte, 4096)
	for {
		n, err := w.file.Read(b)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("dirwatch: %w", err)
		}
		gone := false
		for rest := b[:n]; len(rest) >= unix.SizeofInotifyEvent; {
			mask := binary.NativeEndian.Uint32(rest[4:])
			length := int(binary.NativeEndian.Uint32(rest[12:]))
			name := rest[unix.SizeofInotifyEvent:][:length]
			rest = rest[unix.SizeofInotifyEvent+length:]
			name, _, _ = bytes.Cut(name, []byte{0})
			gone = gone || mask&(unix.IN_IGNORED|unix.IN_DELETE_SELF|unix.IN_MOVE_SELF|unix.IN_UNMOUNT) != 0
			if mask&(unix.IN_DELETE|unix.IN_MOVED_FROM|unix.IN_Q_OVERFLOW) != 0 {
				removed(string(name))
			}
		}
		if gone {
			return ErrGone
		}
	}
}
