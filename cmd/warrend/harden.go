package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// firstInherited is the first descriptor that is not a standard one. Nothing is
// handed to this program in them: systemd is told through a socket that its
// environment names.
const firstInherited = 3

// oomScore makes the kernel choose almost anybody else when the host's memory is
// used up: without the supervisor no context is looked after.
const oomScore = -900

// harden takes from this process what nobody needs and a worker, or a stranger
// on the host, could use: descriptors that whoever started it has left open, and
// the secrets in its memory as a core file or through ptrace.
func harden() error {
	if err := closeInherited(); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("clearing dumpable: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbidding core files: %w", err)
	}
	// In a container without CAP_SYS_RESOURCE the score stays as it is.
	_ = os.WriteFile("/proc/self/oom_score_adj", strconv.AppendInt(nil, oomScore, 10), 0)
	return nil
}

// closeInherited keeps the descriptors that this process was born with from its
// children, the workers. They stay open here: the runtime has some of its own.
func closeInherited() error {
	err := unix.CloseRange(firstInherited, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	if !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EINVAL) { // before Linux 5.11
		return err
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("looking for inherited descriptors: %w", err)
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd >= firstInherited {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}
