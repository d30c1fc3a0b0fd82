package confine

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Profile is what a confined process is for.
type Profile int

// The profiles.
const (
	// Worker uses sockets and devices that it was given, and makes none.
	Worker Profile = iota
	// Checker reads from one pipe, computes, and writes to another one.
	Checker
)

// computing is what every Go program does: all system calls but these, and those of
// its profile, fail with EPERM. None makes a socket, opens a file, starts a process
// or reaches another one. Those that an architecture does not have are left out
// there.
var computing = []string{
	"read", "write", "close", "fcntl", "fstat",
	// The runtime waits and is woken.
	"epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "eventfd2", "futex", "nanosleep", "clock_nanosleep",
	"clock_gettime", "gettimeofday", "sched_yield", "restart_syscall",
	// Its memory, its threads, and how it interrupts them.
	"mmap", "munmap", "madvise", "clone", "sigaltstack", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
	"tgkill", "getpid", "gettid", "prctl", "exit", "exit_group", "getrandom",
	// It looks for the processors and the quota that it has, an idle one after a
	// minute: refused, it would go on with one processor without a word.
	"sched_getaffinity", "pread64",
}

// moving is what a worker does beside that, once it has read its boot message:
// packets, messages of the supervisor, log lines, what a descriptor is and how it is
// used.
var moving = []string{
	"writev", "recvmsg", "recvmmsg", "recvfrom", "sendmsg", "sendmmsg", "sendto", "shutdown",
	"getsockopt", "setsockopt", "getsockname", "getpeername", "ioctl",
}

// allowed are the system calls of a profile.
func (p Profile) allowed() []string {
	if p == Checker {
		return computing
	}
	return slices.Concat(computing, moving)
}

// fatal ends a process at once: no fault leads there, only somebody who is not us.
var fatal = []string{"execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev", "bpf", "io_uring_setup",
	"kexec_load", "init_module", "finit_module"}

// threadFlags is how the Go runtime begins a thread, on some architectures with
// CLONE_SETTLS: nothing is shared less, and nothing is new.
const threadFlags = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_SYSVSEM |
	unix.CLONE_THREAD

// condition is what forbids a call.
type condition struct {
	name string
	any  []seccomp.ArgumentConditions // one of them is met: each by all of its arguments
}

// forbidden are calls that are allowed only with the right arguments. Each is a
// filter of its own: in one filter together with others the library would
// compare an argument with the numbers of the calls that follow.
func forbidden(pid int) []condition {
	not := func(arg uint32, values ...uint64) []seccomp.ArgumentConditions {
		var all seccomp.ArgumentConditions
		for _, v := range values {
			all = append(all, seccomp.Condition{Argument: arg, Operation: seccomp.NotEqual, Value: v})
		}
		return []seccomp.ArgumentConditions{all}
	}
	option := func(level, name uint64) seccomp.ArgumentConditions {
		return seccomp.ArgumentConditions{
			{Argument: 1, Operation: seccomp.Equal, Value: level}, {Argument: 2, Operation: seccomp.Equal, Value: name},
		}
	}
	return []condition{
		{"clone", not(0, threadFlags, threadFlags|unix.CLONE_SETTLS)},
		{"prctl", not(0, unix.PR_SET_VMA)},
		{"tgkill", not(0, uint64(pid))},
		{"ioctl", not(1, unix.TUNGETIFF, unix.TUNSETOFFLOAD)},
		{"mmap", []seccomp.ArgumentConditions{{{Argument: 2, Operation: seccomp.BitsSet, Value: unix.PROT_EXEC}}}},
		{"setsockopt", []seccomp.ArgumentConditions{
			// the supervisor closes sockets, too, and must not wait for their peers
			option(unix.SOL_SOCKET, unix.SO_LINGER),
			option(unix.SOL_SOCKET, unix.SO_BINDTODEVICE),
			option(unix.SOL_SOCKET, unix.SO_ATTACH_FILTER),
			option(unix.SOL_SOCKET, unix.SO_ATTACH_BPF),
			option(unix.SOL_SOCKET, unix.SO_DETACH_FILTER),
			{{Argument: 1, Operation: seccomp.Equal, Value: unix.SOL_PACKET}},
		}},
	}
}

// Filters returns the programs that a process of a profile puts upon itself, in this
// order: it may make no system call but those allowed. pid is its number as it sees
// it. A program is a list of struct sock_filter of this machine, and not to be changed:
// all processes of a profile that are the first of their namespace have the same.
func Filters(profile Profile, pid int) ([][]byte, error) {
	if pid == 1 {
		return ofFirst[profile]()
	}
	return build(profile, pid)
}

// ofFirst are the programs of process 1: with hundreds of contexts they are not built
// for each.
var ofFirst = [...]func() ([][]byte, error){
	Worker:  sync.OnceValues(func() ([][]byte, error) { return build(Worker, 1) }),
	Checker: sync.OnceValues(func() ([][]byte, error) { return build(Checker, 1) }),
}

// build is Filters without a memory.
func build(profile Profile, pid int) ([][]byte, error) {
	here, err := arch.GetInfo("")
	if err != nil {
		return nil, fmt.Errorf("confine: no system call filter for this architecture: %w", err)
	}
	unknown := func(name string) bool { _, ok := here.SyscallNames[name]; return !ok }
	permitted := profile.allowed()
	var out [][]byte
	add := func(p seccomp.Policy) error {
		b, err := assemble(p)
		if err == nil {
			out = append(out, b)
		}
		return err
	}
	for _, c := range forbidden(pid) {
		if unknown(c.name) || !slices.Contains(permitted, c.name) {
			continue
		}
		group := seccomp.SyscallGroup{Action: seccomp.ActionErrno}
		for _, all := range c.any {
			group.NamesWithCondtions = append(group.NamesWithCondtions,
				seccomp.NameWithConditions{Name: c.name, Conditions: all})
		}
		if err := add(seccomp.Policy{DefaultAction: seccomp.ActionAllow,
			Syscalls: []seccomp.SyscallGroup{group}}); err != nil {
			return nil, err
		}
	}
	// Last, for it forbids the very call that loads it.
	err = add(seccomp.Policy{DefaultAction: seccomp.ActionErrno, Syscalls: []seccomp.SyscallGroup{
		{Action: seccomp.ActionAllow, Names: slices.DeleteFunc(slices.Clone(permitted), unknown)},
		{Action: seccomp.ActionKillProcess, Names: slices.DeleteFunc(slices.Clone(fatal), unknown)},
	}})
	return out, err
}

func assemble(p seccomp.Policy) ([]byte, error) {
	instructions, err := p.Assemble()
	if err != nil {
		return nil, fmt.Errorf("confine: building a system call filter: %w", err)
	}
	raw, err := bpf.Assemble(instructions)
	if err != nil {
		return nil, fmt.Errorf("confine: building a system call filter: %w", err)
	}
	var b []byte
	for _, i := range raw {
		b = binary.NativeEndian.AppendUint16(b, i.Op)
		b = append(b, i.Jt, i.Jf)
		b = binary.NativeEndian.AppendUint32(b, i.K)
	}
	return b, nil
}
