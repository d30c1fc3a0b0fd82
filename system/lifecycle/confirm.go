package lifecycle

import (
	"context"
	"fmt"
	"time"

	"github.com/warrenvpn/warren/system/events"
	"github.com/warrenvpn/warren/system/fault"
)

// Confirm keeps what an Apply or Rollback with Confirm has made, also after the deadline
// where Expire could not go back. The other unit of a pair keeps it, too.
func (l *Lifecycle) Confirm(ctx context.Context, by Author) (Version, error) {
	if err := l.lock("a confirmation", by); err != nil {
		return Version{}, err
	}
	defer l.unlock()
	st := l.snapshot()
	if !st.pend.open() && (st.pend == nil || st.pend.Kept == "") {
		return Version{}, &fault.Error{Code: fault.CodeRefused, Reason: "nothing waits to be confirmed",
			Hint: "`warren show history` lists what has run"}
	}
	if err := l.confirmed(st); err != nil {
		return Version{}, err
	}
	l.tell(&events.ConfigurationConfirmed{Version: uint64(st.number), Author: by.Name})
	l.alsoThere(ctx, Settlement{What: SettleConfirm})
	v, _ := l.history.find(st.number)
	return st.row(v), nil
}

// confirmed keeps what waits.
func (l *Lifecycle) confirmed(st state) error {
	after := st.pend.Rejection.answered(st.number)
	if err := l.history.setPending(after); err != nil {
		return refusedBy(err)
	}
	l.expiry.Stop()
	st.pend = after
	l.setState(st)
	return nil
}

// Overdue fires when a version was not confirmed in time: then Expire is to be called.
func (l *Lifecycle) Overdue() <-chan time.Time { return l.expiry.C }

// expireAgain is when a rollback is tried again that has failed, as on a disk that is full.
const expireAgain = time.Minute

// Expire goes back to the version before one that was not confirmed in time, as far as
// it can. After an error it is Overdue again. Where that one cannot run at the moment,
// what runs goes on, and Problems says so.
func (l *Lifecycle) Expire(ctx context.Context) error {
	select {
	case <-l.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	l.noteHolder("a rollback of what was not confirmed", warrend)
	defer l.unlock()
	st := l.snapshot()
	if !st.pend.open() {
		return nil // it was confirmed, or given up, just now
	}
	if early := st.pend.Deadline.Sub(l.cfg.Now()); early > 0 { // or the clock was set back
		l.expiry.Reset(early)
		return nil
	}
	err := l.expire(ctx, st)
	if now := l.snapshot(); err != nil && now.pend.open() {
		l.expiry.Reset(expireAgain)
	}
	return err
}

// expire is Expire for the holder of the token.
func (l *Lifecycle) expire(ctx context.Context, st state) error {
	p := *st.pend
	t, err := l.history.texts(p.Previous)
	if err != nil {
		return err
	}
	before, err := recall(t, l.cfg.Check)
	if err != nil {
		return err
	}
	if err := l.fixed(st.running.conf, before.conf); err != nil {
		return l.keep(st, oneLine(err))
	}
	p.Rejected = true
	after := &p
	if p.Rejection != nil { // it is as it was before the rollback
		after = p.Rejection.withPrevious(p.Previous)
	}
	note := version{Author: warrend.Name, Origin: "rollback",
		Comment: fmt.Sprintf("rollback to version %d: version %d was not confirmed", p.Previous, p.Version)}
	_, errs, err := l.reconcile(ctx, before, note, after)
	for _, e := range errs {
		l.log.Error("context cannot follow", "tenant", e.Context, "reason", e.Error)
	}
	if err == nil {
		l.tell(&events.ConfigurationRolledBack{Version: uint64(p.Version), Instead: uint64(p.Previous)})
	}
	return err
}

// keep lets a version go on that was not confirmed in time, because of what stands
// against the one before it.
func (l *Lifecycle) keep(st state, reason string) error {
	p := *st.pend
	p.Kept = reason
	l.tell(&events.ConfigurationStuck{Version: uint64(p.Version), Instead: uint64(p.Previous), Reason: reason})
	st.pend = &p
	l.setState(st)
	return l.history.setPending(&p)
}

// row is a version for `show history`.
func (st *state) row(v version) Version {
	out := Version{Number: v.Number, Time: v.Time, Author: v.Author, UID: v.UID, Origin: v.Origin,
		Comment: v.Comment, Running: v.Number == st.number}
	if st.pend.open() && st.pend.Version == v.Number {
		out.ConfirmBefore = st.pend.Deadline
	}
	return out
}

// History lists the versions that are kept, oldest first.
func (l *Lifecycle) History() []Version {
	st := l.snapshot()
	var out []Version
	for _, v := range st.versions {
		out = append(out, st.row(v))
	}
	return out
}
