package checker

import (
	"fmt"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"
)

// limits are what a process may use. The largest file that configs reads takes half a
// second and some 200 MiB.
type limits struct {
	cpu time.Duration // of processor time, for all that it does; whole seconds
	// wall is for one text, and matters only where something waits instead of
	// computing: a busy host gives a quarter of a processor.
	wall time.Duration
	// memory is for what it writes to, in bytes; the collector minds it from three
	// quarters on. 0: there is no limit.
	memory uint64
}

// usual are the limits of the product.
var usual = limits{cpu: 5 * time.Second, wall: 20 * time.Second, memory: 512 << 20}

// Other limits of a process.
const (
	// addressLimit is for its address space, of which the Go runtime reserves more
	// than it uses.
	addressLimit    = 8 << 30
	descriptorLimit = 16 // it has three, and the runtime's own
	threadLimit     = 64 // the runtime needs ten
)

// set sets the limits of the calling process, which cannot raise them again.
func (l limits) set() error {
	list := map[int]uint64{unix.RLIMIT_CPU: uint64(l.cpu / time.Second), unix.RLIMIT_NOFILE: descriptorLimit,
		unix.RLIMIT_NPROC: threadLimit}
	if l.memory > 0 {
		list[unix.RLIMIT_DATA], list[unix.RLIMIT_AS] = l.memory, addressLimit
		debug.SetMemoryLimit(int64(l.memory / 4 * 3))
	}
	for which, most := range list {
		if err := unix.Setrlimit(which, &unix.Rlimit{Cur: most, Max: most}); err != nil {
			return fmt.Errorf("checker: setting a limit: %w", err)
		}
	}
	return nil
}
