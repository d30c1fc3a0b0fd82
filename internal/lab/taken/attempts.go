package main

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// attempt is one thing to try. do returns 0 where it has worked.
type attempt struct {
	name string
	do   func() syscall.Errno
}

// call makes a system call and returns its error.
func call(nr uintptr, args ...uintptr) func() syscall.Errno {
	var a [6]uintptr
	copy(a[:], args)
	return func() syscall.Errno {
		_, _, errno := syscall.Syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
		return errno
	}
}

// fork begins a process, which does nothing and ends.
func fork(flags uintptr) func() syscall.Errno {
	return func() syscall.Errno {
		pid, _, errno := syscall.RawSyscall(unix.SYS_CLONE, flags, 0, 0)
		if pid == 0 && errno == 0 {
			for {
				syscall.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
			}
		}
		return errno
	}
}

// text is a C string that stays where it is.
func text(s string) uintptr {
	b := append([]byte(s), 0)
	kept = append(kept, b)
	return uintptr(unsafe.Pointer(&b[0]))
}

// memory is zeroed memory that stays where it is.
func memory(size int) uintptr {
	b := make([]byte, size)
	kept = append(kept, b)
	return uintptr(unsafe.Pointer(&b[0]))
}

var kept [][]byte

func attempts() []attempt {
	here := ^uintptr(99) // AT_FDCWD
	passwd, root, proc := text("/etc/passwd"), text("/"), text("/proc/1/mem")
	self := uintptr(os.Getpid())
	return []attempt{
		// Sockets: out of the tenant's network, or to anything on the host.
		{"socket AF_INET stream", call(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM, 0)},
		{"socket AF_INET datagram", call(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_DGRAM, 0)},
		{"socket AF_INET6 raw", call(unix.SYS_SOCKET, unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ESP)},
		{"socket AF_UNIX", call(unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_STREAM, 0)},
		{"socket AF_NETLINK", call(unix.SYS_SOCKET, unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE)},
		{"socket AF_PACKET", call(unix.SYS_SOCKET, unix.AF_PACKET, unix.SOCK_RAW, 0)},
		{"socket AF_VSOCK", call(unix.SYS_SOCKET, unix.AF_VSOCK, unix.SOCK_STREAM, 0)},
		{"socket AF_ALG", call(unix.SYS_SOCKET, unix.AF_ALG, unix.SOCK_SEQPACKET, 0)},
		{"socketpair", call(unix.SYS_SOCKETPAIR, unix.AF_UNIX, unix.SOCK_STREAM, 0, memory(8))},
		{"connect", call(unix.SYS_CONNECT, lineFD, memory(16), 16)},
		{"bind", call(unix.SYS_BIND, lineFD, memory(16), 16)},
		{"listen", call(unix.SYS_LISTEN, lineFD, 1)},
		{"accept4", call(unix.SYS_ACCEPT4, lineFD, 0, 0, 0)},
		{"setsockopt SO_LINGER", call(unix.SYS_SETSOCKOPT, lineFD, unix.SOL_SOCKET, unix.SO_LINGER, memory(8), 8)},
		{"setsockopt SO_BINDTODEVICE", call(unix.SYS_SETSOCKOPT, lineFD, unix.SOL_SOCKET, unix.SO_BINDTODEVICE,
			memory(8), 8)},
		{"setsockopt SO_ATTACH_FILTER", call(unix.SYS_SETSOCKOPT, lineFD, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			memory(16), 16)},
		{"setsockopt PACKET_ADD_MEMBERSHIP",
			call(unix.SYS_SETSOCKOPT, lineFD, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, memory(16), 16)},

		// Files.
		{"openat /etc/passwd", call(unix.SYS_OPENAT, here, passwd, unix.O_RDONLY)},
		{"openat /", call(unix.SYS_OPENAT, here, root, unix.O_RDONLY|unix.O_DIRECTORY)},
		{"openat /proc/1/mem", call(unix.SYS_OPENAT, here, proc, unix.O_RDWR)},
		{"openat2", call(unix.SYS_OPENAT2, here, passwd, memory(24), 24)},
		{"newfstatat", call(unix.SYS_NEWFSTATAT, here, root, memory(256), 0)},
		{"mkdirat", call(unix.SYS_MKDIRAT, here, text("/x"), 0o700)},
		{"memfd_create", call(unix.SYS_MEMFD_CREATE, text("x"), 0)},
		{"ftruncate", call(unix.SYS_FTRUNCATE, lineFD, 0)},
		{"open_by_handle_at", call(unix.SYS_OPEN_BY_HANDLE_AT, lineFD, memory(64), 0)},
		{"inotify_init1", call(unix.SYS_INOTIFY_INIT1, 0)},
		{"fanotify_init", call(unix.SYS_FANOTIFY_INIT, 0, 0)},

		// Mounts and namespaces.
		{"mount", call(unix.SYS_MOUNT, text("x"), root, text("tmpfs"), 0, 0)},
		{"umount2", call(unix.SYS_UMOUNT2, root, unix.MNT_DETACH)},
		{"pivot_root", call(unix.SYS_PIVOT_ROOT, root, root)},
		{"chroot", call(unix.SYS_CHROOT, root)},
		{"fsopen", call(unix.SYS_FSOPEN, text("tmpfs"), 0)},
		{"unshare user and network", call(unix.SYS_UNSHARE, unix.CLONE_NEWUSER|unix.CLONE_NEWNET)},
		{"setns", call(unix.SYS_SETNS, lineFD, 0)},
		{"clone with a user namespace",
			fork(unix.CLONE_NEWUSER | unix.CLONE_NEWNET | unix.CLONE_NEWNS | uintptr(unix.SIGCHLD))},
		{"sethostname", call(unix.SYS_SETHOSTNAME, root, 1)},

		// Other processes.
		{"fork", fork(uintptr(unix.SIGCHLD))},
		{"clone3", call(unix.SYS_CLONE3, memory(88), 88)},
		{"kill all", call(unix.SYS_KILL, ^uintptr(0), uintptr(unix.SIGKILL))},
		{"tgkill another", call(unix.SYS_TGKILL, self+1, self+1, uintptr(unix.SIGKILL))},
		{"pidfd_open", call(unix.SYS_PIDFD_OPEN, 1, 0)},
		{"pidfd_getfd", call(unix.SYS_PIDFD_GETFD, lineFD, 0, 0)},
		{"process_madvise", call(unix.SYS_PROCESS_MADVISE, lineFD, 0, 0, 0, 0)},
		{"kcmp", call(unix.SYS_KCMP, 1, 1, 0, 0, 0)},
		{"shmget", call(unix.SYS_SHMGET, 0, 4096, 0o1600)},
		{"msgget", call(unix.SYS_MSGGET, 0, 0o1600)},
		{"semget", call(unix.SYS_SEMGET, 0, 1, 0o1600)},

		// More privileges, more of the kernel.
		{"setuid 0", call(unix.SYS_SETUID, 0)},
		{"capset", call(unix.SYS_CAPSET, memory(8), memory(24))},
		{"prctl dumpable", call(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 1)},
		{"prlimit64", call(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_FSIZE, 0, memory(16))},
		{"setpriority", call(unix.SYS_SETPRIORITY, unix.PRIO_PROCESS, 0, ^uintptr(9))},
		{"sched_setaffinity", call(unix.SYS_SCHED_SETAFFINITY, 0, 8, memory(8))},
		{"keyctl", call(unix.SYS_KEYCTL, 0, ^uintptr(2), 1)},
		{"add_key", call(unix.SYS_ADD_KEY, text("user"), text("x"), memory(8), 8, ^uintptr(2))},
		{"userfaultfd", call(unix.SYS_USERFAULTFD, 1)},
		{"perf_event_open", call(unix.SYS_PERF_EVENT_OPEN, memory(128), 0, ^uintptr(0))},
		{"seccomp", call(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, memory(16))},
		{"personality", call(unix.SYS_PERSONALITY, 0x0040000)},
		{"mmap executable", call(unix.SYS_MMAP, 0, 4096, unix.PROT_READ|unix.PROT_WRITE|unix.PROT_EXEC,
			unix.MAP_PRIVATE|unix.MAP_ANON, ^uintptr(0), 0)},
		{"mprotect executable", call(unix.SYS_MPROTECT, 0, 4096, unix.PROT_READ|unix.PROT_EXEC)},
		{"ioctl TUNSETIFF", call(unix.SYS_IOCTL, lineFD, unix.TUNSETIFF, memory(40))},
		{"ioctl SIOCGIFCONF", call(unix.SYS_IOCTL, lineFD, unix.SIOCGIFCONF, memory(16))},
		{"ioctl TIOCSTI", call(unix.SYS_IOCTL, 0, unix.TIOCSTI, memory(1))},
		{"reboot", call(unix.SYS_REBOOT, 0, 0, 0, 0)},
	}
}

// last asks for another program, which ends a worker on the spot.
func last() {
	argv := [2]uintptr{text("x"), 0}
	syscall.RawSyscall(unix.SYS_EXECVE, text("/bin/true"), uintptr(unsafe.Pointer(&argv[0])), 0)
}
