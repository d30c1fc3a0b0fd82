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

// handleOf opens a handle of a process that is not reaped yet, which does not block;
// nil where the kernel has none.
func handleOf(pid int) *os.File {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil
	}
	return os.NewFile(uintptr(fd), "process")
}

// awaitHandle returns when the process of a handle has ended, which another process
// has started, and somebody else reaps. It holds no thread meanwhile.
func awaitHandle(handle *os.File) error {
	conn, err := handle.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = conn.Read(func(fd uintptr) bool {
		var ended bool
		ended, failed = hasEnded(fd)
		return ended || failed != nil
	})
	return errors.Join(err, failed)
}

// hasEnded reports whether the process of a handle has ended (pidfd_open(2): then it
// is readable).
func hasEnded(fd uintptr) (bool, error) {
	for {
		list := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(list, 0)
		if !errors.Is(err, unix.EINTR) {
			return n > 0, os.NewSyscallError("poll", err)
		}
	}
}

// killHandle kills the process of a handle. One that has ended is no error.
func killHandle(handle *os.File) error {
	conn, err := handle.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = conn.Control(func(fd uintptr) { failed = unix.PidfdSendSignal(int(fd), unix.SIGKILL, nil, 0) })
	if errors.Is(failed, unix.ESRCH) {
		failed = nil
	}
	return errors.Join(err, failed)
}
