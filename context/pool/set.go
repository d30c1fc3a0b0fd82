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
	"errors"
	"fmt"
	"net/netip"
	"slices"

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
	pools []*pool
}

// NewSet returns the pools of specs, with nothing leased. The ranges do not
// overlap.
func NewSet(specs []spec.Pool) (*Set, error) {
	s := &Set{}
	for _, p := range specs {
		if !p.Start.IsValid() || p.Start.BitLen() != p.End.BitLen() || p.End.Less(p.Start) {
			return nil, fmt.Errorf("pool: %q is not a range: %v-%v", p.Name, p.Start, p.End)
		}
		s.pools = append(s.pools, newPool(p))
	}
	return s, nil
}

// Holder is who has a lease: a session of an identity. Two identities never have
// one address, two sessions of one identity may.
type Holder struct {
	Identity string
	Session  uint64 // a name that the session keeps for as long as it lasts
}

// Lease takes an address of family f from the pools called names: wanted where
// the identity has it already, in another session; else the one that it had
// before; else wanted where that is not kept for somebody else; else one of the
// first pool that has any. It returns ErrNoPool or ErrExhausted.
func (s *Set) Lease(names []string, f Family, h Holder, wanted netip.Addr) (netip.Addr, error) {
	var pools []*pool
	for _, name := range names {
		for _, p := range s.pools {
			if p.name == name && p.family() == f {
				pools = append(pools, p)
			}
		}
	}
	if len(pools) == 0 {
		return netip.Addr{}, ErrNoPool
	}
	for _, choose := range []func(*pool) (netip.Addr, bool){
		func(p *pool) (netip.Addr, bool) { return wanted, p.holds(wanted, h.Identity) },
		func(p *pool) (netip.Addr, bool) { a, ok := p.habit[h.Identity]; return a, ok },
		func(p *pool) (netip.Addr, bool) { return wanted, p.contains(wanted) && p.isFree(wanted) },
		(*pool).fresh,
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
	if l := p.leased[a]; l != nil && l.identity != h.Identity {
		return ErrTaken
	}
	p.take(a, h)
	return nil
}

// Release ends the hold of a session on a, and reports whether a is free now:
// nobody else held it, and it is kept for the identity if that comes again. An
// address that the session does not hold is ignored.
func (s *Set) Release(a netip.Addr, session uint64) bool {
	p := s.of(a)
	return p != nil && p.release(a, session)
}

// Remember makes a one that identity has given back, whoever has it leased: what
// a worker does with what another one has said. It reports whether a is in a pool.
func (s *Set) Remember(a netip.Addr, identity string) bool {
	p := s.of(a)
	if p != nil {
		p.remember(a, identity)
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

// Has reports whether a is in one of the pools called names.
func (s *Set) Has(names []string, a netip.Addr) bool {
	p := s.of(a)
	return p != nil && slices.Contains(names, p.name)
}

// Mask returns the length of the netmask that is told with the address a; 0: none is.
func (s *Set) Mask(a netip.Addr) int {
	if p := s.of(a); p != nil {
		return p.mask
	}
	return 0
}

// Usage is how much of a pool is leased. Size is capped at the largest uint64.
type Usage struct {
	Name   string
	Leased int
	Size   uint64
}

// Usage returns the usage of every pool, in the order of the configuration.
func (s *Set) Usage() []Usage {
	out := make([]Usage, len(s.pools))
	for i, p := range s.pools {
		out[i] = Usage{Name: p.name, Leased: len(p.leased), Size: p.size()}
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
