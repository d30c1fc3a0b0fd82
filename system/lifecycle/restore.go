package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/system/events"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/plan"
	"github.com/warrenvpn/warren/system/texts"
)

// Saved is what a backup has of the configuration. It holds secrets.
type Saved struct {
	Path    string // of the system file
	Number  int    // of the version that runs
	Running []byte // its texts.Set, as JSON
	History []string
}

// Saved returns it. History are the files of all versions that are kept; one may go while
// it is read.
func (l *Lifecycle) Saved() (Saved, error) {
	st := l.snapshot()
	running, err := json.Marshal(st.running.texts)
	if err != nil {
		return Saved{}, fmt.Errorf("system: encoding the configuration: %w", err)
	}
	out := Saved{Path: l.path, Number: st.number, Running: running}
	for _, v := range st.versions {
		out.History = append(out.History, l.history.path(v.Number))
	}
	return out, nil
}

// Restore is an Apply of a configuration from a backup.
type Restore struct {
	Texts   *texts.Set
	Running int // the version that is to run before; another one is refused
	Confirm int // seconds, as in Apply
	Comment string
	Local   bool
	// Files, which may be nil, writes what else the backup has, once the configuration runs.
	// Where it fails the configuration goes back, on both units of a pair. It may block for
	// an hour; its ctx ends then.
	Files func(ctx context.Context) error
}

// Restored is what a restore has done.
type Restored struct {
	Applied
	Written Written
	// Unwritten is why the startup configuration does not say what runs; nil: it does, or
	// what runs waits to be confirmed.
	Unwritten error
}

// filesTimeout bounds Restore.Files. The other unit of a pair waits so much longer to hear
// what becomes of the change.
const filesTimeout = time.Hour

// PlanRestore says what Restore would do, and changes nothing. running is what it is to be
// called with.
func (l *Lifecycle) PlanRestore(t *texts.Set) (p Plan, running int, err error) {
	st := l.snapshot()
	next, err := l.restored(t, st)
	if err != nil {
		return Plan{}, 0, err
	}
	c := l.changeTo(next, st)
	return Plan{Steps: plan.Explain(c.Steps, st.running.texts, next.texts), Warnings: next.warnings,
		Problems: c.problems()}, st.number, nil
}

// Restore makes the configuration of a backup the running one, as Apply does, has its files
// written, and makes it the startup configuration unless it waits to be confirmed. All of
// it is one change: no other one comes in between.
func (l *Lifecycle) Restore(ctx context.Context, by Author, how Restore) (Restored, error) {
	if err := l.lock("a restore", by); err != nil {
		return Restored{}, err
	}
	defer l.unlock()
	st := l.snapshot()
	if err := decided(st.pend); err != nil {
		return Restored{}, err
	}
	if how.Running != st.number {
		return Restored{}, &fault.Error{Code: fault.CodeRefused,
			Reason: fmt.Sprintf("version %d runs and not %d, which the restore was planned for: nothing was changed",
				st.number, how.Running),
			Hint: "plan it again"}
	}
	next, err := l.restored(how.Texts, st)
	if err != nil {
		return Restored{}, err
	}
	both := joint{by: by, origin: "restore", comment: how.Comment, next: next, local: how.Local, write: true,
		confirm: how.Confirm, then: how.Files}
	var out Restored
	if out.Applied, err = l.commitJointly(ctx, both, nil); err != nil || how.Confirm > 0 {
		return out, err
	}
	out.Written, out.Unwritten = l.writeMemoryOnBoth(ctx, by)
	return out, nil
}

// complete does what belongs to a change that runs, or goes back to what ran before.
func (l *Lifecycle) complete(ctx context.Context, both *joint, before state, done *Applied) error {
	limited, cancel := context.WithTimeout(ctx, filesTimeout)
	defer cancel()
	if err := both.then(limited); err != nil {
		l.expiry.Stop()
		err = errors.Join(err, l.goBack(ctx, before, "the restore failed"))
		l.tell(&events.ConfigurationRefused{Reason: oneLine(err)})
		return &fault.Error{Code: fault.CodeRefused, Reason: "nothing was restored: " + oneLine(err),
			Hint: "see to the disk or its limits, then try again"}
	}
	if st := l.snapshot(); both.confirm > 0 && st.pend.open() {
		if err := l.await(st, time.Duration(both.confirm)*time.Second); err != nil {
			l.log.Error("configuration not noted", "reason", err)
			return nil
		}
		done.ConfirmBefore = l.snapshot().pend.Deadline
	}
	return nil
}

// restored reads the configuration of a backup, of which nothing is trusted.
func (l *Lifecycle) restored(t *texts.Set, st state) (*loaded, error) {
	if t.Path != l.path {
		return nil, &fault.Error{Code: fault.CodeRefused,
			Reason: fmt.Sprintf("the backup is one of %s, and warrend runs %s: nothing was changed", t.Path, l.path),
			Hint:   "start warrend with that file"}
	}
	next, err := recall(t, l.cfg.Check)
	if err == nil {
		err = l.fixed(st.running.conf, next.conf)
	}
	if err == nil {
		err = l.outside(next, st.running)
	}
	if err != nil {
		var e *fault.Error
		if errors.As(err, &e) && e.Code == fault.CodeRefused {
			return nil, e
		}
		return nil, err
	}
	next.earlier = false // its disks are those of the backup
	return next, nil
}

// outside refuses a configuration that is made from files elsewhere than beside the system
// file, also by way of a symbolic link: `write memory` would write them.
func (l *Lifecycle) outside(next, running *loaded) error {
	dir := realPath(filepath.Dir(l.path)) + "/"
	var wrong []string
	for _, one := range next.texts.List {
		_, known := running.texts.Find(one.At)
		if one.At.Scheme == configs.SchemeFile && !known && !strings.HasPrefix(realPath(one.At.Path), dir) {
			wrong = append(wrong, one.At.String())
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	return &fault.Error{Code: fault.CodeRefused,
		Reason: fmt.Sprintf("the backup has files that are not beside %s, so nothing was changed", l.path),
		Detail: strings.Join(wrong, "\n") + "\n",
		Hint:   "put them there by hand and name them in the configuration that runs, if they belong there"}
}
