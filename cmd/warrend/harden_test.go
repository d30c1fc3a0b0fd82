package main

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestHarden: a child gets no descriptor that this process was born with, and
// memory with secrets is in no core file. It changes the process for good, which
// is the test's own.
func TestHarden(t *testing.T) {
	var fds [2]int
	if err := unix.Pipe(fds[:]); err != nil { // as inherited: without CLOEXEC
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	if err := harden(); err != nil { // twice does no harm
		t.Fatal(err)
	}
	for _, fd := range fds {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("descriptor %d is inherited: %#x, %v", fd, flags, err)
		}
	}
	if d, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || d != 0 {
		t.Errorf("dumpable is %d, %v", d, err)
	}
	var core unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &core); err != nil || core.Max != 0 {
		t.Errorf("core files up to %d bytes, %v", core.Max, err)
	}
	before, _ := os.ReadFile("/proc/self/oom_score_adj")
	want := strings.TrimSpace(string(before))
	if mayLowerScore(t) {
		want = "-900"
	}
	if err := harden(); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile("/proc/self/oom_score_adj"); err != nil || strings.TrimSpace(string(b)) != want {
		t.Errorf("the score is %q, %v, want %s", b, err, want)
	}
}

// mayLowerScore reports whether this process has CAP_SYS_RESOURCE.
func mayLowerScore(t *testing.T) bool {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "CapEff:\t")
	effective, err := strconv.ParseUint(strings.Fields(rest)[0], 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return effective>>unix.CAP_SYS_RESOURCE&1 == 1
}
