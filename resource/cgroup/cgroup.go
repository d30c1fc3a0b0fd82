// Package cgroup confines the processes of a context: CPU time, memory and
// number of processes, with the controllers that are really there. There are
// three back ends: the unified hierarchy (v2), separate hierarchies (v1, also
// beside a unified one that has other controllers), and none.
//
// It does I/O on the cgroup file systems alone. Where none is in sight, as
// under `ip netns exec`, which hides /sys/fs/cgroup behind a fresh /sys, it
// makes a mount of its own that no path leads to and that ends with the
// process.
package cgroup

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"
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

	// MemoryGuard and PIDsGuard say that the cap is a default that nobody has
	// written down: it is held where the kernel can, and missing it is no error.
	MemoryGuard, PIDsGuard bool
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
)

// hierarchy is one kind of control groups. Its groups are named by context.
type hierarchy interface {
	controllers() []string
	// create makes a group, or takes over the one there.
	create(group string, l Limits) error
	// has tells whether the group is there, with every controller.
	has(group string) bool
	update(group string, l Limits) error
	add(group string, pid int) error
	processes(group string) []int
	// kill kills all processes that are in the group, and those that they begin
	// meanwhile. It does not wait for their end.
	kill(group string)
	// remove removes a group without processes. One that is not there is no error.
	remove(group string) error
	// usage fills in what its controllers count.
	usage(group string, u *Usage)
	// oomKills is Usage's; 0 where nothing counts them.
	oomKills(group string) int64
	groups() []string
	// dirs are where groups are.
	dirs() []string
	close() error
}

// Manager makes the groups of one system.
type Manager struct {
	mode        Mode
	hierarchies []hierarchy
	mounts      []*os.File // mounts of our own, kept alive
}

// Group confines the processes of one context.
type Group struct {
	m    *Manager
	name string
}

// Detect looks for controllers, for groups under the name of the system.
func Detect(system string) *Manager {
	m := &Manager{mode: None}
	seen := find()
	if len(seen.legacy) == 0 && seen.unified == "" {
		seen = m.mount()
	}
	m.use(system, seen)
	return m
}

// use takes the controllers that hierarchies have: the unified one's first.
func (m *Manager) use(system string, seen mounted) {
	taken := []string{}
	if seen.unified != "" {
		if h := newUnified(seen.unified, system); h != nil {
			m.hierarchies, m.mode, taken = append(m.hierarchies, h), Unified, h.controllers()
		}
	}
	rest := make(map[string]string)
	for c, dir := range seen.legacy {
		if !slices.Contains(taken, c) {
			rest[c] = dir
		}
	}
	if h := m.newLegacy(rest, system); h != nil {
		m.hierarchies, m.mode = append(m.hierarchies, h), Legacy
	}
}

// Mode returns the back end.
func (m *Manager) Mode() Mode { return m.mode }

// Unheld returns the controllers that limits need and that are not here, those of
// defaults beside those that were asked for.
func (m *Manager) Unheld(l Limits) (asked, guards []string) {
	var have []string
	for _, h := range m.hierarchies {
		have = append(have, h.controllers()...)
	}
	for _, need := range []struct {
		controller    string
		wanted, guard bool
	}{{"cpu", l.CPU > 0, false}, {"memory", l.Memory > 0, l.MemoryGuard}, {"pids", l.PIDs > 0, l.PIDsGuard}} {
		switch {
		case !need.wanted || slices.Contains(have, need.controller):
		case need.guard:
			guards = append(guards, need.controller)
		default:
			asked = append(asked, need.controller)
		}
	}
	return asked, guards
}

// Check tells whether the limits that were asked for can be enforced here, and if
// not, why.
func (m *Manager) Check(l Limits) error {
	missing, _ := m.Unheld(l)
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
	for _, h := range m.hierarchies {
		if err := h.create(name, l); err != nil {
			return nil, fmt.Errorf("cgroup: creating group %s: %w", name, err)
		}
	}
	return &Group{m, name}, nil
}

// Groups returns the names of the groups there are, such as those that an
// earlier process has left.
func (m *Manager) Groups() []string {
	var names []string
	for _, h := range m.hierarchies {
		names = append(names, h.groups()...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Open returns the group called name, which Groups has listed.
func (m *Manager) Open(name string) *Group { return &Group{m, name} }

// Close removes what is common to all groups. There must be none left.
func (m *Manager) Close() error {
	var errs []error
	for _, h := range m.hierarchies {
		if err := h.close(); err != nil {
			errs = append(errs, fmt.Errorf("cgroup: removing the system's group: %w", err))
		}
	}
	for _, f := range m.mounts {
		f.Close()
	}
	m.hierarchies, m.mounts = nil, nil
	return errors.Join(errs...)
}

// Missing tells whether a part of the group is not there any more, because
// somebody has removed it.
func (g *Group) Missing() bool {
	return slices.ContainsFunc(g.m.hierarchies, func(h hierarchy) bool { return !h.has(g.name) })
}

// Processes returns the processes in the group.
func (g *Group) Processes() []int {
	var pids []int
	for _, h := range g.m.hierarchies {
		pids = append(pids, h.processes(g.name)...)
	}
	slices.Sort(pids)
	return slices.Compact(pids)
}

// Update replaces the limits.
func (g *Group) Update(l Limits) error {
	if err := g.m.Check(l); err != nil {
		return err
	}
	for _, h := range g.m.hierarchies {
		if err := h.update(g.name, l); err != nil {
			return fmt.Errorf("cgroup: limiting group %s: %w", g.name, err)
		}
	}
	return nil
}

// Add moves a process into the group.
func (g *Group) Add(pid int) error {
	for _, h := range g.m.hierarchies {
		if err := h.add(g.name, pid); err != nil {
			return fmt.Errorf("cgroup: adding process %d to group %s: %w", pid, g.name, err)
		}
	}
	return nil
}

// Usage reads the counters of the group.
func (g *Group) Usage() Usage {
	var u Usage
	for _, h := range g.m.hierarchies {
		h.usage(g.name, &u)
	}
	return u
}

// OOMKills is that of Usage, without the rest: for who compares it around each life of a
// process.
func (g *Group) OOMKills() int64 {
	var kills int64
	for _, h := range g.m.hierarchies {
		kills = max(kills, h.oomKills(g.name))
	}
	return kills
}

// quota is the CPU cap in microseconds of each period; -1: no cap.
func (l Limits) quota() int64 {
	if l.CPU <= 0 {
		return -1
	}
	return max(int64(math.Ceil(l.CPU*float64(cpuPeriod.Microseconds()))), minQuota.Microseconds())
}
