// Package pool leases addresses from named ranges. A lease costs the same in a
// range of ten addresses and in a /8: addresses are counted up from its start,
// and those that come back wait in a queue. A client that comes back gets the
// address it had before while nobody else has it; others get one that was
// never used, or the one that has been free for the longest time. A lease is held
// by an identity and a session, so that a client which logs in again before it
// logs out keeps its address.
//
// Memory grows with the addresses that were ever leased, up to a bound, not
// with the size of the range. The package does no I/O and is not safe for
// concurrent use.
package pool

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/warrenvpn/warren/context/spec"
)

// Family is an address family.
type Family uint8

// The families.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// Errors that callers tell apart.
var (
	ErrExhausted = errors.New("pool: every address is leased")
	ErrNoPool    = errors.New("pool: no pool of this family")
	ErrTaken     = errors.New("pool: address is leased to somebody else")
	ErrOutside   = errors.New("pool: address is in no pool")
)

// Set is all pools of one tenant.
type Set struct {
	pools []*pool // those of dedicated addresses in front
	clock clock
}

// clock is the time that a Set has been told.
type clock struct{ began, now time.Time }

// since returns how long ago t was; the zero time was when the Set was told the time first.
func (c *clock) since(t time.Time) time.Duration {
	if t.IsZero() {
		t = c.began
	}
	return c.now.Sub(t)
}

// Tick tells the time, by which reuse delays are counted. They count from the first call for
// addresses that came back before, as those of Remember in a worker that has just begun.
func (s *Set) Tick(now time.Time) {
	if s.clock.began.IsZero() {
		s.clock.began = now
	}
	s.clock.now = now
}

// NewSet returns the pools of specs, with nothing leased. The ranges do not overlap, but
// with dedicated addresses, which are no part of other pools.
func NewSet(specs []spec.Pool) (*Set, error) {
	s := &Set{}
	for _, p := range specs {
		if !p.Start.IsValid() || p.Start.BitLen() != p.End.BitLen() || p.End.Less(p.Start) {
			return nil, fmt.Errorf("pool: %q is not a range: %v-%v", p.Name, p.Start, p.End)
		}
		if p.Dedicated != "" && p.Start != p.End {
			return nil, fmt.Errorf("pool: %q is dedicated, and has more than one address", p.Name)
		}
		s.pools = append(s.pools, newPool(p))
	}
	slices.SortStableFunc(s.pools, func(a, b *pool) int { return cmp.Compare(b.rank(), a.rank()) })
	for _, d := range s.pools {
		for _, p := range s.pools {
			if d.owner != "" && p.owner == "" && p.spans(d.start) {
				p.dedicated[d.start] = true
				p.advance()
			}
		}
	}
	return s, nil
}

// Holder is who has a lease: a session of an identity in a tunnel group. Two of those never
// have one address, two sessions of one may.
type Holder struct {
	Identity string
	Group    string
	Session  uint64 // a name that the session keeps for as long as it lasts
}

// LeaseOwn takes the address of family f that is dedicated to the holder's identity, and
// nobody else's. false: there is none, or another session has it that does not make way, by
// asking for wanted.
func (s *Set) LeaseOwn(f Family, h Holder, wanted netip.Addr) (netip.Addr, bool) {
	for _, p := range s.pools {
		if p.owner == "" || p.owner != h.Identity || p.family() != f {
			continue
		}
		if l := p.leased[p.start]; l == nil || l.of(h) && wanted == p.start {
			p.take(p.start, h)
			return p.start, true
		}
	}
	return netip.Addr{}, false
}

// Lease takes an address of family f from the pools called names: wanted where
// the identity has it already, in another session; else the one that it had
// before; else wanted where that is not kept for somebody else; else one of the
// first pool that has any. It returns ErrNoPool or ErrExhausted.
func (s *Set) Lease(names []string, f Family, h Holder, wanted netip.Addr) (netip.Addr, error) {
	var pools []*pool
	for _, name := range names {
		for _, p := range s.pools {
			if p.name == name && p.owner == "" && p.family() == f {
				pools = append(pools, p)
			}
		}
	}
	if len(pools) == 0 {
		return netip.Addr{}, ErrNoPool
	}
	for _, choose := range []func(*pool) (netip.Addr, bool){
		func(p *pool) (netip.Addr, bool) { return wanted, p.leased[wanted].of(h) },
		func(p *pool) (netip.Addr, bool) { a, ok := p.habit[h.Identity]; return a, ok },
		func(p *pool) (netip.Addr, bool) { return wanted, p.contains(wanted) && p.isFree(wanted, &s.clock) },
		func(p *pool) (netip.Addr, bool) { return p.fresh(&s.clock) },
	} {
		for _, p := range pools {
			if a, ok := choose(p); ok {
				p.take(a, h)
				return a, nil
			}
		}
	}
	return netip.Addr{}, ErrExhausted
}

