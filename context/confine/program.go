package confine

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// score makes a process no dearer to the kernel than any other process,
// whatever the supervisor is.
const score = "0"

// Expendable takes from a process what it has inherited of the supervisor's
// safety from a lack of memory. The kernel refuses that only for a process that
// is gone, or that has inherited a score above: there it does not matter.
func Expendable(pid int) {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid), []byte(score), 0)
}

// firstFree is a number for a descriptor that no process of ours inherits.
const firstFree = 100

// Program returns a path of the binary that any user can follow, until release is
// called. Where the directories keep strangers out, as /root does, that leads
// through a descriptor of ours. A binary that not everybody may execute is an
// error.
func Program(binary string) (path string, release func(), err error) {
	info, err := os.Stat(binary)
	if err != nil {
		return "", nil, fmt.Errorf("confine: the program is missing: %w", err)
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o001 == 0 {
		return "", nil, fmt.Errorf("confine: %s must be executable for everybody (chmod a+rx)", binary)
	}
	real, err := filepath.EvalSymlinks(binary)
	if err != nil {
		return "", nil, fmt.Errorf("confine: finding the program: %w", err)
	}
	if real, err = filepath.Abs(real); err != nil {
		return "", nil, fmt.Errorf("confine: finding the program: %w", err)
	}
	if open(real) {
		return real, func() {}, nil
	}
	f, err := os.Open(real)
	if err != nil {
		return "", nil, fmt.Errorf("confine: opening the program: %w", err)
	}
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, firstFree)
	if err != nil {
		return "", nil, fmt.Errorf("confine: opening the program: %w", err)
	}
	return fmt.Sprintf("/proc/self/fd/%d", fd), func() { unix.Close(fd) }, nil
}

// open tells whether everybody may pass all directories on the way to path.
func open(path string) bool {
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			return false
		}
		if dir == "/" {
			return true
		}
	}
}
