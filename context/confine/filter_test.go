package confine

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// verdict runs the programs over one call as the kernel does: the strictest
// answer counts.
func verdict(t *testing.T, programs []*bpf.VM, name string, args ...uint64) uint32 {
	t.Helper()
	here, err := arch.GetInfo("")
	if err != nil {
		t.Fatal(err)
	}
	nr, ok := here.SyscallNames[name]
	if !ok {
		t.Fatalf("this architecture has no %s", name)
	}
	// struct seccomp_data; a bpf.VM loads in the network's order, the kernel in its own.
	data := binary.BigEndian.AppendUint32(nil, uint32(nr))
	data = binary.BigEndian.AppendUint32(data, uint32(here.ID))
	data = append(data, make([]byte, 8)...)
	for i := range 6 {
		var a uint64
		if i < len(args) {
			a = args[i]
		}
		data = binary.BigEndian.AppendUint32(data, uint32(a)) // the low half comes first
		data = binary.BigEndian.AppendUint32(data, uint32(a>>32))
	}
	strictest := uint32(unix.SECCOMP_RET_ALLOW)
	for _, vm := range programs {
		n, err := vm.Run(data)
		if err != nil {
			t.Fatal(err)
		}
		if action := uint32(n); int32(action&unix.SECCOMP_RET_ACTION_FULL) < int32(
			strictest&unix.SECCOMP_RET_ACTION_FULL) {
			strictest = action
		}
	}
	return strictest
}

// machines returns the filters as programs to run.
func machines(t *testing.T, profile Profile, pid int) []*bpf.VM {
	t.Helper()
	list, err := Filters(profile, pid)
	if err != nil {
		t.Fatal(err)
	}
	var out []*bpf.VM
	for _, b := range list {
		var program []bpf.Instruction
		for ; len(b) > 0; b = b[8:] {
			program = append(program, bpf.RawInstruction{
				Op: binary.NativeEndian.Uint16(b), Jt: b[2], Jf: b[3], K: binary.NativeEndian.Uint32(b[4:]),
			}.Disassemble())
		}
		vm, err := bpf.NewVM(program)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, vm)
	}
	return out
}

// TestFilters: what a worker needs passes, with the arguments that it uses; all
// else is refused or ends it, whatever the arguments are.
func TestFilters(t *testing.T) {
	const (
		pass   = uint32(unix.SECCOMP_RET_ALLOW)
		refuse = uint32(unix.SECCOMP_RET_ERRNO) | uint32(unix.EPERM)
		end    = uint32(unix.SECCOMP_RET_KILL_PROCESS)
	)
	vms := machines(t, Worker, 1)
	check := func(want uint32, name string, args ...uint64) {
		t.Helper()
		if got := verdict(t, vms, name, args...); got != want {
			t.Errorf("%s%v: %#x, want %#x", name, args, got, want)
		}
	}
	here, err := arch.GetInfo("")
	if err != nil {
		t.Fatal(err)
	}
	conditional := []string{}
	for _, c := range forbidden(1) {
		conditional = append(conditional, c.name)
	}
	for name := range here.SyscallNames {
		switch {
		case slices.Contains(conditional, name):
		case slices.Contains(Worker.allowed(), name):
			check(pass, name)
		case slices.Contains(fatal, name):
			check(end, name)
		default:
			check(refuse, name)
			check(refuse, name, 7, 9, 1, 3) // numbers of calls that are allowed
		}
	}
	for _, flags := range []uint64{threadFlags, threadFlags | unix.CLONE_SETTLS} {
		check(pass, "clone", flags)
		check(refuse, "clone", flags|unix.CLONE_NEWUSER)
		check(refuse, "clone", flags&^unix.CLONE_THREAD)
		check(refuse, "clone", flags|1<<40)
	}
	check(refuse, "clone", uint64(unix.SIGCHLD))
	check(pass, "mmap", 0, 4096, unix.PROT_READ|unix.PROT_WRITE)
	check(refuse, "mmap", 0, 4096, unix.PROT_READ|unix.PROT_EXEC)
	check(pass, "tgkill", 1, 5, uint64(unix.SIGURG))
	check(refuse, "tgkill", 5, 5, uint64(unix.SIGURG))
	check(pass, "prctl", unix.PR_SET_VMA)
	check(refuse, "prctl", unix.PR_SET_DUMPABLE, 1)
	check(pass, "ioctl", 9, unix.TUNSETOFFLOAD)
	check(pass, "ioctl", 9, unix.TUNGETIFF)
	check(refuse, "ioctl", 9, unix.TUNSETIFF)
	check(refuse, "ioctl", 9, unix.TIOCSTI)
	check(pass, "setsockopt", 9, unix.SOL_SOCKET, unix.SO_RCVBUF)
	check(pass, "setsockopt", 9, unix.IPPROTO_IP, unix.SO_LINGER)
	check(refuse, "setsockopt", 9, unix.SOL_SOCKET, unix.SO_LINGER)
	check(refuse, "setsockopt", 9, unix.SOL_SOCKET, unix.SO_BINDTODEVICE)
	check(refuse, "setsockopt", 9, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER)
	check(refuse, "setsockopt", 9, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP)

	vms = machines(t, Worker, 4711) // without a namespace of processes
	check(pass, "tgkill", 4711, 4712, uint64(unix.SIGURG))
	check(refuse, "tgkill", 1, 1, uint64(unix.SIGURG))
}

// TestCheckerFilter: a process that checks texts has no call for a socket, and of
// those that it shares with workers none is less bounded.
func TestCheckerFilter(t *testing.T) {
	const (
		pass   = uint32(unix.SECCOMP_RET_ALLOW)
		refuse = uint32(unix.SECCOMP_RET_ERRNO) | uint32(unix.EPERM)
		end    = uint32(unix.SECCOMP_RET_KILL_PROCESS)
	)
	vms := machines(t, Checker, 1)
	check := func(want uint32, name string, args ...uint64) {
		t.Helper()
		if got := verdict(t, vms, name, args...); got != want {
			t.Errorf("%s%v: %#x, want %#x", name, args, got, want)
		}
	}
	for _, name := range moving {
		check(refuse, name)
	}
	for _, name := range fatal {
		check(end, name)
	}
	for _, name := range []string{"read", "write", "futex"} {
		check(pass, name)
	}
	for _, name := range []string{"socket", "openat", "fork", "kill", "prlimit64"} {
		check(refuse, name)
	}
	check(pass, "clone", threadFlags)
	check(refuse, "clone", uint64(unix.SIGCHLD))
	check(refuse, "mmap", 0, 4096, unix.PROT_READ|unix.PROT_EXEC)
	check(refuse, "prctl", unix.PR_SET_DUMPABLE, 1)
}
