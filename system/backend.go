package system

import (
	"context"
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/spawn"
	"github.com/warrenvpn/warren/internal/build"
	"github.com/warrenvpn/warren/resource"
	"github.com/warrenvpn/warren/resource/cgroup"
	"github.com/warrenvpn/warren/system/api"
)

// Status implements api.Backend.
func (s *System) Status() api.Status {
	out := api.Status{Name: s.name, Version: build.Version(), PID: os.Getpid(), Started: s.started}
	for _, row := range s.Contexts() {
		out.Total++
		if row.State == api.StateReady {
			out.ReadyContexts++
			continue
		}
		reason := string(row.State)
		if row.Reason != "" {
			reason += ": " + row.Reason
		}
		out.Waiting = append(out.Waiting, api.ContextError{Context: row.Name, Error: reason})
	}
	out.Ready = out.ReadyContexts == out.Total
	return out
}

// Contexts implements api.Backend.
func (s *System) Contexts() []api.Tenant {
	var rows []api.Tenant
	for _, t := range s.list() {
		rows = append(rows, t.row())
	}
	return rows
}

// list returns the contexts in the order of their names.
func (s *System) list() []*tenant {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*tenant
	for _, t := range s.tenants {
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b *tenant) int { return strings.Compare(a.name, b.name) })
	return list
}

// ready returns the worker of a context, for a question.
func (s *System) ready(name string) (*tenant, *spawn.Worker, error) {
	s.mu.Lock()
	t := s.tenants[name]
	s.mu.Unlock()
	if t == nil {
		return nil, nil, api.NoContext(name)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.worker == nil {
		return nil, nil, api.NotReady(name, t.reason)
	}
	return t, t.worker, nil
}

// answered translates the error of a worker's answer.
func answered(name string, w *spawn.Worker, err error) error {
	var refused *spawn.Refused
	switch {
	case err == nil:
		return nil
	case errors.Is(err, spawn.ErrNotReady):
		return api.NotReady(name, w.Status().Reason)
	case errors.Is(err, context.DeadlineExceeded):
		return api.NotReady(name, "its worker has not answered in time")
	case errors.As(err, &refused):
		return &api.Error{Code: api.CodeRefused, Reason: refused.Reason}
	}
	return err
}

// Facts implements api.Backend.
func (s *System) Facts(ctx context.Context, name string) (control.Facts, error) {
	t, worker, err := s.ready(name)
	if err != nil {
		return control.Facts{}, err
	}
	facts, err := worker.Facts(ctx)
	if err != nil {
		return control.Facts{}, answered(name, worker, err)
	}
	facts.Resources = append(facts.Resources, t.resources()...)
	if disk, err := s.Files.resource(name); err == nil { // without files the context has just gone
		facts.Resources = append(facts.Resources, disk)
	}
	return facts, nil
}

// Logoff implements api.Backend.
func (s *System) Logoff(ctx context.Context, name string, which control.Logoff) (control.LogoffDone, error) {
	_, worker, err := s.ready(name)
	if err != nil {
		return control.LogoffDone{}, err
	}
	done, err := worker.Logoff(ctx, which)
	return done, answered(name, worker, err)
}

// Keys implements api.Backend.
func (s *System) Keys(ctx context.Context, name string) (control.Keys, error) {
	t, worker, err := s.ready(name)
	if err != nil {
		return control.Keys{}, err
	}
	t.log.Warn("keys of all SAs are handed out")
	keys, err := worker.Keys(ctx)
	return keys, answered(name, worker, err)
}

// cpuMeter turns CPU time into a rate.
type cpuMeter struct {
	at   time.Time
	used time.Duration
	last int64
	peak int64
}

// cpuWindow is the shortest time that a rate is computed over.
const cpuWindow = 200 * time.Millisecond

// measure returns the rate since the last measurement and the highest so far,
// in thousandths of a core.
func (m *cpuMeter) measure(now time.Time, used time.Duration) (rate, peak int64) {
	elapsed := now.Sub(m.at)
	if !m.at.IsZero() && elapsed < cpuWindow {
		return m.last, m.peak
	}
	if !m.at.IsZero() {
		m.last = int64(math.Round(float64(used-m.used) / float64(elapsed) * 1000))
		m.peak = max(m.peak, m.last)
	}
	m.at, m.used = now, used
	return m.last, m.peak
}

// resources are what the supervisor counts of a context.
func (t *tenant) resources() []control.Resource {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.group == nil || t.sys.groups.Mode() == cgroup.None {
		return nil
	}
	u, l := t.group.Usage(), t.want.limits
	rate, peak := t.cpu.measure(time.Now(), u.CPU)
	row := func(name resource.Name, current, peak, limit, denied int64) control.Resource {
		return control.Resource{Context: t.name, Resource: string(name), Current: current, Peak: peak, Limit: limit, Denied: denied}
	}
	return []control.Resource{
		// Thousandths of a core; denied are the periods in which it was held back.
		row(resource.CPU, rate, peak, int64(math.Round(l.CPU*1000)), u.Throttled),
		row(resource.Memory, u.Memory, u.MemoryPeak, l.Memory, u.OOMKills),
		row(resource.PIDs, u.PIDs, max(u.PIDs, u.PIDsPeak), int64(l.PIDs), u.PIDsDenied),
	}
}
