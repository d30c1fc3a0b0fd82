package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// namePrefix begins the names of all labs; the id of the process follows.
const namePrefix = "wl"

// netnsDir is where named network namespaces are.
const netnsDir = "/run/netns"

// sweep removes namespaces and control groups of labs whose process is gone.
func sweep() { remove(orphan) }

// remove removes the namespaces and control groups whose name is chosen.
func remove(chosen func(name string) bool) {
	for _, name := range names(netnsDir) {
		if chosen(name) {
			unix.Unmount(filepath.Join(netnsDir, name), unix.MNT_DETACH)
			os.Remove(filepath.Join(netnsDir, name))
		}
	}
	for _, dir := range cgroupDirs() {
		if chosen(filepath.Base(dir)) {
			removeCgroup(dir)
		}
	}
}

// removeOwn removes what the lab's daemons left behind: a daemon that was
// killed does not clean up, and no next one may follow.
func (l *Lab) removeOwn() {
	remove(func(name string) bool { return strings.HasPrefix(name, l.prefix+"-") })
}

// shareNames makes the folder of named namespaces what ip-netns(8) makes it: a
// shared mount of its own. On a machine that has had no named namespace since
// its start it is none; a daemon that makes it one later would cover the names
// that the lab has made, which nobody could remove any more.
func shareNames() error {
	if err := os.MkdirAll(netnsDir, 0o755); err != nil {
		return err
	}
	err := unix.Mount("", netnsDir, "none", unix.MS_SHARED|unix.MS_REC, "")
	if !errors.Is(err, unix.EINVAL) { // EINVAL: it is no mount
		return err
	}
	if err := unix.Mount(netnsDir, netnsDir, "none", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	return unix.Mount("", netnsDir, "none", unix.MS_SHARED|unix.MS_REC, "")
}

// orphan reports whether name is one of a lab that no longer runs.
func orphan(name string) bool {
	rest, ok := strings.CutPrefix(name, namePrefix)
	if !ok {
		return false
	}
	id, _, ok := strings.Cut(rest, "-")
	if !ok {
		return false
	}
	pid, err := strconv.Atoi(id)
	if err != nil || pid <= 0 {
		return false
	}
	return syscall.Kill(pid, 0) == syscall.ESRCH
}

// Leftovers lists what on the host carries a name that begins with prefix:
// namespaces, control groups and devices of the host's namespace. A daemon that
// leaves the host as it found it has none.
func Leftovers(prefix string) []string {
	var found []string
	for _, name := range names(netnsDir) {
		if strings.HasPrefix(name, prefix) {
			found = append(found, "namespace "+name)
		}
	}
	for _, dir := range cgroupDirs() {
		if strings.HasPrefix(filepath.Base(dir), prefix) {
			found = append(found, "control group "+dir)
		}
	}
	for _, name := range names("/sys/class/net") {
		if strings.HasPrefix(name, prefix) {
			found = append(found, "device "+name)
		}
	}
	return found
}

// cgroupDirs are the control groups directly below each hierarchy's root.
func cgroupDirs() []string {
	var dirs []string
	for _, pattern := range []string{"/sys/fs/cgroup/" + namePrefix + "*", "/sys/fs/cgroup/*/" + namePrefix + "*"} {
		found, err := filepath.Glob(pattern)
		if err == nil {
			dirs = append(dirs, found...)
		}
	}
	return dirs
}

// removeCgroup removes a control group that is empty, children first.
func removeCgroup(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if e.IsDir() {
			removeCgroup(filepath.Join(dir, e.Name()))
		}
	}
	os.Remove(dir)
}

// names are the entries of a folder; none if it is not there.
func names(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// Children are the ids of the processes whose parent is pid.
func Children(pid int) []int {
	var list []int
	for _, name := range names("/proc") {
		id, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", id))
		if err != nil {
			continue
		}
		// "pid (name) state ppid ...", and the name may hold anything.
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			list = append(list, id)
		}
	}
	return list
}
