package cgroup

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/containerd/cgroups/v3/cgroup2"
)

// unified is the one hierarchy of version 2.
type unified struct {
	root   string
	system string
	names  []string // of the controllers that groups can have
}

// newUnified returns the hierarchy at root; nil where it has none of the
// controllers that limits need, as where version 1 has them all.
func newUnified(root, system string) hierarchy {
	h := &unified{root: root, system: system}
	for _, c := range fields(root, "cgroup.controllers") {
		if slices.Contains([]string{"cpu", "memory", "pids"}, c) {
			h.names = append(h.names, c)
		}
	}
	if h.names == nil {
		return nil
	}
	return h
}

func (h *unified) controllers() []string { return h.names }

func (h *unified) dir(group string) string { return filepath.Join(h.root, h.system, group) }

func (h *unified) load(group string) (*cgroup2.Manager, error) {
	return cgroup2.Load(filepath.Join("/", h.system, group), cgroup2.WithMountpoint(h.root))
}

// resources says what limits mean, for the controllers that are there.
func (h *unified) resources(group string, l Limits) *cgroup2.Resources {
	r := &cgroup2.Resources{}
	for _, c := range h.names {
		switch c {
		case "cpu":
			period, quota := uint64(cpuPeriod.Microseconds()), l.quota()
			bound := &quota
			if quota < 0 {
				bound = nil
			}
			r.CPU = &cgroup2.CPU{Max: cgroup2.NewCPUMax(bound, &period)}
		case "memory":
			memory, swap := int64(math.MaxInt64), int64(math.MaxInt64) // the kernel takes that for "max"
			if l.Memory > 0 {
				// Who has reached the cap must not go on at the expense of everybody's disk.
				memory, swap = l.Memory, 0
			}
			r.Memory = &cgroup2.Memory{Max: &memory}
			if _, err := os.Stat(filepath.Join(h.dir(group), "memory.swap.max")); err == nil {
				r.Memory.Swap = &swap
			}
		case "pids":
			r.Pids = &cgroup2.Pids{Max: -1}
			if l.PIDs > 0 {
				r.Pids.Max = int64(l.PIDs)
			}
		}
	}
	return r
}

// create hands the controllers down to the group, and only then looks at what
// files it has.
func (h *unified) create(group string, l Limits) error {
	if _, err := cgroup2.NewManager(h.root, filepath.Join("/", h.system, group), h.resources(group, l)); err != nil {
		return err
	}
	return h.update(group, l)
}

func (h *unified) has(group string) bool {
	_, err := os.Stat(h.dir(group))
	return err == nil
}

func (h *unified) update(group string, l Limits) error {
	m, err := h.load(group)
	if err != nil {
		return err
	}
	return m.Update(h.resources(group, l))
}

func (h *unified) add(group string, pid int) error {
	m, err := h.load(group)
	if err != nil {
		return err
	}
	return m.AddProc(uint64(pid))
}

func (h *unified) processes(group string) []int {
	m, err := h.load(group)
	if err != nil {
		return nil
	}
	list, err := m.Procs(false)
	if err != nil {
		return nil
	}
	var pids []int
	for _, pid := range list {
		pids = append(pids, int(pid))
	}
	return pids
}

// kill leaves it to the kernel, which has a word for that since Linux 5.14.
func (h *unified) kill(group string) {
	f, err := os.OpenFile(filepath.Join(h.dir(group), "cgroup.kill"), os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString("1")
		f.Close()
	}
	if err != nil {
		killListed(func() []int { return h.processes(group) })
	}
}

func (h *unified) remove(group string) error {
	m, err := h.load(group)
	if err != nil {
		return err
	}
	if err := m.Delete(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (h *unified) usage(group string, u *Usage) {
	m, err := h.load(group)
	if err != nil {
		return
	}
	s, err := m.StatFiltered(cgroup2.StatCPU | cgroup2.StatMemory | cgroup2.StatMemoryEvents | cgroup2.StatPids)
	if err != nil {
		return
	}
	for _, c := range h.names {
		switch c {
		case "cpu":
			u.CPU, u.Throttled = time.Duration(s.CPU.GetUsageUsec())*time.Microsecond, int64(s.CPU.GetNrThrottled())
		case "memory":
			u.Memory, u.MemoryPeak = int64(s.Memory.GetUsage()), int64(s.Memory.GetMaxUsage())
			u.OOMKills = int64(s.MemoryEvents.GetOomKill())
		case "pids":
			u.PIDs = int64(s.Pids.GetCurrent())
			u.countPIDs(h.dir(group))
		}
	}
}

func (h *unified) oomKills(group string) int64 {
	return keyed(h.dir(group), "memory.events", "oom_kill")
}

func (h *unified) groups() []string { return subdirectories(h.dir("")) }

func (h *unified) close() error {
	if err := os.Remove(h.dir("")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
