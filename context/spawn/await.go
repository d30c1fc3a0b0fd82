package spawn

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// awaitEnd returns when the process has ended, which is still to be reaped. It
// holds no thread meanwhile, as os.Process.Wait would for each of hundreds of
// workers. Where the kernel has no handles of processes, or one cannot be polled,
// it returns at once, and Wait is to wait.
func awaitEnd(p *os.Process) {
	own := -1
	err := p.WithHandle(func(fd uintptr) {
		var err error
		if own, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0); err != nil {
			own = -1
		}
	})
	if err != nil || own < 0 {
		return
	}
	// The runtime polls only what does not block. That holds for p's handle, too,
	// and of one that does not block Wait would return before the end.
	if err := unix.SetNonblock(own, true); err != nil {
		unix.Close(own)
		return
	}
	handle := os.NewFile(uintptr(own), "process")
	defer handle.Close()
	defer unix.SetNonblock(own, false)
	pollEnd(handle)
}

// pollEnd returns when the process of a handle has ended, or the handle cannot be
// polled.
func pollEnd(handle *os.File) {
	conn, err := handle.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Read(func(fd uintptr) bool { // an error means that it cannot be polled
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PIDFD, int(fd), &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			return false
		}
		return err != nil || info.Signo != 0
	})
}
