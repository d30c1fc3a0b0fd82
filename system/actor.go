package system

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

// actor does to the contexts of a host what a plan says. Only configure and
// settled are called for several contexts at once.
type actor interface {
	// check tells, before anything is touched, what stands against a step that
	// has a want. Devices that freed have now will have come back.
	check(st plan.Step, freed []*plan.Wanted) error
	// serve makes exactly these contexts have files and a share of the totals.
	serve(totals resource.Totals, list []*plan.Wanted) error
	// begin begins the life of a context, and does not wait for it.
	begin(w *plan.Wanted) error
	// settled waits until a context that has begun is ready, and returns why it
	// cannot be. It is tried again all the same, until its end.
	settled(ctx context.Context, name string) error
	// configure changes a context in place. After an error it may be half done.
	configure(ctx context.Context, w *plan.Wanted) error
	// restore puts back what somebody else has taken from contexts that run, and
	// says what it was.
	restore(ctx context.Context) ([]string, []fault.ContextError)
	// end ends contexts, all at once, and waits until nothing is left of them.
	end(names []string)
}

var _ actor = (*System)(nil)

// check implements actor.
func (s *System) check(st plan.Step, freed []*plan.Wanted) error {
	if err := s.groups.Check(cgroup.Limits(st.Want.Limits)); err != nil {
		return err
	}
	if err := disks.CheckStorage(st.Want.Storage); err != nil {
		return err
	}
	if !st.Begins() || st.Want.Suspended {
		return nil
	}
	var held []string
	for _, f := range freed {
		for _, d := range f.Devices {
			held = append(held, d.Host)
		}
	}
	for _, d := range st.Want.Devices {
		if err := s.host.Check(d, held); err != nil {
			return fmt.Errorf("interface %q: %w", d.Interface, err)
		}
	}
	return nil
}

// serve implements actor.
func (s *System) serve(totals resource.Totals, list []*plan.Wanted) error {
	s.rests.set(totals, list)
	return s.disks.Set(disks.Of(list))
}

// begin implements actor.
func (s *System) begin(w *plan.Wanted) error {
	uid, err := s.uids.of(w.Name)
	if err != nil {
		return err
	}
	t := s.live(w, uid)
	s.mu.Lock()
	s.tenants[w.Name] = t
	s.mu.Unlock()
	s.poke()
	return nil
}

// tenant returns a context, nil if there is none.
func (s *System) tenant(name string) *tenant {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tenants[name]
}

// settled implements actor.
func (s *System) settled(ctx context.Context, name string) error {
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

// configure implements actor.
func (s *System) configure(ctx context.Context, w *plan.Wanted) error {
	t := s.tenant(w.Name)
	if t == nil {
		return fault.NoContext(w.Name)
	}
	ctx, cancel := context.WithTimeout(ctx, configureTimeout)
	defer cancel()
	return guard.Run(t.log, "a change of a context", func() error { return t.configure(ctx, w) })
}

// end implements actor.
func (s *System) end(names []string) {
	var ending sync.WaitGroup
	for _, name := range names {
		if t := s.tenant(name); t != nil {
			ending.Go(t.end)
		}
	}
	ending.Wait()
	s.mu.Lock()
	for _, name := range names {
		delete(s.tenants, name)
		s.uids.release(name)
	}
	s.mu.Unlock()
	s.poke()
}
