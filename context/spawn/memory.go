package spawn

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/pipe"
)

// Sizes of the memory files. They take memory only where they are written to.
const (
	journalSize  = 128 << 20 // IKE and child SAs of some 20,000 sessions, twice
	countersSize = 32 << 20  // as many child SAs, with rekeying
)

// How often a worker may fail with the same memory files until they are set
// aside, with the SAs in them: without that, what damages them once would keep
// the context down for ever.
const (
	// unreadLosses are losses in a row, each before the worker was ready.
	unreadLosses = 3
	// activeLosses is the same for the active one of a pair. The backoff makes
	// that some 12 seconds, in which the twin, whose copy is whole, takes over;
	// the fresh files are filled from there.
	activeLosses = 8
	// briefLosses are losses in a row of workers that were ready, but ended by
	// themselves (a panic) before they were stable.
	briefLosses = 10
)

// memory is what outlives a worker: its SAs, in files that the supervisor holds
// and never reads.
type memory struct {
	journal, counters *os.File
}

func newMemory() (*memory, error) {
	journal, err := memoryFile("journal", journalSize)
	if err != nil {
		return nil, err
	}
	counters, err := memoryFile("counters", countersSize)
	if err != nil {
		journal.Close()
		return nil, err
	}
	return &memory{journal, counters}, nil
}

// close forgets the SAs. A nil memory has none.
func (m *memory) close() {
	if m == nil {
		return
	}
	m.journal.Close()
	m.counters.Close()
}

// memoryFile makes a memory file whose size nobody can change.
func memoryFile(name string, size int64) (*os.File, error) {
	fd, err := unix.MemfdCreate("warren-"+name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("spawn: making memory file: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	if err := f.Truncate(size); err != nil {
		f.Close()
		return nil, fmt.Errorf("spawn: sizing memory file: %w", err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS,
		unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL); err != nil {
		f.Close()
		return nil, fmt.Errorf("spawn: sealing memory file: %w", err)
	}
	return f, nil
}

// doubt counts what speaks against the memory files of a worker.
type doubt struct {
	unread int  // losses in a row before it was ready
	brief  int  // losses in a row of its own doing, ready but never stable
	told   bool // a worker has said that it cannot read them
}

// note counts a loss: for how long the worker was ready, and why it ended. What
// the supervisor could not do, such as starting a process, says nothing of the
// files.
func (d *doubt) note(readyFor time.Duration, err error) {
	var refused *pipe.Failure
	var exit *exec.ExitError
	switch {
	case readyFor >= stableAfter:
		*d = doubt{}
	case readyFor > 0:
		d.unread, d.told = 0, false
		if errors.As(err, &exit) && exit.Exited() {
			d.brief++
		}
	case errors.As(err, &refused):
		if refused.Cause == control.CauseMemory {
			d.unread, d.told = d.unread+1, true
		}
	case errors.Is(err, errDied), errors.Is(err, pipe.ErrClosed), errors.Is(err, context.DeadlineExceeded):
		d.unread++
	}
}

// enough reports whether the files have to be set aside. The active one of a
// pair waits for its twin.
func (d *doubt) enough(active bool) bool {
	if active {
		return d.unread >= activeLosses || d.brief >= briefLosses
	}
	return d.told || d.unread >= unreadLosses || d.brief >= briefLosses
}

// setAside gives the next worker fresh memory files where the ones there have
// brought down enough workers. The last ones that were set aside are kept until
// Close, for who looks for the cause: they hold keys.
func (w *Worker) setAside(d *doubt, err error) {
	w.mu.Lock()
	active := w.activation.Active
	w.mu.Unlock()
	if !d.enough(active) {
		return
	}
	fresh, failed := newMemory()
	if failed != nil {
		w.cfg.Log.Error("SAs cannot be given up", "reason", failed)
		return
	}
	w.mu.Lock()
	older := w.aside
	w.aside, w.memory = w.memory, fresh
	path := fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), w.aside.journal.Fd())
	w.mu.Unlock()
	w.keptOr(w.keep.setMemory(fresh))
	older.close()
	*d = doubt{}
	w.cfg.Log.Error("SAs given up", "reason", err, "path", path)
}
