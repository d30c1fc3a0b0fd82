package cgroup

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/cgroups/v3/cgroup1"
	"golang.org/x/sys/unix"
)

// mounted are the directories that controllers can be used through.
type mounted struct {
	unified string
	legacy  map[string]string // by controller
}

// find looks for mounted hierarchies.
func find() mounted {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return mounted{}
	}
	found := parseMounts(string(text))
	if found.unified != "" && !isType(found.unified, unix.CGROUP2_SUPER_MAGIC) {
		found.unified = ""
	}
	for c, dir := range found.legacy {
		if !isType(dir, unix.CGROUP_SUPER_MAGIC) {
			delete(found.legacy, c)
		}
	}
	return found
}

// parseMounts finds the hierarchies in the text of a mountinfo (proc(5)).
func parseMounts(text string) mounted {
	found := mounted{legacy: make(map[string]string)}
	for line := range strings.Lines(text) {
		mount, source, ok := strings.Cut(strings.TrimSpace(line), " - ")
		m, s := strings.Fields(mount), strings.Fields(source)
		if !ok || len(m) < 5 || len(s) < 3 {
			continue
		}
		dir := unescape(m[4])
		switch s[0] {
		case "cgroup2":
			found.unified = dir
		case "cgroup":
			for c := range strings.SplitSeq(s[2], ",") {
				found.legacy[c] = dir
			}
		}
	}
	return found
}

// unescape undoes the octal escapes of mountinfo.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// isType guards against mounts that are listed but hidden by another.
func isType(dir string, magic int64) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && int64(st.Type) == magic
}

// mount makes hierarchies reachable that exist but are mounted nowhere that we
// could see.
func (m *Manager) mount() mounted {
	found := mounted{legacy: make(map[string]string)}
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return found
	}
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 || strings.HasPrefix(parts[1], "name=") {
			continue
		}
		if parts[1] == "" {
			found.unified = m.detached("cgroup2", nil)
			continue
		}
		names := strings.Split(parts[1], ",")
		if !slices.ContainsFunc(names, func(c string) bool {
			return slices.Contains(legacyControllers, cgroup1.Name(c))
		}) {
			continue
		}
		dir := m.detached("cgroup", names)
		for _, c := range names {
			found.legacy[c] = dir
		}
	}
	return found
}

// detached mounts a cgroup file system that is attached nowhere, and returns
// the path through our descriptor; "" when the kernel refuses.
func (m *Manager) detached(fstype string, options []string) string {
	f, err := mountDetached(fstype, options)
	if err != nil {
		return ""
	}
	m.mounts = append(m.mounts, f)
	return "/proc/self/fd/" + strconv.Itoa(int(f.Fd()))
}

func mountDetached(fstype string, options []string) (*os.File, error) {
	fd, err := unix.Fsopen(fstype, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	for _, o := range options {
		if err := unix.FsconfigSetFlag(fd, o); err != nil {
			return nil, err
		}
	}
	if err := unix.FsconfigCreate(fd); err != nil {
		return nil, err
	}
	dir, err := unix.Fsmount(fd, unix.FSMOUNT_CLOEXEC,
		unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(dir), fstype), nil
}

// countPIDs reads what the library's statistics lack.
func (u *Usage) countPIDs(dir string) {
	u.PIDsPeak = number(dir, "pids.peak")
	u.PIDsDenied = keyed(dir, "pids.events", "max")
}

// subdirectories returns the names of the groups in a group.
func subdirectories(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}

// fields reads the words of a file; none when it is not there.
func fields(dir, file string) []string {
	b, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return nil
	}
	return strings.Fields(string(b))
}

// number reads a file with one number; 0 when there is none.
func number(dir, file string) int64 {
	words := fields(dir, file)
	if len(words) == 0 {
		return 0
	}
	n, err := strconv.ParseInt(words[0], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// keyed reads the number behind a key in a file of "key number" lines.
func keyed(dir, file, key string) int64 {
	words := fields(dir, file)
	for i := 0; i+1 < len(words); i += 2 {
		if words[i] == key {
			n, err := strconv.ParseInt(words[i+1], 10, 64)
			if err == nil {
				return n
			}
		}
	}
	return 0
}
