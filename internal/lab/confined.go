package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Confined runs a shell script in the control groups of a context's worker, as
// a worker would that has been taken over. The lab, or the end of the context,
// ends it.
func (w *Warrend) Confined(context, script string) *Process {
	w.ns.lab.tb.Helper()
	files, err := groupFiles(w.Context(context).PID)
	if err != nil {
		w.ns.lab.tb.Fatalf("lab: groups of context %s: %v", context, err)
	}
	join := `for f in "$@"; do echo $$ > "$f" || exit 1; done; `
	return w.ns.Start(Command{Name: "confined", Args: append([]string{"sh", "-c", join + script, "sh"}, files...)})
}

// KillGroup ends the process and all that it has started, at once.
func (p *Process) KillGroup() {
	syscall.Kill(-p.PID(), syscall.SIGKILL) // where all have gone there is nobody to tell
	p.Kill()
}

// groupFiles returns cgroup.procs of every group that confines a process, in the
// hierarchies that are mounted in their usual places.
func groupFiles(pid int) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return nil, err
	}
	var files []string
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 || parts[2] == "/" {
			continue
		}
		for _, dir := range []string{parts[1], "unified"} {
			file := filepath.Join("/sys/fs/cgroup", dir, parts[2], "cgroup.procs")
			if _, err := os.Stat(file); err == nil {
				files = append(files, file)
				break
			}
		}
	}
	if files == nil {
		return nil, fmt.Errorf("process %d is in no group below /sys/fs/cgroup", pid)
	}
	return files, nil
}

// RemoveGroups removes the control groups of a context's worker, as somebody might
// who tidies up; the worker goes on outside of them.
func (w *Warrend) RemoveGroups(context string) {
	w.ns.lab.tb.Helper()
	pid := w.Context(context).PID
	files, err := groupFiles(pid)
	if err != nil {
		w.ns.lab.tb.Fatalf("lab: groups of context %s: %v", context, err)
	}
	for _, file := range files {
		group := filepath.Dir(file)
		below, err := filepath.Rel("/sys/fs/cgroup", group)
		if err != nil {
			w.ns.lab.tb.Fatalf("lab: groups of context %s: %v", context, err)
		}
		root := "/sys/fs/cgroup"
		if hierarchy, _, _ := strings.Cut(below, "/"); groupRoot(filepath.Join(root, hierarchy)) {
			root = filepath.Join(root, hierarchy)
		}
		if err := os.WriteFile(filepath.Join(root, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0); err != nil {
			w.ns.lab.tb.Fatalf("lab: moving the worker of %s out of its group: %v", context, err)
		}
		if err := os.Remove(group); err != nil {
			w.ns.lab.tb.Fatalf("lab: removing the group of %s: %v", context, err)
		}
	}
}

// groupRoot tells whether a directory is where a hierarchy is mounted.
func groupRoot(dir string) bool {
	var here, above syscall.Stat_t
	return syscall.Stat(dir, &here) == nil && syscall.Stat(filepath.Dir(dir), &above) == nil && here.Dev != above.Dev
}

// InGroups tells whether the worker of a context is in control groups of its own.
func (w *Warrend) InGroups(context string) bool {
	files, err := groupFiles(w.Context(context).PID)
	return err == nil && len(files) > 0
}
