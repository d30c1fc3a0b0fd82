// Package cgroup confines the processes of a context: CPU time, memory and
// number of processes, with the controllers that are really there. There are
// three back ends: the unified hierarchy (v2), separate hierarchies (v1, also
// beside a unified one that has other controllers), and none.
//
// It does I/O on the cgroup file systems alone. Where none is in sight, as
// under `ip netns exec`, which hides /sys/fs/cgroup behind a fresh /sys, it
// makes a mount of its own that no path leads to and that ends with the
// process. That, and five files per group, is why it uses no library: those to
// be had want all hierarchies under one directory, and bring D-Bus and eBPF.
package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Mode is a back end.
type Mode string

// The back ends.
const (
	Unified Mode = "v2"
	Legacy  Mode = "v1"
	None    Mode = "none"
)

// Limits are absolute caps; 0 means no cap.
type Limits struct {
	CPU    float64 // cores
	Memory int64   // bytes
	PIDs   int     // processes and threads
}

// Usage is what a group has used. What cannot be told is 0.
type Usage struct {
	CPU        time.Duration
	Throttled  int64 // periods in which the CPU cap held processes back
	Memory     int64 // bytes now
	MemoryPeak int64 // bytes
	OOMKills   int64 // processes that the memory cap has killed
	PIDs       int64
	PIDsPeak   int64
	PIDsDenied int64
}

const (
	// cpuPeriod is how often the CPU cap is refilled: short enough that a
	// worker at its cap answers within a heartbeat.
	cpuPeriod = 20 * time.Millisecond
	// minQuota is the least that the kernel takes for a period.
	minQuota = time.Millisecond
	// killPoll is how often Delete looks whether killed processes are gone.
	killPoll = 10 * time.Millisecond
)

// controllers are those that limits need.
var controllers = []string{"cpu", "memory", "pids"}

// Manager makes the groups of one system.
type Manager struct {
	system string
	mode   Mode
	roots  map[string]string // directory of a controller's hierarchy; v2: the same for all
	mounts []*os.File        // mounts of our own, kept alive
}

// Group confines the processes of one context.
type Group struct {
	m    *Manager
	name string
}

// Detect looks for controllers, for groups under the name of the system.
func Detect(system string) *Manager {
	m := &Manager{system: system, roots: make(map[string]string)}
	seen := find()
	if len(seen.legacy) == 0 && seen.unified == "" {
		seen = m.mount()
	}
	m.mode = None
	if seen.unified != "" {
		m.useUnified(seen.unified)
	}
	for _, c := range append(slices.Clone(controllers), "cpuacct") {
		if dir := seen.legacy[c]; dir != "" && m.roots[c] == "" {
			m.roots[c] = dir
			m.mode = Legacy
		}
	}
	return m
}

// useUnified takes the controllers that the unified hierarchy has, if any.
func (m *Manager) useUnified(dir string) {
	for _, c := range fields(dir, "cgroup.controllers") {
		if slices.Contains(controllers, c) && m.delegate(dir, c) == nil {
			m.roots[c] = dir
			m.mode = Unified
		}
	}
}

func (m *Manager) delegate(dir, controller string) error {
	if slices.Contains(fields(dir, "cgroup.subtree_control"), controller) {
		return nil
	}
	return write(dir, "cgroup.subtree_control", "+"+controller)
}

// Mode returns the back end.
func (m *Manager) Mode() Mode { return m.mode }

// Check tells whether limits can be enforced here, and if not, why.
func (m *Manager) Check(l Limits) error {
	var missing []string
	for _, need := range []struct {
		controller string
		wanted     bool
	}{{"cpu", l.CPU > 0}, {"memory", l.Memory > 0}, {"pids", l.PIDs > 0}} {
		if need.wanted && m.roots[need.controller] == "" {
			missing = append(missing, need.controller)
		}
	}
	if missing == nil {
		return nil
	}
	return fmt.Errorf("cgroup: the class limits %s, but this kernel offers no such controller (cgroup %s); "+
		"remove the limit, or boot with the controller", strings.Join(missing, ", "), m.mode)
}

