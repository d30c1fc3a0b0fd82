package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/warrenvpn/warren/system/events"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/plan"
)

// startup reads what the files say, for a change from what is running.
func (l *Lifecycle) startup(ctx context.Context, is *loaded, how Leniency) (*loaded, error) {
	next, err := l.load(ctx, readingOf(how, is))
	if err == nil {
		err = next.current(how)
	}
	if err != nil {
		return nil, err
	}
	tellProblems(l.log, next.problems)
	for _, w := range next.news(is) {
		l.log.Warn("configuration warning", "text", w)
	}
	return next, l.fixed(is.conf, next.conf)
}

// current refuses a configuration of which a part is a copy, because what a server
// has cannot be used, unless that is allowed.
func (next *loaded) current(how Leniency) error {
	if how.AllowStale || len(next.stale) == 0 {
		return nil
	}
	return &fault.Error{
		Code: fault.CodeRefused, Reason: "what servers have cannot be used, so nothing was changed",
		Detail: strings.Join(next.stale, "\n") + "\n",
		Hint:   "repair it, or take the copies with --allow-stale",
	}
}

// decided refuses a change while another waits to be confirmed.
func decided(p *pending) error {
	if !p.open() {
		return nil
	}
	return &fault.Error{
		Code: fault.CodeRefused,
		Reason: fmt.Sprintf("version %d waits to be confirmed before %s, so nothing was changed",
			p.Version, p.Deadline.UTC().Format("15:04:05 UTC")),
		Hint: fmt.Sprintf("`warren confirm` keeps it, `warren rollback %d` gives it up", p.Previous),
	}
}

// changeTo plans the way from what is running to next.
func (l *Lifecycle) changeTo(next *loaded, st state) *change {
	return &change{
		act: l.cfg.Actor, report: l.log.Error,
		Transition: plan.Transition{
			From: st.running.conf.Totals, To: next.conf.Totals,
			Is: st.is, Steps: plan.Steps(st.is, plan.Want(next.conf, l.cfg.Key)),
		},
	}
}

// Plan says what Apply would do now, and changes nothing. It waits for no change that is
// under way: a warning says that there is one.
func (l *Lifecycle) Plan(ctx context.Context, how Leniency) (Plan, error) {
	doing := l.UnderWay()
	st := l.snapshot()
	next, err := l.peek(ctx, readingOf(how, st.running))
	if err == nil {
		err = next.current(how)
	}
	if err != nil {
		return Plan{}, err
	}
	if err := l.fixed(st.running.conf, next.conf); err != nil {
		return Plan{}, err
	}
	c := l.changeTo(next, st)
	warnings := next.news(st.running)
	if doing != "" {
		warnings = slices.Insert(warnings, 0,
			"another change is under way, and this is the way from what ran before it: "+doing)
	}
	return Plan{Steps: plan.Explain(c.Steps, st.running.texts, next.texts), Warnings: warnings,
		Problems: append(slices.Clone(next.problems), c.problems()...),
		Basis:    l.basisOf(next, st, c.Steps, how)}, nil
}

// Reload makes the startup configuration the running one as far as it can be, and touches
// only what changed. A system file that is not valid changes nothing: then the error is a
// *fault.Error whose Detail is the text of the diagnostics. Contexts with a mistake in
// their own configuration, and those that could not follow, are in Reloaded.Errors.
func (l *Lifecycle) Reload(ctx context.Context, by Author, how Leniency) (Reloaded, error) {
	if err := l.lock("a reload", by); err != nil {
		return Reloaded{}, err
	}
	defer l.unlock()
	return l.reload(ctx, by, how)
}

