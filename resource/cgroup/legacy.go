package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/containerd/cgroups/v3/cgroup1"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// allPIDs is the highest number of processes that a kernel can have. The
// library cannot take a limit on processes away.
const allPIDs = 1 << 22

// legacyControllers are those of version 1 that limits and counters need.
var legacyControllers = []cgroup1.Name{cgroup1.Cpu, cgroup1.Cpuacct, cgroup1.Memory, cgroup1.Pids}

// legacy is the separate hierarchies of version 1. The library wants them below
// one directory, each under the name of its controller. So root is a directory
// of our own, with links to where they really are.
type legacy struct {
	root   string
	system string
	names  []string // of the controllers
}

// newLegacy returns the hierarchies in dirs that limits need, by controller; nil
// where there are none.
func (m *Manager) newLegacy(dirs map[string]string, system string) hierarchy {
	h := &legacy{system: system}
	for _, c := range legacyControllers {
		dir := dirs[string(c)]
		if dir == "" {
			continue
		}
		if h.root == "" {
			h.root = m.detached("tmpfs", nil)
		}
		if h.root != "" && os.Symlink(dir, filepath.Join(h.root, string(c))) == nil {
			h.names = append(h.names, string(c))
		}
	}
	if h.names == nil {
		return nil
	}
	return h
}

func (h *legacy) controllers() []string { return h.names }

// subsystems is a cgroup1.Hierarchy.
func (h *legacy) subsystems() ([]cgroup1.Subsystem, error) {
	var list []cgroup1.Subsystem
	for _, c := range h.names {
		switch cgroup1.Name(c) {
		case cgroup1.Cpu:
			list = append(list, cgroup1.NewCpu(h.root))
		case cgroup1.Cpuacct:
			list = append(list, cgroup1.NewCpuacct(h.root))
		case cgroup1.Memory:
			list = append(list, cgroup1.NewMemory(h.root, cgroup1.IgnoreModules("memsw", "kmem", "kmem.tcp")))
		case cgroup1.Pids:
			list = append(list, cgroup1.NewPids(h.root))
		}
	}
	return list, nil
}

// path is where a group is in every hierarchy.
func (h *legacy) path(group string) cgroup1.Path {
	return cgroup1.StaticPath(filepath.Join("/", h.system, group))
}

func (h *legacy) load(group string) (cgroup1.Cgroup, error) {
	return cgroup1.Load(h.path(group), cgroup1.WithHierarchy(h.subsystems))
}

func (h *legacy) create(group string, l Limits) error {
	if _, err := cgroup1.New(h.path(group), &specs.LinuxResources{}, cgroup1.WithHierarchy(h.subsystems)); err != nil {
		return err
	}
	return h.update(group, l)
}

func (h *legacy) has(group string) bool {
	for _, c := range h.names {
		if _, err := os.Stat(h.dir(c, group)); err != nil {
			return false
		}
	}
	return true
}

func (h *legacy) update(group string, l Limits) error {
	g, err := h.load(group)
	if err != nil {
		return err
	}
	quota, period := l.quota(), uint64(cpuPeriod.Microseconds())
	memory, pids := int64(-1), int64(allPIDs)
	if l.Memory > 0 {
		memory = l.Memory
	}
	if l.PIDs > 0 {
		pids = int64(l.PIDs)
	}
	steps := []specs.LinuxResources{{
		CPU:    &specs.LinuxCPU{Period: &period, Quota: &quota},
		Memory: &specs.LinuxMemory{Limit: &memory},
		Pids:   &specs.LinuxPids{Limit: &pids},
	}}
	if _, err := os.Stat(filepath.Join(h.dir(string(cgroup1.Memory), group),
		"memory.memsw.limit_in_bytes")); err == nil {
		// A cap on memory is one on swap, too: who has reached it must not go on at
		// the expense of everybody's disk. Memory with swap can at no time be less
		// than memory.
		open := int64(-1)
		steps = slices.Insert(steps, 0, specs.LinuxResources{Memory: &specs.LinuxMemory{Swap: &open}})
		steps = append(steps, specs.LinuxResources{Memory: &specs.LinuxMemory{Swap: &memory}})
	}
	for i := range steps {
		if err := g.Update(&steps[i]); err != nil {
			return err
		}
	}
	return nil
}

func (h *legacy) add(group string, pid int) error {
	g, err := h.load(group)
	if err != nil {
		return err
	}
	return g.AddProc(uint64(pid))
}

// processes reads the lists themselves: the library walks through the whole directory
// for them.
func (h *legacy) processes(group string) []int {
	var pids []int
	for _, c := range h.names {
		for _, word := range fields(h.dir(c, group), "cgroup.procs") {
			if pid, err := strconv.Atoi(word); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	slices.Sort(pids)
	return slices.Compact(pids)
}

// dir is the directory of a group in the hierarchy of one controller.
func (h *legacy) dir(controller, group string) string {
	return filepath.Join(h.root, controller, h.system, group)
}

// kill forbids new processes first, where it can: what forks faster than it is
// killed would never end.
func (h *legacy) kill(group string) {
	dir := h.dir(string(cgroup1.Pids), group)
	if limit := fields(dir, "pids.max"); len(limit) == 1 && setPIDs(dir, "0") == nil {
		defer setPIDs(dir, limit[0])
	}
	killListed(func() []int { return h.processes(group) })
}

// setPIDs changes the limit of a group that is there.
func setPIDs(dir, limit string) error {
	f, err := os.OpenFile(filepath.Join(dir, "pids.max"), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(limit)
	return errors.Join(err, f.Close())
}

func (h *legacy) remove(group string) error {
	g, err := h.load(group)
	if errors.Is(err, cgroup1.ErrCgroupDeleted) {
		return nil
	}
	if err != nil {
		return err
	}
	return g.Delete()
}

// usage reads the few counters that somebody looks at; the library reads all there are,
// and some of them are added up over all processors.
func (h *legacy) usage(group string, u *Usage) {
	for _, c := range h.names {
		dir := h.dir(c, group)
		switch cgroup1.Name(c) {
		case cgroup1.Cpu:
			u.Throttled = keyed(dir, "cpu.stat", "nr_throttled")
		case cgroup1.Cpuacct:
			u.CPU = time.Duration(number(dir, "cpuacct.usage"))
		case cgroup1.Memory:
			u.Memory, u.MemoryPeak = number(dir, "memory.usage_in_bytes"), number(dir, "memory.max_usage_in_bytes")
			u.OOMKills = h.oomKills(group)
		case cgroup1.Pids:
			u.PIDs = number(dir, "pids.current")
			u.countPIDs(dir)
		}
	}
}

func (h *legacy) oomKills(group string) int64 {
	if !slices.Contains(h.names, string(cgroup1.Memory)) {
		return 0
	}
	return keyed(h.dir(string(cgroup1.Memory), group), "memory.oom_control", "oom_kill")
}

func (h *legacy) groups() []string {
	var names []string
	for _, c := range h.names {
		names = append(names, subdirectories(filepath.Join(h.root, c, h.system))...)
	}
	return names
}

func (h *legacy) close() error {
	var errs []error
	for _, c := range h.names {
		if err := os.Remove(filepath.Join(h.root, c, h.system)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
