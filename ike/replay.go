package ike

import (
	"fmt"
	"time"

	"github.com/warrenvpn/warren/ike/ikev2"
)

// Replay applies one record of a journal silently: after a restart, and
// continuously on a standby. Records about SAs that are not there are passed
// over: a journal that begins with a snapshot may repeat what went before.
func (e *Engine) Replay(now time.Time, r Record) error {
	e.begin(now)
	defer e.settle(now)
	s := e.sas[r.SPI]
	switch {
	case r.Kind == RecordIKE:
		return e.replayIKE(now, r)
	case s == nil:
		return nil
	case r.Kind == RecordWindow:
		if err := s.ReplayWindow(r); err != nil {
			return fmt.Errorf("ike: replaying SA %016x: %w", r.SPI, err)
		}
	case r.Kind == RecordChild:
		s.ReplayChild(now, r)
	case r.Kind == RecordIKEDown:
		e.touch(s)
		s.Drop(now)
	default:
		return fmt.Errorf("ike: record of unknown kind %d", r.Kind)
	}
	return nil
}

// replayIKE makes an SA anew. It keeps the children of the one that it follows,
// or of itself.
func (e *Engine) replayIKE(now time.Time, r Record) error {
	n, err := ikev2.Restore(host{e}, r)
	if err != nil {
		return fmt.Errorf("ike: replaying SA %016x: %w", r.SPI, err)
	}
	for _, spi := range []uint64{r.SPI, r.Replaces} {
		if old := e.sas[spi]; old != nil {
			n.Inherit(old)
			e.follow(old, n)
			if spi == r.SPI {
				old.Drop(now)
				e.touch(old)
			}
		}
	}
	e.add(n)
	return nil
}

// Activate starts the timers of all that Replay brought: liveness, lifetimes,
// keepalives, retransmissions, entries to initiate. Deadlines are spread so
// that many SAs cause no storm. No IV is used again, if SetEpoch was called: see
// ikev2's window.go.
func (e *Engine) Activate(now time.Time, out *Output) {
	if e.active {
		return
	}
	e.begin(now)
	e.active = true
	for _, s := range e.inOrder() {
		s.Activate(now)
		if s.Spent() {
			s.End(now, "the initialisation vectors of its keys are used up", out)
		}
		e.restoreAttempt(s)
		e.touch(s)
		e.settle(now)
	}
	e.planAttempts(now)
	e.Expire(now, out)
}

// restoreAttempt notes that an SA which Replay brought is the one of an entry.
func (e *Engine) restoreAttempt(s *ikev2.SA) {
	if _, ok := e.rules.Entry(s.Entry()); ok && s.Dialled() && s.State() == ikev2.Established {
		e.attempts[s.Entry()] = &attempt{sa: s}
	}
}

// Snapshot yields the records that bring an empty Engine to the state of this
// one: one RecordIKE for every established IKE SA, each followed by its
// children. It stops when yield returns false.
func (e *Engine) Snapshot(yield func(Record) bool) {
	for _, s := range e.inOrder() {
		if !s.Snapshot(yield) {
			return
		}
	}
}
