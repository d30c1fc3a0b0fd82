package spawn

import (
	"os"

	"golang.org/x/sys/unix"
)

// awaitEnd returns when the process has ended, which is still to be reaped. It
// holds no thread meanwhile, as os.Process.Wait would for each of hundreds of
// workers. Where the kernel has no handles of processes it returns at once.
func awaitEnd(p *os.Process) {
	var handle *os.File
	err := p.WithHandle(func(fd uintptr) {
		own, err := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return
		}
		if err := unix.SetNonblock(own, true); err != nil { // else the runtime would not poll it
			unix.Close(own)
			return
		}
		handle = os.NewFile(uintptr(own), "process")
	})
	if err != nil || handle == nil {
		return
	}
	defer handle.Close()
	conn, err := handle.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Read(func(fd uintptr) bool { // an error means that there is nothing to wait for
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PIDFD, int(fd), &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		return err != nil || info.Signo != 0
	})
}
