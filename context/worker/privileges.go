package worker

import (
	"fmt"
	"syscall"

	"github.com/landlock-lsm/go-landlock/landlock"
	"golang.org/x/sys/unix"
)

// Confine takes from the process what it could still gain or reach: new
// privileges through exec, other processes' eyes on its memory, core files and
// the whole file system. It is called before the first packet is read; the
// supervisor has already taken away the user, groups and capabilities.
//
// Where the kernel has no Landlock the file system stays reachable for what
// the worker's own user may see, which is nothing of Warren.
func Confine() error {
	if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0); errno != 0 {
		return fmt.Errorf("worker: setting no_new_privs: %w", errno)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("worker: clearing dumpable: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("worker: forbidding core files: %w", err)
	}
	if err := landlock.V5.BestEffort().RestrictPaths(); err != nil {
		return fmt.Errorf("worker: closing the file system: %w", err)
	}
	return nil
}