// Create makes the group of a context, or takes over the one there.
func (m *Manager) Create(name string, l Limits) (*Group, error) {
	if name == "" || strings.ContainsAny(name, "/\x00") || name[0] == '.' {
		return nil, fmt.Errorf("cgroup: %q is no name for a group", name)
	}
	if err := m.Check(l); err != nil {
		return nil, err
	}
	g := &Group{m, name}
	for _, dir := range g.dirs() {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("cgroup: creating group: %w", err)
		}
	}
	if m.mode == Unified {
		for c := range m.roots {
			if err := m.delegate(filepath.Join(m.roots[c], m.system), c); err != nil {
				return nil, fmt.Errorf("cgroup: handing down %s: %w", c, err)
			}
		}
	}
	if err := g.Update(l); err != nil {
		return nil, err
	}
	return g, nil
}

// Groups returns the names of the groups there are, such as those that an
// earlier process has left.
func (m *Manager) Groups() []string {
	var names []string
	for _, root := range m.distinct() {
		entries, err := os.ReadDir(filepath.Join(root, m.system))
		if err != nil {
			continue
		}
		for _, e := range entries {
			if e.IsDir() && !slices.Contains(names, e.Name()) {
				names = append(names, e.Name())
			}
		}
	}
	slices.Sort(names)
	return names
}

// Open returns the group called name, which Groups has listed.
func (m *Manager) Open(name string) *Group { return &Group{m, name} }

// Close removes what is common to all groups. There must be none left.
func (m *Manager) Close() error {
	var errs []error
	for _, root := range m.distinct() {
		if err := os.Remove(filepath.Join(root, m.system)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("cgroup: removing the system's group: %w", err))
		}
	}
	for _, f := range m.mounts {
		f.Close()
	}
	m.mounts = nil
	return errors.Join(errs...)
}

// distinct returns the directories of the hierarchies in use.
func (m *Manager) distinct() []string {
	var roots []string
	for _, root := range m.roots {
		if !slices.Contains(roots, root) {
			roots = append(roots, root)
		}
	}
	return roots
}

// dirs returns the directories of the group, one of each hierarchy.
func (g *Group) dirs() []string {
	dirs := g.m.distinct()
	for i := range dirs {
		dirs[i] = filepath.Join(dirs[i], g.m.system, g.name)
	}
	return dirs
}

// dir returns the directory of the group in a controller's hierarchy; "" when
// there is no such controller.
func (g *Group) dir(controller string) string {
	root := g.m.roots[controller]
	if root == "" {
		return ""
	}
	return filepath.Join(root, g.m.system, g.name)
}

// Update replaces the limits.
func (g *Group) Update(l Limits) error {
	if err := g.m.Check(l); err != nil {
		return err
	}
	pids := "max"
	if l.PIDs > 0 {
		pids = strconv.Itoa(l.PIDs)
	}
	settings := append(g.cpuAndMemory(l), setting{controller: "pids", file: "pids.max", value: pids})
	for _, s := range settings {
		dir := g.dir(s.controller)
		if dir == "" {
			continue
		}
		err := write(dir, s.file, s.value)
		if s.swap && errors.Is(err, fs.ErrNotExist) {
			continue // a kernel that does not count swap
		}
		if err != nil {
			return fmt.Errorf("cgroup: setting %s to %s: %w", s.file, s.value, err)
		}
	}
	return nil
}

// setting is what one file of a group is set to.
type setting struct {
	controller, file, value string
	swap                    bool // needed only where there is swap
}

