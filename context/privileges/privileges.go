// Package privileges is the inside of a sandbox: what a process takes from itself
// before it reads anything that somebody hostile may have written. Package confine
// is the outside. It does I/O, and links nothing that a worker does not need.
package privileges

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"syscall"
	"unsafe"

	"github.com/landlock-lsm/go-landlock/landlock"
	landlocksys "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/control"
)

// Drop takes from the process what it could still gain or reach: new privileges
// through exec, other processes' eyes on its memory, files of its own making, and
// the whole file system. The supervisor has already taken away the user, groups,
// capabilities, mounts and other processes.
//
// What a kernel may lack is told in the Sandbox that is returned.
func Drop() (control.Sandbox, error) {
	var s control.Sandbox
	if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0); errno != 0 {
		return s, fmt.Errorf("privileges: setting no_new_privs: %w", errno)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return s, fmt.Errorf("privileges: clearing dumpable: %w", err)
	}
	// Memory files are written through mappings, which have no such limit.
	for _, limit := range []int{unix.RLIMIT_CORE, unix.RLIMIT_FSIZE} {
		if err := unix.Setrlimit(limit, &unix.Rlimit{}); err != nil {
			return s, fmt.Errorf("privileges: forbidding core files and files: %w", err)
		}
	}
	version, err := landlocksys.LandlockGetABIVersion()
	if err != nil || version < 1 {
		s.Reach("landlock", errors.New("the kernel has none"))
		return s, nil
	}
	// Later versions restrict UDP, which is what a worker is there for.
	if err := landlock.V9.BestEffort().Restrict(); err != nil {
		return s, fmt.Errorf("privileges: closing the file system: %w", err)
	}
	s.Reach(fmt.Sprintf("landlock %d", version), nil)
	return s, nil
}

// errNoFilter is what is missing where the supervisor could not build a filter
// for this machine.
var errNoFilter = errors.New("there is no filter for this machine")

// Filter puts seccomp programs upon every thread, in order. Where one cannot be
// loaded those before it stay.
func Filter(programs [][]byte) error {
	if len(programs) == 0 {
		return errNoFilter
	}
	for _, b := range programs {
		const size = int(unsafe.Sizeof(unix.SockFilter{}))
		n := len(b) / size
		if n == 0 || n > math.MaxUint16 || len(b)%size != 0 {
			return fmt.Errorf("a filter of %d bytes", len(b))
		}
		list := make([]unix.SockFilter, n)
		copy(unsafe.Slice((*byte)(unsafe.Pointer(&list[0])), len(b)), b)
		program := unix.SockFprog{Len: uint16(n), Filter: &list[0]}
		thread, _, errno := syscall.Syscall(unix.SYS_SECCOMP,
			unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
		runtime.KeepAlive(list)
		if errno != 0 {
			return fmt.Errorf("loading the filter: %w", errno)
		}
		if thread != 0 {
			return fmt.Errorf("loading the filter: thread %d does not take it", thread)
		}
	}
	return nil
}
