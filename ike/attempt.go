package ike

import (
	"slices"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
)

// The pause before an entry is tried again: firstPause, doubled after every
// attempt that failed up to lastPause, with a random part of a quarter.
const (
	firstPause = time.Second
	lastPause  = time.Minute
)

// attempt is what the engine does about one static entry that we connect.
type attempt struct {
	sa       exchange.SA // while it is up or coming up
	next     time.Time   // when it is tried again; zero: it is up, coming up, or not wanted
	failures int
}

// initiate brings up an entry, if it is not up.
func (e *Engine) initiate(now time.Time, name string, out *exchange.Output) error {
	if e.connected(name) {
		return nil
	}
	s, err := e.v2.Dial(now, name, out)
	if err != nil {
		return err
	}
	a := e.attempts[name]
	if a == nil {
		a = &attempt{}
		e.attempts[name] = a
	}
	a.sa, a.next = s, time.Time{}
	e.add(s)
	return nil
}

// connected reports whether an SA for the entry is up or coming up.
func (e *Engine) connected(name string) bool {
	a := e.attempts[name]
	return a != nil && a.sa != nil
}

// planAttempts schedules every entry with Initiate that is not connected.
func (e *Engine) planAttempts(now time.Time) {
	for _, x := range e.cfg.Entries {
		if !x.Initiate || e.connected(x.Name) {
			continue
		}
		if a := e.attempts[x.Name]; a == nil || a.next.IsZero() {
			e.attempts[x.Name] = &attempt{next: now}
		}
	}
}

// expireAttempts starts what is due.
func (e *Engine) expireAttempts(now time.Time, out *exchange.Output) {
	var names []string
	for name, a := range e.attempts {
		if !a.next.IsZero() && !now.Before(a.next) {
			names = append(names, name)
		}
	}
	slices.Sort(names) // a run repeats
	for _, name := range names {
		if err := e.initiate(now, name, out); err != nil {
			delete(e.attempts, name)
		}
	}
}

// resolveCollision leaves one SA for an entry that both ends connect: the one with the lower
// SPI of its initiator, which both ends know. The other is deleted by the end that
// has dialled it. While an SA stands that the peer has dialled, we do not.
func (e *Engine) resolveCollision(now time.Time, s exchange.SA) {
	x, ok := e.cfg.Static(s.Entry())
	if !ok || !x.Initiate || s.Phase() != exchange.PhaseEstablished {
		return
	}
	a := e.attempts[s.Entry()]
	if a == nil {
		a = &attempt{}
		e.attempts[s.Entry()] = a
	}
	if a.sa == nil {
		a.sa, a.next = s, time.Time{}
	}
	for _, o := range e.peers.others(s) {
		if o.Entry() != s.Entry() || o.Phase() != exchange.PhaseEstablished {
			continue
		}
		if o.Dialled() == s.Dialled() {
			if s.Dialled() && a.sa == s {
				o.Retire(now, "connected anew, because the peer refuses to rekey")
				e.timers.set(o, o.Deadline())
			}
			continue
		}
		later := s
		if o.InitiatorSPI() > s.InitiatorSPI() {
			later = o
		}
		if later.Dialled() {
			later.Retire(now, "both ends have connected")
			e.timers.set(later, later.Deadline())
		}
	}
}

// Renew implements exchange.Host.
func (h host) Renew(now time.Time, s exchange.SA, out *exchange.Output) {
	name := s.Entry()
	a := h.attempts[name]
	if x, ok := h.cfg.Static(name); !ok || x.RequestAddress || a == nil || a.sa != s || !s.Dialled() {
		return
	}
	if n, err := h.v2.Dial(now, name, out); err == nil {
		a.sa = n
		h.add(n)
	}
}

// ended plans the next attempt after an SA of ours has died, unless another one
// stands for the entry.
func (e *Engine) ended(now time.Time, s exchange.SA) {
	name := s.Entry()
	a := e.attempts[name]
	if a == nil || a.sa != s {
		return
	}
	a.sa = nil
	for _, o := range e.sas {
		if o.Entry() == name && o.Phase() == exchange.PhaseEstablished {
			a.sa, a.failures = o, 0
			return
		}
	}
	x, ok := e.cfg.Static(name)
	if !ok || !x.Initiate {
		delete(e.attempts, name)
		return
	}
	if s.Served() {
		a.failures = 0
	}
	pause := min(firstPause<<min(a.failures, 10), lastPause)
	b := host{e}.random(1)
	pause += time.Duration(int(b[0])) * pause / 1024
	a.failures++
	a.next = now.Add(pause)
}

// succeed notes that n is the SA of an entry in the place of old.
func (e *Engine) succeed(old, n exchange.SA) {
	if a := e.attempts[old.Entry()]; a != nil && a.sa == old {
		a.sa = n
	}
}
