package lifecycle

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/warrenvpn/warren/resource"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/plan"
)

// Actor does to the contexts of a host what a plan says. Only Configure and AwaitReady are
// called for several contexts at once.
type Actor interface {
	// Check reports why a step that has a Want cannot be taken. Nothing is touched.
	// Devices of the contexts in freed count as available.
	Check(st plan.Step, freed []*plan.Wanted) error
	// Serve makes exactly these contexts have files and a share of the totals.
	Serve(totals resource.Totals, list []*plan.Wanted) error
	// Start starts the life of a context, and does not wait until it is built.
	Start(w *plan.Wanted) error
	// AwaitReady waits until a context that was started is ready, and returns why it
	// cannot be. Building it is tried again all the same, until Stop.
	AwaitReady(ctx context.Context, name string) error
	// Configure changes a context in place. After an error it may be half done.
	Configure(ctx context.Context, w *plan.Wanted) error
	// Restore puts back what somebody else has taken from contexts that run, such as a
	// device or a control group, and says what it was.
	Restore(ctx context.Context) ([]string, []fault.ContextError)
	// Stop ends contexts, all at once, and waits until nothing is left of them.
	Stop(names []string)
}

// change is a transition, and who takes its steps: as many as can be taken (reconcile),
// or all or none (transact).
type change struct {
	plan.Transition
	act    Actor
	report func(msg string, args ...any) // what does not stop it
}

// undoTimeout bounds each part of going back, whatever the time of the change.
const undoTimeout = 2 * time.Minute

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

// problems are what stands against the steps before any is taken.
func (c *change) problems() []fault.ContextError {
	freed := c.Freed()
	var errs []fault.ContextError
	for _, st := range c.Steps {
		if st.Want == nil {
			continue
		}
		if err := c.act.Check(st, freed); err != nil {
			errs = append(errs, fault.ContextError{Context: st.Context, Error: err.Error()})
		}
	}
	return errs
}

// reconcile takes every step that can be taken, and returns what there is afterwards. A
// step that cannot be taken leaves its context as it is. A context that is new is started
// all the same: building it is tried again until it can be built. What is returned differs
// from every configuration where a step has failed, so that the next change tries it again.
func (c *change) reconcile(ctx context.Context) ([]*plan.Wanted, []fault.ContextError) {
	errs := c.problems()
	var todo, ending []plan.Step
	for _, st := range c.Steps {
		bad := slices.ContainsFunc(errs, func(e fault.ContextError) bool { return e.Context == st.Context })
		if bad && st.Action != plan.ActionCreate {
			continue
		}
		todo = append(todo, st)
		if st.Stops() {
			ending = append(ending, st)
		}
	}
	is := c.Outcome(todo)
	if err := c.act.Serve(c.To, is); err != nil {
		c.report("files of a context cannot be used", "reason", err)
	}
	c.act.Stop(plan.Names(ending))
	var inPlace []*plan.Wanted
	var failures []fault.ContextError // of steps that were taken
	for _, st := range todo {
		switch {
		case st.Action == plan.ActionConfigure:
			inPlace = append(inPlace, st.Want)
		case st.Starts():
			if st.Action == plan.ActionResume {
				c.act.Stop([]string{st.Context}) // what stands for a suspended one
			}
			if err := c.act.Start(st.Want); err != nil {
				failures = append(failures, fault.ContextError{Context: st.Context, Error: err.Error()})
			}
		}
	}
	failures = append(failures, c.configure(ctx, inPlace)...)
	return c.remaining(is, todo, failures), append(errs, failures...)
}

// remaining is what there is where some of the steps that lead to is have failed: nothing of
// a context that could not be started, and one that is half changed where it could not be
// configured.
func (c *change) remaining(is []*plan.Wanted, steps []plan.Step, failures []fault.ContextError) []*plan.Wanted {
	for _, f := range failures {
		is = slices.DeleteFunc(is, func(w *plan.Wanted) bool { return w.Name == f.Context })
		for _, st := range steps {
			if st.Context == f.Context && st.Action == plan.ActionConfigure {
				is = append(is, st.Old.HalfChanged())
			}
		}
	}
	return is
}

// transact takes all steps, and waits until every context that begins is ready.
// On an error everything is as before: what was done is undone, in reverse order.
func (c *change) transact(ctx context.Context) ([]*plan.Wanted, error) {
	if err := fail(c.problems()); err != nil {
		return c.Is, err
	}
	err := c.act.Serve(c.To, c.Both())
	var begun []plan.Stage
	for _, stage := range c.Stages() {
		if err != nil {
			break
		}
		begun = append(begun, stage)
		err = c.work(ctx, stage.Do)
	}
	if err != nil {
		for _, stage := range slices.Backward(begun) {
			c.undo(ctx, stage.Undo)
		}
		if backErr := c.act.Serve(c.From, c.Is); backErr != nil {
			c.report("files of a context cannot be used", "reason", backErr)
		}
		return c.Is, err
	}
	is := c.Outcome(c.Steps)
	if err := c.act.Serve(c.To, is); err != nil {
		c.report("files of a context cannot be used", "reason", err)
	}
	return is, nil
}

// work does one stage.
func (c *change) work(ctx context.Context, w plan.Work) error {
	if err := fail(c.configure(ctx, w.Configure)); err != nil {
		return err
	}
	c.act.Stop(w.Stop)
	for _, one := range w.Start {
		if err := c.act.Start(one); err != nil {
			return fail([]fault.ContextError{{Context: one.Name, Error: err.Error()}})
		}
	}
	return fail(c.await(ctx, w.Await))
}

// undo undoes one stage, also when the time of the change is up.
func (c *change) undo(ctx context.Context, w plan.Work) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	if err := c.work(ctx, w); err != nil {
		c.report("change not wholly undone", "reason", err)
	}
}

// configure changes contexts in place, all at once.
func (c *change) configure(ctx context.Context, list []*plan.Wanted) []fault.ContextError {
	var mu sync.Mutex // protects errs
	var errs []fault.ContextError
	var waiting sync.WaitGroup
	for _, w := range list {
		waiting.Go(func() {
			if err := c.act.Configure(ctx, w); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, fault.ContextError{Context: w.Name, Error: err.Error()})
			}
		})
	}
	waiting.Wait()
	sortErrors(errs)
	return errs
}

// await waits until contexts that have begun are ready, or one cannot be.
func (c *change) await(ctx context.Context, names []string) []fault.ContextError {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex // protects errs
	var errs []fault.ContextError
	var waiting sync.WaitGroup
	for _, name := range names {
		waiting.Go(func() {
			if err := c.act.AwaitReady(ctx, name); err != nil {
				mu.Lock()
				defer mu.Unlock()
				if ctx.Err() == nil || len(errs) == 0 { // those that were not waited for say nothing
					errs = append(errs, fault.ContextError{Context: name, Error: err.Error()})
				}
				cancel()
			}
		})
	}
	waiting.Wait()
	sortErrors(errs)
	return errs
}
