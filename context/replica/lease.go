package replica

import (
	"sync"
	"time"
)

// lease mutes the data plane when the time is over for which a worker without a supervisor
// may serve, also where the loop is late or hangs.
type lease struct {
	mute func()

	mu    sync.Mutex  // protects what follows
	until time.Time   // zero: there is no end
	end   time.Time   // the same by Go's clock
	timer *time.Timer // nil: there was never one
}

// set changes the end of the lease; zero: there is none, and nothing is muted for it once
// set returns.
func (l *lease) set(now, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if until.Equal(l.until) {
		return
	}
	l.until, l.end = until, time.Now().Add(until.Sub(now))
	switch {
	case until.IsZero():
		l.timer.Stop()
	case l.timer == nil:
		l.timer = time.AfterFunc(until.Sub(now), l.over)
	default:
		l.timer.Reset(until.Sub(now))
	}
}

// over is called by the timer, which may have been reset meanwhile.
func (l *lease) over() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.until.IsZero() && !time.Now().Before(l.end) {
		l.mute()
	}
}
