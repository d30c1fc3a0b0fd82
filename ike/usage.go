package ike

import "time"

// Usage is what strangers make an Engine do, since New: half-open SAs of
// responders, and the requests for new ones.
type Usage struct {
	HalfOpen, HalfOpenPeak int
	// Begun are the requests that were taken up; Busy the half-open SAs that gave
	// way because there were too many, of all or of one source, and the requests
	// for which none could; and Paced the requests dropped because too many had
	// begun within a second.
	Begun, Busy, Paced uint64
	// Deferred are the CREATE_CHILD_SA requests of peers that ask for too many.
	Deferred uint64
	// Garbled are the messages for standing SAs that failed the integrity check.
	Garbled uint64
	// Faults are the calls that met an internal error: see Isolate.
	Faults uint64
	// OldVersion are requests for an SA of IKEv1, which is not spoken.
	OldVersion uint64
}

// Usage returns the counters.
func (e *Engine) Usage() Usage {
	u := e.usage
	u.HalfOpen = e.halfOpen.count()
	return u
}

// pace sets the rate of set-ups: what is saved up is that of a second.
func (e *Engine) pace() {
	e.setups.SetRate(e.cfg.SetupRate, max(1, e.cfg.SetupRate))
}

// pressed reports whether a stranger has to prove with a cookie that he is
// where he says: everybody has to, half-open SAs are many, or half of the set-ups of
// this second are gone. Otherwise one who forges addresses could use them all up.
func (e *Engine) pressed(now time.Time) bool {
	wait, _ := e.setups.Wait(now, e.setups.Burst/2)
	return e.cfg.AlwaysCookie || e.halfOpen.count() >= min(e.cfg.CookieThreshold, e.cfg.MaxHalfOpen) || wait > 0
}
