package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/plan"
)

// Take makes a configuration of the other unit this one's: wholly or, on any error, not at
// all. What is this unit's own in the system file stays. The other unit has proved that it is
// the peer; where its files may be written misplaced says.
func (l *Lifecycle) Take(ctx context.Context, change JointChange) (Synced, error) {
	by := Author{Name: "peer/" + change.Author}
	if err := l.lock("a change of the other unit", by); err != nil {
		return Synced{}, err
	}
	defer l.unlock()
	st := l.snapshot()
	if change.Origin != "rollback" && (change.Check || change.Confirm > 0) {
		if err := decided(st.pend); err != nil {
			return Synced{}, err
		}
	}
	if change.Origin == originMend && l.history.local() {
		return Synced{}, &fault.Error{Code: fault.CodeRefused, Reason: "it has a configuration of its own (--local)",
			Hint: "`warren apply` on the active unit, or `warren failover sync-config` there, makes them the same"}
	}
	o, err := l.offered(ctx, st, &change)
	if err != nil {
		return Synced{}, err
	}
	c := l.changeTo(o.next, st)
	out := Synced{Warnings: o.next.news(st.running), Version: st.number, Steps: plan.Explain(c.Steps, st.running.texts,
		o.next.texts)}
	if errs := c.problems(); len(errs) > 0 {
		return out, refusedBefore(errs)
	}
	if change.Check {
		return out, nil
	}
	var todo []rewrite
	if change.Write {
		todo = l.different(o.write)
	}
	for _, one := range todo {
		out.Files = append(out.Files, one.at.String())
	}
	slices.Sort(out.Files)
	var release func()
	if l.cfg.Other != nil {
		release = l.cfg.Other.Tolerate(st.running.conf, o.next.conf)
	}
	note := version{Author: by.Name, Origin: change.Origin, Comment: change.Comment}
	done, err := l.commit(ctx, o.next, note, o.rejected, trial{change.Confirm, true})
	if err == nil {
		now := l.snapshot()
		if err = l.writeAll(ctx, todo, &now); err != nil {
			if backErr := l.goBack(ctx, st, "a change of the other unit was given up"); backErr != nil {
				l.log.Error("change not wholly undone", "reason", backErr)
			}
		}
	}
	switch {
	case release == nil:
	case err == nil && l.snapshot().pend.open():
		l.tolerate(release)
	default:
		release()
	}
	if err != nil {
		return out, err
	}
	l.history.setLocal(false, l.log)
	for _, w := range o.from.keepCopies(nil) {
		l.log.Warn("configuration warning", "text", w)
	}
	out.Version = done.Version
	l.log.Info("configuration taken from the peer", "version", done.Version, "steps", len(c.Steps), "count", len(todo))
	return out, nil
}

// goBack runs again what ran before a change that cannot be finished, with the disks of the
// contexts that the change had removed. It returns what is not as it was.
func (l *Lifecycle) goBack(ctx context.Context, before state, why string) error {
	note := version{Author: warrend.Name, Origin: "rollback", Comment: why}
	again := *before.running
	again.earlier = true
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	_, errs, err := l.reconcile(ctx, &again, note, before.pend)
	for _, e := range errs {
		err = errors.Join(err, fmt.Errorf("context %q cannot follow: %s", e.Context, e.Error))
	}
	return err
}

// refusedBefore is the refusal of a change against which something stands.
func refusedBefore(errs []fault.ContextError) error {
	f := &failed{errs}
	e := &fault.Error{Code: fault.CodeRefused, Reason: "nothing was changed: " + f.Error(),
		Hint: "see to it on that unit"}
	for _, one := range errs {
		e.Detail += fmt.Sprintf("context %q: %s\n", one.Context, one.Error)
	}
	return e
}

// offer is what the other unit's configuration is on this one.
type offer struct {
	next     *loaded
	write    map[configs.Location][]byte // the files that say so
	from     *source
	rejected *pending // as in commit
}

// offered reads what the other unit's configuration is on this unit.
func (l *Lifecycle) offered(ctx context.Context, st state, change *JointChange) (*offer, error) {
	system := configs.Location{Scheme: configs.SchemeFile, Path: l.path}
	own, err := configs.WithCommon(st.running.texts.Body(system), change.System)
	if err != nil {
		return nil, &fault.Error{Code: fault.CodeRefused, Reason: "nothing was changed: " + oneLine(err),
			Hint: "mend the system file of that unit"}
	}
	files := map[configs.Location][]byte{system: own}
	places := configs.ConfigPlaces(&overlay{source: &source{Checker: l.cfg.Check}, files: files}, l.path)
	for _, f := range change.Files {
		config, ok := places[f.Context]
		if !ok {
			return nil, &fault.Error{Code: fault.CodeInvalid,
				Reason: fmt.Sprintf("context %q has files, and is not in the system file", f.Context)}
		}
		at, err := placeOf(st.running.conf, configs.Tenant{Name: f.Context, Config: config}, f)
		if err != nil {
			return nil, &fault.Error{Code: fault.CodeRefused, Reason: "nothing was changed: " + err.Error(),
				Hint: "copy the file to that unit by hand, if it belongs there"}
		}
		files[at] = f.Content
	}
	o := &offer{write: files}
	from := &overlay{source: &source{Checker: l.cfg.Check}, files: files, left: change.Left}
	o.from = fetchFor(ctx, from, l.path, l.cfg.Check, files)
	from.source = o.from
	if o.next, _, err = read(from, l.path); err != nil {
		return nil, err
	}
	o.next.warnings = append(o.from.copies(nil), o.next.warnings...)
	if err := l.fixed(st.running.conf, o.next.conf); err != nil {
		return nil, err
	}
	err = permit(files, func(at configs.Location) string {
		if at == system {
			return ""
		}
		return l.misplaced(at, st.running, o.next)
	})
	if err != nil {
		return nil, err
	}
	if change.Origin == "rollback" {
		o.rejected = st.pend.rejected()
	}
	// What the file says beside what runs, of this unit's own, stays there.
	if now, err := l.stored.ReadFile(system); err == nil {
		if merged, err := configs.WithCommon(now, change.System); err == nil {
			o.write[system] = merged
		}
	}
	return o, nil
}

