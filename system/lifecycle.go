package system

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/plan"
	"github.com/warrenvpn/warren/system/texts"
)

// lifecycle is the configuration in its life: what is running, the versions
// before it, and the way from one to the next. It is an api.Configurations.
type lifecycle struct {
	path string // of the system file
	// load reads the startup configuration for a change, and look to look at it.
	load, look func(ctx context.Context, how reading) (*loaded, error)
	// stored reads one source of it.
	stored configs.Loader
	act    actor
	disk   func(ctx context.Context, name string, body []byte) error // writes to disk0: of a context
	log    *slog.Logger
	now    func() time.Time
	key    []byte // of fingerprints
	// changed, which may be nil, is told what is running; it must not block.
	changed func(*configs.System)
	history *history
	// expiry fires when a confirmation is overdue: then expire is to be called.
	expiry *time.Timer
	// turn holds one token: whoever has it may change what is running.
	turn chan struct{}

	mu sync.Mutex // protects what follows; the holder of the token changes it
	state
	doing string // what the holder of the token does
}

// state is what is running.
type state struct {
	running  *loaded
	is       []*plan.Wanted
	number   int       // of the version; 0: it could not be kept
	versions []version // that are kept
	pend     *pending  // nil: nothing waits, and nothing was rejected
}

// warrend is the author of what nobody asked for.
var warrend = api.Author{Name: "warrend"}

// newLifecycle decides what is to be run: startup, or the version before it where
// startup was to be confirmed and has not been. Nothing runs yet.
func newLifecycle(l *lifecycle, startup *loaded) (*lifecycle, error) {
	l.turn, l.doing = make(chan struct{}, 1), "warrend starts"
	l.expiry = time.NewTimer(time.Hour)
	l.expiry.Stop()
	p, err := l.history.pending()
	if err != nil {
		return nil, err
	}
	st := state{running: startup, pend: p, versions: l.history.list}
	note := version{Time: l.now(), Author: warrend.Name, Origin: "start"}
	if len(startup.problems) > 0 {
		note.Comment = "in part an earlier version: the files have errors"
	}
	if p != nil {
		v, ok := l.history.find(p.Version)
		switch {
		case !ok || v.Digest != startup.texts.Digest():
			st.pend = nil // the files were changed since then
			err = l.history.setPending(nil)
		case p.Rejected || !l.now().Before(p.Deadline):
			st.running, err = l.instead(p, startup)
			note.Comment = fmt.Sprintf("version %d was not confirmed", p.Version)
		default:
			l.expiry.Reset(p.Deadline.Sub(l.now()))
		}
	}
	if err != nil {
		return nil, err
	}
	st.number = l.keep(note, st.running.texts, st.pend)
	if st.pend != nil && st.pend.Rejected {
		st.pend.Previous = st.number
		err = l.history.setPending(st.pend)
	}
	l.set(st)
	return l, err
}

// instead reads the version that runs in place of one that was not confirmed.
func (l *lifecycle) instead(p *pending, startup *loaded) (*loaded, error) {
	t, err := l.history.texts(p.Previous)
	var before *loaded
	if err == nil {
		before, err = recall(t)
	}
	if err == nil {
		err = fixed(startup.conf, before.conf)
	}
	if err != nil {
		return nil, fmt.Errorf("system: version %d was not confirmed, and version %d cannot be run instead: %w", p.Version, p.Previous, err)
	}
	p.Rejected = true
	l.log.Warn("startup configuration not taken: it was not confirmed", "version", p.Version, "instead", p.Previous)
	return before, nil
}

// keep adds a version to the history, unless it is the newest already, and
// returns its number; 0 where it cannot be kept, which is no reason not to run.
func (l *lifecycle) keep(note version, t *texts.Set, p *pending) int {
	if n := len(l.history.list); n > 0 && l.history.list[n-1].Digest == t.Digest() {
		return l.history.list[n-1].Number
	}
	v, err := l.history.add(note, t, p.versions()...)
	if err != nil {
		l.log.Error("configuration not kept in the history", "reason", err.Error())
		return 0
	}
	return v.Number
}

// versions are those that must not go.
func (p *pending) versions() []int {
	if p == nil {
		return nil
	}
	return []int{p.Version, p.Previous}
}

// open tells whether a version waits to be confirmed.
func (p *pending) open() bool { return p != nil && !p.Rejected }

