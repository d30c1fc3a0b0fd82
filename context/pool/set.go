// Package pool leases addresses from named ranges. A lease costs the same in a
// range of ten addresses and in a /8: addresses are counted up from its start,
// and those that come back wait in a queue. A client that comes back gets the
// address it had before while nobody else has it; others get one that was
// never used, or the one that has been free for the longest time.
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

// Lease takes an address of family f from the pools called names: the one that
// identity had before, else wanted where that is not kept for somebody else,
// else one of the first pool that has any. It returns ErrNoPool or
// ErrExhausted.
func (s *Set) Lease(names []string, f Family, identity string, wanted netip.Addr) (netip.Addr, error) {
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
		func(p *pool) (netip.Addr, bool) { a, ok := p.habit[identity]; return a, ok },
		func(p *pool) (netip.Addr, bool) { return wanted, p.contains(wanted) && p.isFree(wanted) },
		(*pool).fresh,
	} {
		for _, p := range pools {
			if a, ok := choose(p); ok {
				p.take(a, identity)
				return a, nil
			}
		}
	}
	return netip.Addr{}, ErrExhausted
}

// Reserve takes the address a for identity, as after a restart. Doing it again
// changes nothing. It returns ErrTaken or ErrOutside.
func (s *Set) Reserve(a netip.Addr, identity string) error {
	p := s.of(a)
	if p == nil {
		return ErrOutside
	}
	if holder, taken := p.leased[a]; taken && holder != identity {
		return ErrTaken
	}
	p.take(a, identity)
	return nil
}

// Release gives a back; an address that is not leased is ignored.
func (s *Set) Release(a netip.Addr) {
	if p := s.of(a); p != nil {
		p.release(a)
	}
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