// misplaced says why the other unit may not write a file with a configuration that both are
// to have; "": it may. It may write what a context is configured with: a file that the
// running configuration reads for one already, one on a disk, or one below the directory of
// a context's configuration or of the system file; and nothing that the system itself reads.
func (l *Lifecycle) misplaced(at configs.Location, running, next *loaded) string {
	is, named := next.texts.Find(at)
	was, known := running.texts.Find(at)
	switch {
	case !named:
		return "the new configuration does not read it"
	case len(is.Contexts) == 0, known && len(was.Contexts) == 0:
		return "the system itself reads it"
	case known, at.Scheme == configs.SchemeDisk, at.Scheme == configs.SchemeHTTPS: // a copy in state_dir
		return ""
	}
	real := realPath(at.Path)
	for _, t := range running.texts.List {
		if t.At.Scheme == configs.SchemeFile && realPath(t.At.Path) == real {
			return fmt.Sprintf("it is another name of %s", t.At.Path)
		}
	}
	dirs := []string{filepath.Dir(l.path)}
	for _, c := range running.conf.Contexts {
		if c.Config.Scheme == configs.SchemeFile {
			dirs = append(dirs, filepath.Dir(c.Config.Path))
		}
	}
	for _, dir := range dirs {
		if real != "" && strings.HasPrefix(real, realPath(dir)+"/") {
			return l.occupied(real)
		}
	}
	return "it is not below the directory of a context's configuration or of the system file"
}

// occupied says why a new file cannot be written where something is already; "": nothing is,
// or a file that a configuration could be.
func (l *Lifecycle) occupied(real string) string {
	info, err := os.Lstat(real)
	switch {
	case err != nil && errors.Is(err, os.ErrNotExist), err == nil && info.Mode().IsRegular():
		return ""
	case err != nil:
		return bare(err).Error()
	}
	return "it is no regular file"
}

// Settle says what becomes of a change that was taken from the other unit.
func (l *Lifecycle) Settle(ctx context.Context, what Settlement) error {
	if err := l.lock("a change of the other unit", Author{Name: "peer"}); err != nil {
		return err
	}
	defer l.unlock()
	st := l.snapshot()
	if what.What == SettleWrite {
		_, err := l.writeMemory(ctx, Author{Name: "peer"})
		return err
	}
	if !st.pend.open() {
		return nil
	}
	switch what.What {
	case SettleConfirm:
		if err := l.confirmed(st); err != nil {
			return err
		}
		l.log.Info("configuration confirmed", "version", st.number, "author", "peer")
		return nil
	case SettleAwait:
		return l.await(st, time.Duration(what.Confirm)*time.Second)
	case SettleUndo:
		return l.undoTaken(ctx, st)
	case SettleWrite:
	}
	return &fault.Error{Code: fault.CodeInvalid, Reason: fmt.Sprintf("a change cannot be settled by %q", what.What)}
}

// await lets what waits go on waiting for an operator alone, who has this long from now on.
func (l *Lifecycle) await(st state, wait time.Duration) error {
	p := *st.pend
	p.Deadline, p.Given, p.Confirm = l.cfg.Now().Add(wait), false, 0
	if err := l.history.setPending(&p); err != nil {
		return refusedBy(err)
	}
	l.expiry.Reset(wait)
	st.pend = &p
	l.setState(st)
	return nil
}

// undoTaken goes back to what ran before a change of the other unit, and lets the files say
// so again.
func (l *Lifecycle) undoTaken(ctx context.Context, st state) error {
	p := *st.pend
	t, err := l.history.texts(p.Previous)
	if err != nil {
		return err
	}
	before, err := recall(t, l.cfg.Check)
	if err == nil {
		err = l.fixed(st.running.conf, before.conf)
	}
	if err != nil {
		return err
	}
	note := version{Author: warrend.Name, Origin: "rollback",
		Comment: fmt.Sprintf("rollback to version %d: the other unit could not run version %d", p.Previous, p.Version)}
	after := p.Rejection.withPrevious(p.Previous)
	_, errs, err := l.reconcile(ctx, before, note, after)
	for _, e := range errs {
		l.log.Error("context cannot follow", "tenant", e.Context, "reason", e.Error)
	}
	if err != nil {
		return err // it waits still, and goes when its time is up
	}
	l.expiry.Stop()
	if v, _ := l.history.find(p.Version); v.Origin == "rollback" {
		return nil // which has changed no file
	}
	_, err = l.writeMemory(ctx, warrend)
	return err
}