// snapshot returns what is running.
func (l *lifecycle) snapshot() state {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// set changes what is running.
func (l *lifecycle) set(st state) {
	st.versions = append([]version(nil), l.history.list...)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = st
	if l.changed != nil {
		l.changed(st.running.conf)
	}
}

// claim takes the token, or says who has it.
func (l *lifecycle) claim(what string, by api.Author) error {
	select {
	case <-l.turn:
		l.hold(what, by)
		return nil
	default:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return &fault.Error{
		Code: fault.CodeRefused, Reason: "another change is under way, so nothing was changed: " + l.doing,
		Hint: "try again when it has ended",
	}
}

func (l *lifecycle) hold(what string, by api.Author) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.doing = fmt.Sprintf("%s by %s since %s", what, by.Name, l.now().UTC().Format("15:04:05 UTC"))
}

// release gives the token back.
func (l *lifecycle) release() { l.turn <- struct{}{} }

// begin runs what newLifecycle has decided, as far as it can be, and lets others
// change it from then on.
func (l *lifecycle) begin(ctx context.Context) {
	st := l.snapshot()
	wants := plan.Want(st.running.conf, l.key)
	c := &change{
		act: l.act, report: l.log.Error,
		Transition: plan.Transition{To: st.running.conf.Totals, Steps: plan.Steps(nil, wants)},
	}
	var errs []fault.ContextError
	st.is, errs = c.follow(ctx)
	for _, e := range errs {
		l.log.Error("context cannot start", "tenant", e.Context, "reason", e.Error)
	}
	l.set(st)
	l.release()
}

// fixed says what cannot change while warrend runs.
func fixed(is, next *configs.System) error {
	if next.Name == is.Name && next.RunDir == is.RunDir && next.StateDir == is.StateDir {
		return pairFixed(is, next)
	}
	return &fault.Error{
		Code: fault.CodeRefused, Reason: "system: name, run_dir and state_dir cannot change while warrend runs",
		Hint: "restart warrend, or undo that change",
	}
}

// startup reads what the files say, for a change from what is running.
func (l *lifecycle) startup(ctx context.Context, is *loaded, how api.Leniency) (*loaded, error) {
	next, err := l.load(ctx, readingOf(how, is))
	if err == nil {
		err = next.current(how)
	}
	if err != nil {
		return nil, err
	}
	tellProblems(l.log, next.problems)
	for _, w := range next.warnings {
		l.log.Warn("configuration warning", "text", w)
	}
	return next, fixed(is.conf, next.conf)
}

// current refuses a configuration of which a part is a copy, because what a server
// has cannot be used, unless that is allowed.
func (next *loaded) current(how api.Leniency) error {
	if how.AllowStale || len(next.stale) == 0 {
		return nil
	}
	return &fault.Error{
		Code: fault.CodeRefused, Reason: "what servers have cannot be used, so nothing was changed", Detail: strings.Join(next.stale, "\n") + "\n",
		Hint: "repair it, or take the copies with --allow-stale",
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
func (l *lifecycle) changeTo(next *loaded, st state) *change {
	return &change{
		act: l.act, report: l.log.Error,
		Transition: plan.Transition{
			From: st.running.conf.Totals, To: next.conf.Totals,
			Is: st.is, Steps: plan.Steps(st.is, plan.Want(next.conf, l.key)),
		},
	}
}

// Plan implements api.Configurations.
func (l *lifecycle) Plan(ctx context.Context, how api.Leniency) (api.Plan, error) {
	st := l.snapshot()
	next, err := l.look(ctx, readingOf(how, st.running))
	if err == nil {
		err = next.current(how)
	}
	if err != nil {
		return api.Plan{}, err
	}
	if err := fixed(st.running.conf, next.conf); err != nil {
		return api.Plan{}, err
	}
	c := l.changeTo(next, st)
	return api.Plan{Steps: stepsOf(plan.Explain(c.Steps, st.running.texts, next.texts)), Warnings: next.warnings,
		Problems: append(slices.Clone(next.problems), c.problems()...)}, nil
}

// Reload implements api.Configurations.
func (l *lifecycle) Reload(ctx context.Context, by api.Author, how api.Leniency) (api.Reload, error) {
	if err := l.claim("a reload", by); err != nil {
		return api.Reload{}, err
	}
	defer l.release()
	return l.reload(ctx, by, how)
}

// hangup is a reload that waits for its turn. Nobody reads its answer, so that
// copies will do: the log says that they are used.
func (l *lifecycle) hangup(ctx context.Context) error {
	select {
	case <-l.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	l.hold("a reload", warrend)
	defer l.release()
	_, err := l.reload(ctx, api.Author{Name: "SIGHUP"}, api.Leniency{AllowStale: true})
	return err
}

func (l *lifecycle) reload(ctx context.Context, by api.Author, how api.Leniency) (api.Reload, error) {
	st := l.snapshot()
	if err := decided(st.pend); err != nil {
		return api.Reload{}, err
	}
	next, err := l.startup(ctx, st.running, how)
	if err != nil {
		return api.Reload{}, err
	}
	out := api.Reload{Warnings: next.warnings}
	out.Steps, out.Errors, err = l.follow(ctx, next, version{Author: by.Name, UID: by.UID, Origin: "reload"}, nil)
	out.Errors = append(slices.Clone(next.problems), out.Errors...)
	if err == nil {
		steps, errs := l.act.restore(ctx)
		for _, s := range steps {
			l.log.Info("reload step", "action", "restore", "text", s)
		}
		out.Steps, out.Errors = append(out.Steps, steps...), append(out.Errors, errs...)
	}
	l.log.Info("configuration loaded", "steps", len(out.Steps), "errors", len(out.Errors))
	return out, err
}

// follow makes next the running configuration as far as it can be.
func (l *lifecycle) follow(ctx context.Context, next *loaded, note version, p *pending) ([]string, []fault.ContextError, error) {
	st := l.snapshot()
	c := l.changeTo(next, st)
	if next.texts.Digest() != st.running.texts.Digest() {
		note.Time = l.now()
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
		l.log.Error("configuration not noted", "reason", err.Error())
	}
	var texts []string
	for _, s := range c.Steps {
		texts = append(texts, s.String())
		l.log.Info("reload step", "tenant", s.Context, "action", string(s.Action), "reason", s.Why)
	}
	var errs []fault.ContextError
	st.is, errs = c.follow(ctx)
	st.running, st.pend = next, p
	l.set(st)
	return texts, errs, nil
}

// refusedBy is the refusal of a change that could not be noted.
func refusedBy(err error) error {
	return &fault.Error{Code: fault.CodeRefused, Reason: oneLine(err) + ": nothing was changed", Hint: "see to the disk that holds state_dir"}
}

// Apply implements api.Configurations.
func (l *lifecycle) Apply(ctx context.Context, by api.Author, how api.Apply) (api.Applied, error) {
	if err := l.claim("an apply", by); err != nil {
		return api.Applied{}, err
	}
	defer l.release()
	st := l.snapshot()
	if err := decided(st.pend); err != nil {
		return api.Applied{}, err
	}
	next, err := l.startup(ctx, st.running, how.Leniency)
	if err != nil {
		return api.Applied{}, err
	}
	return l.take(ctx, next, version{Author: by.Name, UID: by.UID, Origin: "apply", Comment: how.Comment}, nil, how.Confirm)
}

// Rollback implements api.Configurations.
func (l *lifecycle) Rollback(ctx context.Context, by api.Author, how api.Rollback) (api.Applied, error) {
	if err := l.claim("a rollback", by); err != nil {
		return api.Applied{}, err
	}
	defer l.release()
	st := l.snapshot()
	t, err := l.history.texts(how.Version)
	if err != nil {
		return api.Applied{}, err
	}
	if t.Path != l.path {
		return api.Applied{}, &fault.Error{Code: fault.CodeRefused,
			Reason: fmt.Sprintf("version %d is one of %s, and warrend runs %s: nothing was changed", how.Version, t.Path, l.path),
			Hint:   "start warrend with that file"}
	}
	next, err := recall(t)
	if err == nil {
		err = fixed(st.running.conf, next.conf)
	}
	if err != nil {
		return api.Applied{}, err
	}
	if how.Comment == "" {
		how.Comment = fmt.Sprintf("rollback to version %d", how.Version)
	}
	var rejected *pending // so that the next start does not take again what was given up
	if st.pend != nil {
		rejected = &pending{Version: st.pend.Version, Deadline: st.pend.Deadline, Rejected: true}
	}
	return l.take(ctx, next, version{Author: by.Name, UID: by.UID, Origin: "rollback", Comment: how.Comment}, rejected, how.Confirm)
}

// take makes next the running configuration, or changes nothing. With confirm it
// waits to be confirmed for so many seconds; without, after is noted.
func (l *lifecycle) take(ctx context.Context, next *loaded, note version, after *pending, confirm int) (api.Applied, error) {
	st := l.snapshot()
	c := l.changeTo(next, st)
	out := api.Applied{Steps: stepsOf(plan.Explain(c.Steps, st.running.texts, next.texts)), Warnings: next.warnings,
		Problems: next.problems, Version: st.number}
	if len(c.Steps) == 0 && next.texts.Digest() == st.running.texts.Digest() {
		if after != nil {
			return out, nil // it runs already
		}
		st.running, st.pend = next, nil
		l.set(st)
		return out, l.history.setPending(nil)
	}
	previous := st.number
	if st.pend.open() {
		previous = st.pend.Previous
	}
	note.Time = l.now()
	v, err := l.history.add(note, next.texts, append(append(st.pend.versions(), after.versions()...), previous)...)
	if err != nil {
		return out, refusedBy(err)
	}
	if confirm > 0 {
		after = &pending{Version: v.Number, Previous: previous, Deadline: l.now().Add(time.Duration(confirm) * time.Second)}
		err = l.history.setPending(after)
	}
	if err == nil {
		st.is, err = c.transact(ctx)
	}
	if err != nil {
		return out, l.undone(err, v.Number, st.pend)
	}
	switch {
	case confirm > 0:
		after.Deadline = l.now().Add(time.Duration(confirm) * time.Second)
		l.expiry.Reset(after.Deadline.Sub(l.now()))
	default:
		l.expiry.Stop()
		if after != nil {
			after.Previous = v.Number
		}
	}
	if err := l.history.setPending(after); err != nil {
		l.log.Error("configuration not noted", "reason", err.Error())
	}
	st.running, st.number, st.pend = next, v.Number, after
	l.set(st)
	out.Version = v.Number
	if confirm > 0 {
		out.ConfirmBefore = after.Deadline
	}
	l.log.Info("configuration applied", "version", v.Number, "origin", note.Origin, "author", note.Author, "steps", len(c.Steps))
	return out, nil
}

// undone makes the error of a change of which nothing is left.
func (l *lifecycle) undone(err error, number int, before *pending) error {
	for _, more := range []error{l.history.drop(number), l.history.setPending(before)} {
		if more != nil {
			l.log.Error("history not cleaned", "reason", more.Error())
		}
	}
	l.set(l.snapshot())
	l.log.Error("configuration not applied", "reason", err.Error())
	e := &fault.Error{Code: fault.CodeRefused, Reason: "nothing was changed: " + oneLine(err), Hint: "`warren plan` shows what was to be done"}
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

// Confirm implements api.Configurations.
func (l *lifecycle) Confirm(_ context.Context, by api.Author) (api.Version, error) {
	if err := l.claim("a confirmation", by); err != nil {
		return api.Version{}, err
	}
	defer l.release()
	st := l.snapshot()
	if !st.pend.open() {
		return api.Version{}, &fault.Error{Code: fault.CodeRefused, Reason: "nothing waits to be confirmed", Hint: "`warren show history` lists what has run"}
	}
	if err := l.history.setPending(nil); err != nil {
		return api.Version{}, refusedBy(err)
	}
	l.expiry.Stop()
	st.pend = nil
	l.set(st)
	l.log.Info("configuration confirmed", "version", st.number, "author", by.Name)
	v, _ := l.history.find(st.number)
	return st.row(v), nil
}

// expire goes back to the version before one that was not confirmed in time, as
// far as it can.
func (l *lifecycle) expire(ctx context.Context) error {
	select {
	case <-l.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	l.hold("a rollback of what was not confirmed", warrend)
	defer l.release()
	st := l.snapshot()
	if !st.pend.open() || l.now().Before(st.pend.Deadline) {
		return nil // it was confirmed, or given up, just now
	}
	p := *st.pend
	t, err := l.history.texts(p.Previous)
	if err != nil {
		return err
	}
	before, err := recall(t)
	if err != nil {
		return err
	}
	p.Rejected = true
	note := version{Author: warrend.Name, Origin: "rollback",
		Comment: fmt.Sprintf("rollback to version %d: version %d was not confirmed", p.Previous, p.Version)}
	_, errs, err := l.follow(ctx, before, note, &p)
	for _, e := range errs {
		l.log.Error("context cannot follow", "tenant", e.Context, "reason", e.Error)
	}
	l.log.Warn("configuration rolled back: it was not confirmed", "version", p.Version, "instead", p.Previous)
	return err
}

// row is a version for `show history`.
func (st *state) row(v version) api.Version {
	out := api.Version{Number: v.Number, Time: v.Time, Author: v.Author, UID: v.UID, Origin: v.Origin,
		Comment: v.Comment, Running: v.Number == st.number}
	if st.pend.open() && st.pend.Version == v.Number {
		out.ConfirmBefore = st.pend.Deadline
	}
	return out
}

// History implements api.Configurations.
func (l *lifecycle) History(context.Context) (api.History, error) {
	st := l.snapshot()
	var out api.History
	for _, v := range st.versions {
		out.Versions = append(out.Versions, st.row(v))
	}
	return out, nil
}