// Hangup is a reload that waits for its turn. Nobody reads its answer, so that
// copies will do: the log says that they are used.
func (l *Lifecycle) Hangup(ctx context.Context) error {
	select {
	case <-l.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	l.noteHolder("a reload", warrend)
	defer l.unlock()
	_, err := l.reload(ctx, Author{Name: "SIGHUP"}, Leniency{AllowStale: true})
	return err
}

func (l *Lifecycle) reload(ctx context.Context, by Author, how Leniency) (Reloaded, error) {
	st := l.snapshot()
	if err := decided(st.pend); err != nil {
		return Reloaded{}, err
	}
	next, err := l.startup(ctx, st.running, how)
	if err != nil {
		return Reloaded{}, err
	}
	out := Reloaded{Warnings: next.news(st.running)}
	both := joint{by: by, origin: "reload", next: next, local: how.Local, write: true}
	told, err := l.jointly(ctx, both, func() error {
		note := version{Author: by.Name, UID: by.UID, Origin: "reload"}
		out.Steps, out.Errors, err = l.reconcile(ctx, next, note, nil)
		return err
	})
	out.Warnings = append(slices.Clip(out.Warnings), told...)
	out.Errors = append(slices.Clone(next.problems), out.Errors...)
	if err == nil {
		steps, errs := l.cfg.Actor.Restore(ctx)
		for _, s := range steps {
			l.log.Info("reload step", "action", "restore", "text", s)
		}
		out.Steps, out.Errors = append(out.Steps, steps...), append(out.Errors, errs...)
	}
	l.tell(&events.ConfigurationLoaded{Steps: uint64(len(out.Steps)), Errors: uint64(len(out.Errors))})
	return out, err
}

// reconcile makes next the running configuration as far as it can be.
func (l *Lifecycle) reconcile(ctx context.Context, next *loaded, note version,
	p *pending) ([]string, []fault.ContextError, error) {
	st := l.snapshot()
	c := l.changeTo(next, st)
	if next.texts.Digest() != st.running.texts.Digest() {
		note.Time = l.cfg.Now()
		v, err := l.history.add(note, next.texts, append(p.versions(), st.number)...)
		if err != nil {
			return nil, nil, refusedBy(err)
		}
		st.number = v.Number
	}
	if p != nil {
		p.Previous = st.number
	}
	if err := l.history.setPending(p); err != nil {
		l.log.Error("configuration not noted", "reason", err)
	}
	var texts []string
	for _, s := range c.Steps {
		texts = append(texts, s.String())
		l.log.Info("reload step", "tenant", s.Context, "action", string(s.Action), "reason", s.Why)
	}
	var errs []fault.ContextError
	l.bringBack(st.running.conf, next)
	st.is, errs = c.reconcile(ctx)
	st.running, st.pend = next, p
	l.setState(st)
	return texts, errs, nil
}

// refusedBy is the refusal of a change that could not be noted.
func refusedBy(err error) error {
	return &fault.Error{Code: fault.CodeRefused, Reason: oneLine(err) + ": nothing was changed",
		Hint: "see to the disk that holds state_dir"}
}

// Apply makes the startup configuration the running one: all of it, or on any error
// nothing. A context with a mistake in its own configuration goes on as it runs, or is left
// out where it is new; a mistake in the system file is everybody's.
func (l *Lifecycle) Apply(ctx context.Context, by Author, how Apply) (Applied, error) {
	if err := l.lock("an apply", by); err != nil {
		return Applied{}, err
	}
	defer l.unlock()
	st := l.snapshot()
	if err := decided(st.pend); err != nil {
		return Applied{}, err
	}
	if how.Basis != nil {
		how.Strict, how.AllowStale = how.Basis.Strict, how.Basis.AllowStale
	}
	next, err := l.startup(ctx, st.running, how.Leniency)
	if err != nil {
		return Applied{}, err
	}
	if how.Basis != nil {
		now := l.basisOf(next, st, l.changeTo(next, st).Steps, how.Leniency)
		if err := how.Basis.check(now); err != nil {
			return Applied{}, err
		}
	}
	both := joint{by: by, origin: "apply", comment: how.Comment, next: next, local: how.Local, write: true,
		confirm: how.Confirm}
	return l.commitJointly(ctx, both, nil)
}

// commitJointly is commit on both units of a pair.
func (l *Lifecycle) commitJointly(ctx context.Context, both joint, rejected *pending) (out Applied, err error) {
	both.whole = true
	note := version{Author: both.by.Name, UID: both.by.UID, Origin: both.origin, Comment: both.comment}
	before := l.snapshot()
	told, err := l.jointly(ctx, both, func() (err error) {
		out, err = l.commit(ctx, both.next, note, rejected, trial{seconds: both.confirm})
		if err == nil && both.then != nil {
			err = l.complete(ctx, &both, before, &out)
		}
		return err
	})
	out.Warnings = append(slices.Clip(out.Warnings), told...)
	return out, err
}

// Rollback makes an earlier version the running one, as Apply does. The startup
// configuration stays as it is.
func (l *Lifecycle) Rollback(ctx context.Context, by Author, how Rollback) (Applied, error) {
	if err := l.lock("a rollback", by); err != nil {
		return Applied{}, err
	}
	defer l.unlock()
	st := l.snapshot()
	t, err := l.history.texts(how.Version)
	if err != nil {
		return Applied{}, err
	}
	if t.Path != l.path {
		return Applied{}, &fault.Error{Code: fault.CodeRefused,
			Reason: fmt.Sprintf("version %d is one of %s, and warrend runs %s: nothing was changed", how.Version,
				t.Path, l.path),
			Hint: "start warrend with that file"}
	}
	next, err := recall(t, l.cfg.Check)
	if err == nil {
		err = l.fixed(st.running.conf, next.conf)
	}
	if err != nil {
		return Applied{}, err
	}
	if how.Comment == "" {
		how.Comment = fmt.Sprintf("rollback to version %d", how.Version)
	}
	both := joint{by: by, origin: "rollback", comment: how.Comment, next: next, local: how.Local, confirm: how.Confirm}
	return l.commitJointly(ctx, both, st.pend.rejected())
}

// trial is how a version waits to be confirmed.
type trial struct {
	seconds int  // for how long; 0: it does not wait
	given   bool // the other unit is to say what becomes of it
}

// pending is the note of a version that waits so, from now on.
func (t trial) pending(number, previous int, rejected *pending, now time.Time) *pending {
	p := &pending{Version: number, Previous: previous, Rejection: rejected, Given: t.given,
		Deadline: now.Add(time.Duration(t.seconds) * time.Second)}
	if t.given {
		p.Confirm = max(0, t.seconds-int(provisional/time.Second))
	}
	return p
}

// commit makes next the running configuration, or changes nothing. wait says how it waits to
// be confirmed. rejected is what no start is to take until the files are put in order; nil:
// nothing.
func (l *Lifecycle) commit(ctx context.Context, next *loaded, note version, rejected *pending,
	wait trial) (Applied, error) {
	st := l.snapshot()
	c := l.changeTo(next, st)
	out := Applied{Steps: plan.Explain(c.Steps, st.running.texts, next.texts), Warnings: next.news(st.running),
		Problems: next.problems, Version: st.number}
	if len(c.Steps) == 0 && next.texts.Digest() == st.running.texts.Digest() {
		if rejected != nil && st.pend.open() {
			return out, nil // it runs already, and waits to be confirmed
		}
		after := rejected.answered(st.number)
		st.running, st.pend = next, after
		l.setState(st)
		return out, l.history.setPending(after)
	}
	previous := st.number
	if st.pend.open() {
		previous = st.pend.Previous
	}
	note.Time = l.cfg.Now()
	v, err := l.history.add(note, next.texts, append(append(st.pend.versions(), rejected.versions()...), previous)...)
	if err != nil {
		return out, refusedBy(err)
	}
	after := rejected.answered(v.Number)
	if wait.seconds > 0 {
		after = wait.pending(v.Number, previous, rejected, l.cfg.Now())
		err = l.history.setPending(after)
	}
	if err == nil {
		undo := l.bringBack(st.running.conf, next)
		if st.is, err = c.transact(ctx); err != nil {
			undo()
		}
	}
	if err != nil {
		return out, l.undone(err, v.Number, st.pend)
	}
	l.expiry.Stop()
	if wait.seconds > 0 {
		after.Deadline = l.cfg.Now().Add(time.Duration(wait.seconds) * time.Second)
		l.expiry.Reset(after.Deadline.Sub(l.cfg.Now()))
	}
	if err := l.history.setPending(after); err != nil {
		l.log.Error("configuration not noted", "reason", err)
	}
	st.running, st.number, st.pend = next, v.Number, after
	l.setState(st)
	out.Version = v.Number
	if wait.seconds > 0 {
		out.ConfirmBefore = after.Deadline
	}
	l.tell(&events.ConfigurationApplied{Version: uint64(v.Number), Origin: note.Origin, Author: note.Author,
		Steps: uint64(len(c.Steps))})
	return out, nil
}

// undone makes the error of a change of which nothing is left.
func (l *Lifecycle) undone(err error, number int, before *pending) error {
	for _, more := range []error{l.history.drop(number), l.history.setPending(before)} {
		if more != nil {
			l.log.Error("history not cleaned", "reason", more)
		}
	}
	l.setState(l.snapshot())
	l.tell(&events.ConfigurationRefused{Reason: err.Error()})
	e := &fault.Error{Code: fault.CodeRefused, Reason: "nothing was changed: " + oneLine(err),
		Hint: "`warren plan` shows what was to be done"}
	var f *failed
	if errors.As(err, &f) && len(f.errs) > 1 {
		var lines strings.Builder
		for _, one := range f.errs {
			fmt.Fprintf(&lines, "context %q: %s\n", one.Context, one.Error)
		}
		e.Detail = lines.String()
	}
	return e
}

// oneLine is the text of an error that may be several.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
