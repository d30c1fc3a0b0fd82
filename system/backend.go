package system

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/spawn"
	"github.com/warrenvpn/warren/esp/stats"
	"github.com/warrenvpn/warren/internal/build"
	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/fault"
)

// backend answers the API.
type backend struct {
	*System
	files
	configurations
}

// Backend returns what answers the API.
func (s *System) Backend() api.Backend { return backend{s, files{s.disks}, configurations{s.life}} }

// Status implements api.Backend.
func (s *System) Status() api.Status {
	out := api.Status{Name: s.name, Version: build.Version(), PID: os.Getpid(), Started: s.started}
	for _, t := range s.list() {
		out.Total++
		state, reason := t.condition()
		switch state {
		case api.StateReady:
			out.ReadyContexts++
			continue
		case api.StateSuspended:
			out.Suspended++
			continue
		}
		why := string(state)
		if reason != "" {
			why += ": " + reason
		}
		out.Waiting = append(out.Waiting, fault.ContextError{Context: t.name, Error: why})
	}
	out.Redundancy = s.pair.redundancy()
	out.Problems = append(out.Problems, s.life.Problems()...)
	for _, t := range s.list() {
		out.Problems = append(out.Problems, t.problems()...)
	}
	out.Ready = out.ReadyContexts+out.Suspended == out.Total && len(out.Problems) == 0
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

// names returns the names of all contexts.
func (s *System) names() []string {
	var out []string
	for _, t := range s.list() {
		out = append(out, t.name)
	}
	return out
}

// ready returns the worker of a context, for a question.
func (s *System) ready(name string) (*tenant, *spawn.Worker, error) {
	s.mu.Lock()
	t := s.tenants[name]
	s.mu.Unlock()
	if t == nil {
		return nil, nil, fault.NoContext(name)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.worker == nil {
		if t.want.Suspended {
			return nil, nil, fault.NotReady(name, "it is suspended")
		}
		return nil, nil, fault.NotReady(name, t.reason)
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
		return fault.NotReady(name, w.Status().Reason)
	case errors.Is(err, context.DeadlineExceeded):
		return fault.NotReady(name, "its worker has not answered in time")
	case errors.As(err, &refused):
		return &fault.Error{Code: fault.CodeRefused, Reason: refused.Reason}
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
	facts.Resources = append(facts.Resources, t.resources()...)
	facts.Resources = append(facts.Resources, s.disks.Resources(name)...)
	inOrder(facts.Resources)
	if gateway := t.view().gateway; gateway != nil {
		facts.IPsec.Counts[stats.DropClearIn].N, _ = t.clearDrops(gateway)
	}
	return facts, answered(name, worker, err)
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
