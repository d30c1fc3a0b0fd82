//go:build !race

package checker

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// refused is how everything ends that the process may not do.
const refused = syscall.EPERM

// attempt is one thing that somebody would try who had taken the process over.
type attempt struct {
	name string
	do   func() syscall.Errno
}

func attempts() []attempt {
	call := func(nr uintptr, args ...uintptr) func() syscall.Errno {
		var a [6]uintptr
		copy(a[:], args)
		return func() syscall.Errno {
			_, _, errno := syscall.RawSyscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
			return errno
		}
	}
	here := ^uintptr(99) // AT_FDCWD
	buffer := uintptr(unsafe.Pointer(&scratch[0]))
	root := uintptr(unsafe.Pointer(&rootPath[0]))
	return []attempt{
		{"open", call(unix.SYS_OPENAT, here, root, unix.O_RDONLY)},
		{"create", call(unix.SYS_OPENAT, here, root, unix.O_CREAT|unix.O_WRONLY, 0o600)},
		{"memfd_create", call(unix.SYS_MEMFD_CREATE, root, 0)},
		{"newfstatat", call(unix.SYS_NEWFSTATAT, here, root, buffer, 0)},
		{"mount", call(unix.SYS_MOUNT, root, root, root, unix.MS_BIND, 0)},
		{"chroot", call(unix.SYS_CHROOT, root)},
		{"socket AF_INET", call(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM, 0)},
		{"socket AF_UNIX", call(unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_STREAM, 0)},
		{"socket AF_NETLINK", call(unix.SYS_SOCKET, unix.AF_NETLINK, unix.SOCK_RAW, 0)},
		{"connect", call(unix.SYS_CONNECT, 0, buffer, 16)},
		{"sendmsg", call(unix.SYS_SENDMSG, 1, buffer, 0)},
		{"recvmsg", call(unix.SYS_RECVMSG, 0, buffer, 0)},
		{"ioctl", call(unix.SYS_IOCTL, 0, unix.TIOCINQ, buffer)},
		{"fork", call(unix.SYS_CLONE, uintptr(unix.SIGCHLD))},
		{"clone with a user namespace", call(unix.SYS_CLONE, unix.CLONE_NEWUSER|uintptr(unix.SIGCHLD))},
		{"unshare", call(unix.SYS_UNSHARE, unix.CLONE_NEWUSER)},
		{"setns", call(unix.SYS_SETNS, 0, 0)},
		{"kill all", call(unix.SYS_KILL, ^uintptr(0), uintptr(unix.SIGKILL))},
		{"tgkill another", call(unix.SYS_TGKILL, 4711, 4711, uintptr(unix.SIGKILL))},
		{"pidfd_open", call(unix.SYS_PIDFD_OPEN, 1, 0)},
		{"setuid", call(unix.SYS_SETUID, 0)},
		{"capset", call(unix.SYS_CAPSET, buffer, buffer)},
		{"more processor time", call(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_CPU, 0, buffer)},
		{"setpriority", call(unix.SYS_SETPRIORITY, unix.PRIO_PROCESS, 0, ^uintptr(9))},
		{"dumpable", call(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 1)},
		{"executable memory", call(unix.SYS_MMAP, 0, 4096, unix.PROT_READ|unix.PROT_EXEC,
			unix.MAP_PRIVATE|unix.MAP_ANON, ^uintptr(0))},
		{"userfaultfd", call(unix.SYS_USERFAULTFD, 1)},
		{"perf_event_open", call(unix.SYS_PERF_EVENT_OPEN, buffer, 0, ^uintptr(0))},
		{"keyctl", call(unix.SYS_KEYCTL, 0, ^uintptr(2), 1)},
	}
}

var (
	scratch  [256]byte
	rootPath = [2]byte{'/'}
)
