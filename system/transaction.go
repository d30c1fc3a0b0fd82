package system

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/fault"
)

// failed is the end of a change of which nothing is left.
type failed struct{ errs []fault.ContextError }

// Error implements error.
func (f *failed) Error() string {
	first := f.errs[0]
	text := fmt.Sprintf("context %q: %s", first.Context, first.Error)
	if more := len(f.errs) - 1; more > 0 {
		text += fmt.Sprintf(" (and %d more)", more)
	}
	return text
}

// fail makes an error of what went wrong; nil for nothing.
func fail(errs []fault.ContextError) error {
	if len(errs) == 0 {
		return nil
	}
	return &failed{errs}
}

func sortErrors(errs []fault.ContextError) {
	slices.SortFunc(errs, func(a, b fault.ContextError) int { return cmp.Compare(a.Context, b.Context) })
}

// transact takes all steps, and waits until every context that begins is ready.
// On an error everything is as before: what was done is undone, in reverse order.
// What can fail comes before what ends SAs, because those cannot be brought back:
//
//	check everything                        nothing is touched
//	configure what keeps its SAs            undone by the old configuration
//	begin what needs no device in use       undone by its end
//	configure what ends SAs                 undone by the old configuration
//	end what goes, is suspended or rebuilt  undone by its beginning
//	begin the rest                          undone by its end
func (c *change) transact(ctx context.Context) ([]*wanted, error) {
	if err := fail(c.problems()); err != nil {
		return c.is, err
	}
	is := outcome(c.is, c.steps)
	if err := c.act.serve(c.to, outcome(is, keep(c.is))); err != nil { // both, as long as both may be needed
		if backErr := c.act.serve(c.from, c.is); backErr != nil {
			c.report("files of a context cannot be used", "reason", backErr.Error())
		}
		return c.is, err
	}
	first, rest := c.independent()
	stay, lose := partition(c.steps, func(st step) bool { return st.sas != api.EffectSomeEnd })
	var undo []func(context.Context)
	for _, part := range []struct{ do, undo func(context.Context) error }{
		{func(ctx context.Context) error { return fail(c.configure(ctx, stay)) },
			func(ctx context.Context) error { return fail(c.configure(ctx, reverse(stay))) }},
		{func(ctx context.Context) error { return c.begin(ctx, first) },
			func(ctx context.Context) error { return c.unbegin(ctx, first) }},
		{func(ctx context.Context) error { return fail(c.configure(ctx, lose)) },
			func(ctx context.Context) error { return fail(c.configure(ctx, reverse(lose))) }},
		{func(context.Context) error { c.act.end(names(c.steps, step.ends)); return nil },
			func(ctx context.Context) error { return c.restore(ctx) }},
		{func(ctx context.Context) error { return c.begin(ctx, rest) },
			func(ctx context.Context) error { return c.unbegin(ctx, rest) }},
	} {
		undo = append(undo, func(ctx context.Context) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
			defer cancel()
			if err := part.undo(ctx); err != nil {
				c.report("change not wholly undone", "reason", err.Error())
			}
		})
		if err := part.do(ctx); err != nil {
			for _, back := range slices.Backward(undo) {
				back(ctx)
			}
			if fileErr := c.act.serve(c.from, c.is); fileErr != nil {
				c.report("files of a context cannot be used", "reason", fileErr.Error())
			}
			return c.is, err
		}
	}
	if err := c.act.serve(c.to, is); err != nil {
		c.report("files of a context cannot be used", "reason", err.Error())
	}
	return is, nil
}

// keep makes steps that leave contexts as they are.
func keep(list []*wanted) []step {
	var steps []step
	for _, w := range list {
		steps = append(steps, step{name: w.Name, want: w})
	}
	return steps
}

func partition(steps []step, is func(step) bool) (yes, no []step) {
	for _, st := range steps {
		if is(st) {
			yes = append(yes, st)
		} else {
			no = append(no, st)
		}
	}
	return yes, no
}

// reverse makes steps that lead back from changes in place.
func reverse(steps []step) []step {
	var back []step
	for _, st := range steps {
		if st.action == api.ActionConfigure {
			back = append(back, step{name: st.name, action: st.action, want: st.old, old: st.want})
		}
	}
	return back
}

// independent splits the steps that begin a context into those that need nothing
// of what ends, and the others.
func (c *change) independent() (first, rest []step) {
	used := map[string]bool{}
	for _, w := range c.freed() {
		for _, d := range w.devices {
			used[d.Host] = true
		}
	}
	for _, st := range c.steps {
		if !st.begins() {
			continue
		}
		free := !st.ends()
		for _, d := range st.want.devices {
			free = free && !used[d.Host]
		}
		if free {
			first = append(first, st)
		} else {
			rest = append(rest, st)
		}
	}
	return first, rest
}

// begin begins contexts and waits until all of them are ready.
func (c *change) begin(ctx context.Context, steps []step) error {
	for _, st := range steps {
		if st.action == api.ActionResume {
			c.act.end([]string{st.name}) // what stands for a suspended one
		}
		if err := c.act.begin(st.want); err != nil {
			return fail([]fault.ContextError{{Context: st.name, Error: err.Error()}})
		}
	}
	return c.wait(ctx, steps)
}

// wait waits until contexts that have begun are ready, or one cannot be.
func (c *change) wait(ctx context.Context, steps []step) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex // protects errs
	var errs []fault.ContextError
	var waiting sync.WaitGroup
	for _, st := range steps {
		waiting.Go(func() {
			if err := c.act.settled(ctx, st.name); err != nil {
				mu.Lock()
				defer mu.Unlock()
				if ctx.Err() == nil || len(errs) == 0 { // those that were not waited for say nothing
					errs = append(errs, fault.ContextError{Context: st.name, Error: err.Error()})
				}
				cancel()
			}
		})
	}
	waiting.Wait()
	sortErrors(errs)
	return fail(errs)
}

// unbegin undoes begin, also one that has stopped on its way.
func (c *change) unbegin(_ context.Context, steps []step) error {
	c.act.end(names(steps, func(step) bool { return true }))
	for _, st := range steps {
		if st.action != api.ActionResume {
			continue
		}
		if err := c.act.begin(st.old); err != nil {
			return err
		}
	}
	return nil
}

// restore begins again what was ended.
func (c *change) restore(ctx context.Context) error {
	var ended []step
	for _, st := range c.steps {
		if !st.ends() {
			continue
		}
		if err := c.act.begin(st.old); err != nil {
			return err
		}
		ended = append(ended, st)
	}
	return c.wait(ctx, ended)
}