// cpuAndMemory are the settings of both. A cap on memory is one on swap, too: who
// has reached it must not go on at the expense of everybody's disk.
func (g *Group) cpuAndMemory(l Limits) []setting {
	quota := int64(-1)
	if l.CPU > 0 {
		quota = max(int64(math.Ceil(l.CPU*float64(cpuPeriod.Microseconds()))), minQuota.Microseconds())
	}
	period := cpuPeriod.Microseconds()
	if g.m.mode == Unified {
		cpu, memory, swap := fmt.Sprintf("%d %d", quota, period), strconv.FormatInt(l.Memory, 10), "0"
		if quota < 0 {
			cpu = fmt.Sprintf("max %d", period)
		}
		if l.Memory <= 0 {
			memory, swap = "max", "max"
		}
		return []setting{
			{controller: "cpu", file: "cpu.max", value: cpu},
			{controller: "memory", file: "memory.max", value: memory},
			{controller: "memory", file: "memory.swap.max", value: swap, swap: true},
		}
	}
	memory := "-1"
	if l.Memory > 0 {
		memory = strconv.FormatInt(l.Memory, 10)
	}
	return []setting{
		{controller: "cpu", file: "cpu.cfs_period_us", value: strconv.FormatInt(period, 10)},
		{controller: "cpu", file: "cpu.cfs_quota_us", value: strconv.FormatInt(quota, 10)},
		// Memory with swap can at no time be less than memory.
		{controller: "memory", file: "memory.memsw.limit_in_bytes", value: "-1", swap: true},
		{controller: "memory", file: "memory.limit_in_bytes", value: memory},
		{controller: "memory", file: "memory.memsw.limit_in_bytes", value: memory, swap: true},
	}
}

// Add moves a process into the group.
func (g *Group) Add(pid int) error {
	for _, dir := range g.dirs() {
		if err := write(dir, "cgroup.procs", strconv.Itoa(pid)); err != nil {
			return fmt.Errorf("cgroup: adding process %d: %w", pid, err)
		}
	}
	return nil
}

// Delete kills what is in the group, waits until it is gone, and removes the
// group. A group that is not there is no error.
func (g *Group) Delete(ctx context.Context) error {
	tick := time.NewTicker(killPoll)
	defer tick.Stop()
	for {
		g.kill()
		err := g.remove()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("cgroup: removing group %s: %w", g.name, err)
		case <-tick.C:
		}
	}
}

func (g *Group) kill() {
	for _, dir := range g.dirs() {
		for _, text := range fields(dir, "cgroup.procs") {
			if pid, err := strconv.Atoi(text); err == nil && pid > 1 && pid != os.Getpid() {
				unix.Kill(pid, unix.SIGKILL) // gone already: the next look tells
			}
		}
	}
}

func (g *Group) remove() error {
	var errs []error
	for _, dir := range g.dirs() {
		if err := unix.Rmdir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Usage reads the counters of the group.
func (g *Group) Usage() Usage {
	pids := g.dir("pids")
	u := Usage{
		PIDs:       number(pids, "pids.current"),
		PIDsPeak:   number(pids, "pids.peak"),
		PIDsDenied: keyed(pids, "pids.events", "max"),
	}
	cpu, memory := g.dir("cpu"), g.dir("memory")
	if g.m.mode == Unified {
		u.CPU = time.Duration(keyed(cpu, "cpu.stat", "usage_usec")) * time.Microsecond
		u.Throttled = keyed(cpu, "cpu.stat", "nr_throttled")
		u.Memory = number(memory, "memory.current")
		u.MemoryPeak = number(memory, "memory.peak")
		u.OOMKills = keyed(memory, "memory.events", "oom_kill")
		return u
	}
	u.CPU = time.Duration(number(g.dir("cpuacct"), "cpuacct.usage"))
	u.Throttled = keyed(cpu, "cpu.stat", "nr_throttled")
	u.Memory = number(memory, "memory.usage_in_bytes")
	u.MemoryPeak = number(memory, "memory.max_usage_in_bytes")
	u.OOMKills = keyed(memory, "memory.oom_control", "oom_kill")
	return u
}
