package checker

import (
	"fmt"
	"os"
	"os/signal"
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
	// overtime is the processor time that it gets to say that its own is over.
	overtime = 2 * time.Second
	// addressLimit is for its address space, of which the Go runtime reserves more
	// than it uses.
	addressLimit    = 8 << 30
	descriptorLimit = 16 // it has three, and the runtime's own
	threadLimit     = 64 // the runtime needs ten
)

// exitOvertime is the exit code of a process whose processor time is over.
const exitOvertime = 3

// set sets the limits of the calling process, which cannot raise them again.
func (l limits) set() error {
	list := map[int]unix.Rlimit{
		unix.RLIMIT_CPU:    {Cur: uint64(l.cpu / time.Second), Max: uint64((l.cpu + overtime) / time.Second)},
		unix.RLIMIT_NOFILE: both(descriptorLimit), unix.RLIMIT_NPROC: both(threadLimit),
	}
	if l.memory > 0 {
		list[unix.RLIMIT_DATA], list[unix.RLIMIT_AS] = both(l.memory), both(addressLimit)
		debug.SetMemoryLimit(int64(l.memory / 4 * 3))
	}
	over := make(chan os.Signal, 1)
	signal.Notify(over, unix.SIGXCPU)
	go func() {
		<-over
		os.Exit(exitOvertime)
	}()
	for which, most := range list {
		if err := unix.Setrlimit(which, &most); err != nil {
			return fmt.Errorf("checker: setting a limit: %w", err)
		}
	}
	return nil
}

// both is a limit that nobody may raise.
func both(most uint64) unix.Rlimit { return unix.Rlimit{Cur: most, Max: most} }
