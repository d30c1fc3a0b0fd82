package ike

import (
	"fmt"
	"slices"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
)

// Replay applies one record of a journal silently: after a restart, and
// continuously on a standby. Records about SAs that are not there are passed
// over: a journal that begins with a snapshot may repeat what went before.
//
// An error says that r cannot be applied. The SA that it is about is forgotten
// then, and what else is recorded of it is passed over; all others are as they
// were.
func (e *Engine) Replay(now time.Time, r exchange.Record) error {
	e.clearBuried(now)
	defer e.reindex(now)
	var silent exchange.Output
	err := e.guard(now, &silent, func() error { return e.replay(now, r) })
	if s := e.sas[r.SPI]; err != nil && s != nil {
		s.Drop(now)
		e.touch(s)
	}
	return err
}

// replay does what Replay says, but for errors.
func (e *Engine) replay(now time.Time, r exchange.Record) error {
	s := e.sas[r.SPI]
	switch {
	case r.Kind == exchange.RecordHalfOpen:
		e.replayHalfOpen(now, r)
	case r.Kind == exchange.RecordIKE:
		e.dropHalfOpen(r.SPI)
		return e.replayIKE(now, r)
	case r.Kind == exchange.RecordIKEDown && s == nil:
		e.dropHalfOpen(r.SPI)
	case s == nil:
		return nil
	case r.Kind == exchange.RecordWindow:
		if err := s.ReplayWindow(r); err != nil {
			return fmt.Errorf("ike: replaying SA %016x: %w", r.SPI, err)
		}
	case r.Kind == exchange.RecordChild:
		s.ReplayChild(now, r)
	case r.Kind == exchange.RecordIKEDown:
		e.touch(s)
		s.Drop(now)
	default:
		return fmt.Errorf("ike: record of unknown kind %d", r.Kind)
	}
	return nil
}

// replayHalfOpen keeps a handshake until Activate, or until it is over.
func (e *Engine) replayHalfOpen(now time.Time, r exchange.Record) {
	e.dropHalfOpen(r.SPI)
	for len(e.handshakes) > 0 && now.After(e.handshakes[0].Until) {
		e.dropHalfOpen(e.handshakes[0].SPI)
	}
	if now.Before(r.Until) {
		e.handshakes = append(e.handshakes, r)
	}
}

// dropHalfOpen forgets a handshake that has come to its end.
func (e *Engine) dropHalfOpen(spi uint64) {
	e.handshakes = slices.DeleteFunc(e.handshakes, func(r exchange.Record) bool {
		if r.SPI == spi {
			r.Clear()
		}
		return r.SPI == spi
	})
}

// restoreHalfOpen goes on with the handshakes that Replay brought. One that
// cannot be continued is the initiator's to begin anew.
func (e *Engine) restoreHalfOpen(now time.Time) {
	for _, r := range e.handshakes {
		if e.sas[r.SPI] == nil && now.Before(r.Until) && e.halfOpen.count() < e.cfg.MaxHalfOpen {
			if s, err := e.v2.RestoreHalfOpen(now, r); err == nil {
				e.add(s)
				e.reindex(now)
			}
		}
		r.Clear()
	}
	e.handshakes = nil
}

// replayIKE makes an SA anew. It keeps the children of the one that it follows,
// or of itself.
func (e *Engine) replayIKE(now time.Time, r exchange.Record) error {
	n, err := e.v2.Restore(r)
	if err != nil {
		return fmt.Errorf("ike: replaying SA %016x: %w", r.SPI, err)
	}
	for _, spi := range []uint64{r.SPI, r.Replaces} {
		if old := e.sas[spi]; old != nil {
			n.Inherit(old)
			e.succeed(old, n)
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
func (e *Engine) Activate(now time.Time, out *exchange.Output) {
	if e.active {
		return
	}
	e.clearBuried(now)
	e.active = true
	for _, s := range e.inOrder() {
		e.touch(s)
		_ = e.guard(now, out, func() error { e.activateSA(now, s, out); return nil })
		e.reindex(now)
	}
	_ = e.guard(now, out, func() error { e.restoreHalfOpen(now); return nil })
	e.planAttempts(now)
	e.Expire(now, out)
}

// activateSA starts the timers of one SA.
func (e *Engine) activateSA(now time.Time, s exchange.SA, out *exchange.Output) {
	s.Activate(now, out)
	e.restoreAttempt(s)
}

// restoreAttempt notes that an SA which Replay brought is the one of an entry.
func (e *Engine) restoreAttempt(s exchange.SA) {
	if _, ok := e.cfg.Static(s.Entry()); ok && s.Dialled() && s.Phase() == exchange.PhaseEstablished {
		e.attempts[s.Entry()] = &attempt{sa: s}
	}
}

// Snapshot yields the records that bring an empty Engine to the state of this
// one: one RecordIKE for every established IKE SA, each followed by its
// children. It stops when yield returns false.
func (e *Engine) Snapshot(yield func(exchange.Record) bool) {
	for _, s := range e.inOrder() {
		if !s.Snapshot(yield) {
			return
		}
	}
	for _, r := range e.handshakes {
		if !yield(r) {
			return
		}
	}
}
