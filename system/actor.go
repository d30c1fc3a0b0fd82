package system

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/warrenvpn/warren/internal/guard"
	"github.com/warrenvpn/warren/resource"
	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/fault"
)

// actor does to the contexts of a host what a plan says. Only configure and
// settled are called for several contexts at once.
type actor interface {
	// check tells, before anything is touched, what stands against a step that
	// has a want. Devices that freed have now will have come back.
	check(st step, freed []*wanted) error
	// serve makes exactly these contexts have files and a share of the totals.
	serve(totals resource.Totals, list []*wanted) error
	// begin begins the life of a context, and does not wait for it.
	begin(w *wanted) error
	// settled waits until a context that has begun is ready, and returns why it
	// cannot be. It is tried again all the same, until its end.
	settled(ctx context.Context, name string) error
	// configure changes a context in place. After an error it may be half done.
	configure(ctx context.Context, w *wanted) error
	// restore puts back what somebody else has taken from contexts that run, and
	// says what it was.
	restore(ctx context.Context) ([]string, []fault.ContextError)
	// end ends contexts, all at once, and waits until nothing is left of them.
	end(names []string)
}

var _ actor = (*System)(nil)

// check implements actor.
func (s *System) check(st step, freed []*wanted) error {
	if err := s.groups.Check(st.want.limits); err != nil {
		return err
	}
	if err := checkStorage(st.want.Storage); err != nil {
		return err
	}
	if !st.begins() || st.want.Suspended {
		return nil
	}
	var held []string
	for _, f := range freed {
		for _, d := range f.devices {
			held = append(held, d.Host)
		}
	}
	for _, d := range st.want.devices {
		if err := s.host.Check(d, held); err != nil {
			return fmt.Errorf("interface %q: %w", d.Interface, err)
		}
	}
	return nil
}

// serve implements actor.
func (s *System) serve(totals resource.Totals, list []*wanted) error {
	s.rests.set(totals, list)
	return s.Files.Set(disks(list))
}

// begin implements actor.
func (s *System) begin(w *wanted) error {
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
func (s *System) configure(ctx context.Context, w *wanted) error {
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

// change takes steps, one way or the other.
type change struct {
	act    actor
	from   resource.Totals // before
	to     resource.Totals
	is     []*wanted // before
	steps  []step
	report func(msg string, args ...any) // what does not stop it
}

// undoTimeout bounds each part of going back, whatever the time of the change.
const undoTimeout = 2 * time.Minute

// problems are what stands against the steps before any is taken.
func (c *change) problems() []fault.ContextError {
	freed := c.freed()
	var errs []fault.ContextError
	for _, st := range c.steps {
		if st.want == nil {
			continue
		}
		if err := c.act.check(st, freed); err != nil {
			errs = append(errs, fault.ContextError{Context: st.name, Error: err.Error()})
		}
	}
	return errs
}

// freed are the contexts whose devices come back.
func (c *change) freed() []*wanted {
	var list []*wanted
	for _, st := range c.steps {
		if st.ends() {
			list = append(list, st.old)
		}
	}
	return list
}

// follow takes every step that can be taken. One that cannot leaves its context
// as it is, unless there is none yet: then it is tried again until it can. It
// returns what is afterwards.
func (c *change) follow(ctx context.Context) ([]*wanted, []fault.ContextError) {
	errs := c.problems()
	var todo []step
	for _, st := range c.steps {
		bad := slices.ContainsFunc(errs, func(e fault.ContextError) bool { return e.Context == st.name })
		if !bad || st.action == api.ActionCreate {
			todo = append(todo, st)
		}
	}
	is := outcome(c.is, todo)
	if err := c.act.serve(c.to, is); err != nil {
		c.report("files of a context cannot be used", "reason", err.Error())
	}
	c.act.end(names(todo, step.ends))
	for _, st := range todo {
		if !st.begins() {
			continue
		}
		if st.action == api.ActionResume {
			c.act.end([]string{st.name}) // what stands for a suspended one
		}
		if err := c.act.begin(st.want); err != nil {
			errs = append(errs, fault.ContextError{Context: st.name, Error: err.Error()})
		}
	}
	return is, append(errs, c.configure(ctx, todo)...)
}

// configure changes contexts in place, all at once.
func (c *change) configure(ctx context.Context, steps []step) []fault.ContextError {
	var mu sync.Mutex // protects errs
	var errs []fault.ContextError
	var waiting sync.WaitGroup
	for _, st := range steps {
		if st.action != api.ActionConfigure {
			continue
		}
		waiting.Go(func() {
			if err := c.act.configure(ctx, st.want); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, fault.ContextError{Context: st.name, Error: err.Error()})
			}
		})
	}
	waiting.Wait()
	sortErrors(errs)
	return errs
}

// names are those of the steps that are of a kind.
func names(steps []step, is func(step) bool) []string {
	var list []string
	for _, st := range steps {
		if is(st) {
			list = append(list, st.name)
		}
	}
	return list
}

// outcome is what is after the steps.
func outcome(is []*wanted, steps []step) []*wanted {
	touched := map[string]bool{}
	for _, st := range steps {
		touched[st.name] = true
	}
	var list []*wanted
	for _, old := range is {
		if !touched[old.Name] {
			list = append(list, old)
		}
	}
	for _, st := range steps {
		if st.want != nil {
			list = append(list, st.want)
		}
	}
	return list
}