// Reserve takes the address a for h, as after a restart. Doing it again changes
// nothing. It returns ErrTaken or ErrOutside.
func (s *Set) Reserve(a netip.Addr, h Holder) error {
	p := s.of(a)
	if p == nil {
		return ErrOutside
	}
	if l := p.leased[a]; l != nil && !l.of(h) || p.owner != "" && p.owner != h.Identity {
		return ErrTaken
	}
	p.take(a, h)
	return nil
}

// Release ends the hold of a session on a, and reports whether a is free now:
// nobody else held it, it is of a pool, and kept for the identity if that comes again. An
// address that the session does not hold is ignored.
func (s *Set) Release(a netip.Addr, session uint64) bool {
	p := s.of(a)
	if p == nil || !p.release(a, session, s.clock.now) {
		return false
	}
	if p.passing {
		s.pools = slices.DeleteFunc(s.pools, func(o *pool) bool { return o == p })
	}
	return !p.passing
}

// Remember makes a one that identity has given back, whoever has it leased: what
// a worker does with what another one has said. It reports whether a is in a pool.
func (s *Set) Remember(a netip.Addr, identity string) bool {
	p := s.of(a)
	if p != nil {
		p.remember(a, identity, s.clock.now)
	}
	return p != nil
}

// Habits yields the addresses that came back, with the identities for which they
// are kept, those of each pool in the order in which they came: Remember of each
// gives the same again.
func (s *Set) Habits(yield func(a netip.Addr, identity string) bool) {
	for _, p := range s.pools {
		for e := p.queue.Front(); e != nil; e = e.Next() {
			if r := e.Value.(returned); !yield(r.addr, r.identity) {
				return
			}
		}
	}
}

// LeaseNamed takes the address a, which somebody who may say so has given to the holder, in a
// pool or not: also one that is kept for another identity. false: somebody else has it, or
// it is dedicated to somebody else, or another session of the holder has it, which does not
// make way by asking for wanted.
func (s *Set) LeaseNamed(a netip.Addr, h Holder, wanted netip.Addr) bool {
	p := s.of(a)
	if p == nil {
		p = newPool(spec.Pool{Start: a, End: a})
		p.passing = true
		s.pools = append(s.pools, p)
	}
	if l := p.leased[a]; l != nil && !(l.of(h) && wanted == a) || p.owner != "" && p.owner != h.Identity {
		return false
	}
	p.take(a, h)
	return true
}

// Has reports whether an identity may have a: it is in one of the pools called names, or
// dedicated to it.
func (s *Set) Has(names []string, identity string, a netip.Addr) bool {
	p := s.of(a)
	switch {
	case p == nil:
		return false
	case p.owner != "":
		return p.owner == identity
	}
	return slices.Contains(names, p.name)
}

// Mask returns the length of the netmask that is told with the address a; 0: none is.
func (s *Set) Mask(a netip.Addr) int {
	if p := s.of(a); p != nil {
		return p.mask
	}
	return 0
}

// Usage is how much of a pool is leased, and how much waits for the end of its reuse delay.
// Size is capped at the largest uint64.
type Usage struct {
	Name   string
	Leased int
	Held   int
	Size   uint64
}

// Usage returns the usage of every pool, dedicated addresses in front, and apart from that in
// the order of the configuration.
func (s *Set) Usage() []Usage {
	out := make([]Usage, 0, len(s.pools))
	for _, p := range s.pools {
		if p.passing {
			continue
		}
		out = append(out, Usage{Name: p.name, Leased: len(p.leased), Held: p.held(&s.clock), Size: p.size()})
	}
	return out
}

// of returns the pool that a is in, or nil.
func (s *Set) of(a netip.Addr) *pool {
	i := slices.IndexFunc(s.pools, func(p *pool) bool { return p.contains(a) })
	if i < 0 {
		return nil
	}
	return s.pools[i]
}
