package lifecycle

import (
	"context"
	"errors"

	"github.com/warrenvpn/warren/system/fault"
)

// Share gives this unit's configuration to the other one, whatever that runs: all that the two
// have in common, as Mend does, but also where they were to differ (--local). The other unit
// runs it wholly or, on any error, not at all. It is refused where nothing is active on this
// unit. IsOlder tells of the error of a program that takes files alone (GiveFiles).
func (l *Lifecycle) Share(ctx context.Context, by Author) (Synced, error) {
	if err := l.lock("a copy to the other unit", by); err != nil {
		return Synced{}, err
	}
	defer l.unlock()
	st := l.snapshot()
	if err := decided(st.pend); err != nil {
		return Synced{}, err
	}
	if !l.serves(st.running.conf) {
		return Synced{}, nothingActive()
	}
	change, err := commonOf(st.running)
	if err != nil {
		return Synced{}, refusedBy(err)
	}
	change.Author, change.Origin, change.Write = by.Name, originShare, true
	done, err := l.takeThere(ctx, change)
	var refused *fault.Error
	switch {
	case err == nil:
		l.history.setLocal(false, l.log)
	case !IsOlder(err) && errors.As(err, &refused):
		e := *refused
		e.Reason = "the peer refuses: " + e.Reason
		return done, &e
	}
	return done, err
}

// originShare is the origin of a version that the other unit was given with Share.
const originShare = "sync-config"

// nothingActive refuses to give away what a standby unit has.
func nothingActive() error {
	return &fault.Error{Code: fault.CodeRefused,
		Reason: "no context is active on this unit: there is nothing to copy from here",
		Hint:   "run it on the active unit"}
}
