package tenants

import (
	"context"
	"fmt"
	"sync"

	"github.com/warrenvpn/warren/internal/guard"
	"github.com/warrenvpn/warren/resource"
	"github.com/warrenvpn/warren/resource/cgroup"
	"github.com/warrenvpn/warren/system/disks"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/plan"
)

// Check implements lifecycle.Actor.
func (s *Tenants) Check(st plan.Step, freed []*plan.Wanted) error {
	if err := s.env.Groups.Check(cgroup.Limits(st.Want.Limits)); err != nil {
		return err
	}
	if err := disks.CheckStorage(st.Want.Storage); err != nil {
		return err
	}
	if !st.Starts() || st.Want.Suspended || s.env.Kept.Has(st.Context) || s.env.Kept.frees() {
		return nil // the building of it will tell
	}
	var held []string
	for _, f := range freed {
		for _, d := range f.Devices {
			held = append(held, d.Host)
		}
	}
	for _, d := range st.Want.Devices {
		if err := s.env.Host.Check(d, held); err != nil {
			return fmt.Errorf("interface %q: %w", d.Interface, err)
		}
	}
	return nil
}

// Serve implements lifecycle.Actor.
func (s *Tenants) Serve(totals resource.Totals, list []*plan.Wanted) error {
	s.env.rests.resize(totals, list)
	return s.env.Disks.Set(disks.Of(list))
}

// Start implements lifecycle.Actor.
func (s *Tenants) Start(w *plan.Wanted) error {
	uid, err := s.uids.of(w.Name)
	if err != nil {
		return err
	}
	t := s.newTenant(w, uid)
	s.mu.Lock()
	s.byName[w.Name] = t
	s.mu.Unlock()
	s.env.Changed()
	return nil
}

// AwaitReady implements lifecycle.Actor.
func (s *Tenants) AwaitReady(ctx context.Context, name string) error {
	t := s.tenant(name)
	if t == nil {
		return fault.NoContext(name)
	}
	select {
	case <-t.settled:
		return t.outcome
	case <-ctx.Done():
		return fmt.Errorf("system: it is not ready yet: %w", ctx.Err())
	}
}

// Configure implements lifecycle.Actor.
func (s *Tenants) Configure(ctx context.Context, w *plan.Wanted) error {
	t := s.tenant(w.Name)
	if t == nil {
		return fault.NoContext(w.Name)
	}
	ctx, cancel := context.WithTimeout(ctx, configureTimeout)
	defer cancel()
	return guard.Run(t.log, "a change of a context", func() error { return t.configure(ctx, w) })
}

// Stop implements lifecycle.Actor.
func (s *Tenants) Stop(names []string) {
	var ending sync.WaitGroup
	for _, name := range names {
		if t := s.tenant(name); t != nil {
			ending.Go(t.stop)
		}
	}
	ending.Wait()
	s.mu.Lock()
	for _, name := range names {
		delete(s.byName, name)
		s.uids.release(name)
	}
	s.mu.Unlock()
	s.env.Changed()
}
