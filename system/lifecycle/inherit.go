package lifecycle

import (
	"context"
	"slices"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/system/events"
)

// inherit decides what becomes of a version that the other unit has given to this one and
// left undecided, as it has died: where this unit is active now, nobody else will. It stays:
// an operator may have been told that it was applied, and this unit runs it. One that an
// operator is to confirm waits for that alone, as long as it was to wait.
//
// While the other unit is heard, and may be in the midst of its change, it is asked first: it
// takes no other change meanwhile. One that refuses the version leaves it waiting.
func (l *Lifecycle) inherit(ctx context.Context, place Place) error {
	was := l.snapshot()
	switch {
	case !was.pend.given(), place.Alive && !place.Wins, !place.Alive && !l.serves(was.running.conf):
		return nil
	case place.Alive && !l.agreed(ctx, was.running):
		return nil
	}
	select {
	case <-l.turn:
	default:
		return nil // it is looked again soon
	}
	defer l.unlock()
	l.noteHolder("a decision about a change of the other unit", warrend)
	st := l.snapshot()
	if !st.pend.given() || st.pend.Version != was.pend.Version {
		return nil // it was decided just now
	}
	if wait := st.pend.Confirm; wait > 0 {
		return l.await(st, time.Duration(wait)*time.Second)
	}
	if err := l.confirmed(st); err != nil {
		return err
	}
	l.tell(&events.ConfigurationConfirmed{Version: uint64(st.number), Author: warrend.Name})
	return nil
}

// given tells whether a version waits for the other unit to say what becomes of it.
func (p *pending) given() bool { return p.open() && p.Given }

// serves tells whether anything is active on this unit.
func (l *Lifecycle) serves(conf *configs.System) bool {
	return slices.ContainsFunc(conf.Contexts, func(c configs.Tenant) bool { return l.active(c.FailoverGroup) })
}

// agreed tells whether the other unit would take a configuration, and so is in the midst of
// no change.
func (l *Lifecycle) agreed(ctx context.Context, is *loaded) bool {
	change, err := mending(is)
	if err != nil {
		return false
	}
	change.Check = true
	_, err = l.takeThere(ctx, change)
	if err != nil {
		l.log.Debug("configuration waits for the peer, which does not take it now", "reason", err)
	}
	return err == nil
}
