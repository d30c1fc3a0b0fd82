// Package pool leases addresses from named ranges. A client that comes back
// gets the address it had before while nobody else needs it; others get the
// one that was never used or has been free for the longest time.
//
// Memory grows with the addresses that were ever leased, not with the size of
// the range. The package does no I/O and is not safe for concurrent use.
package pool

import (
	"errors"
	"fmt"
	"net/netip"

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

// NewSet returns the pools of specs, with nothing leased.
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

// Lease takes an address of family f from the first of the pools called names
// that has a free one. It prefers the address that identity had before, then
// wanted. It returns ErrNoPool or ErrExhausted.
func (s *Set) Lease(names []string, f Family, identity string, wanted netip.Addr) (netip.Addr, error) {
	err := ErrNoPool
	for _, name := range names {
		for _, p := range s.pools {
			if p.name != name || p.family() != f {
				continue
			}
			if a, ok := p.lease(identity, wanted); ok {
				return a, nil
			}
			err = ErrExhausted
		}
	}
	return netip.Addr{}, err
}

// Reserve takes the address a for identity, as after a restart. Doing it again
// changes nothing. It returns ErrTaken or ErrOutside.
func (s *Set) Reserve(a netip.Addr, identity string) error {
	p := s.holder(a)
	if p == nil {
		return ErrOutside
	}
	return p.reserve(a, identity)
}

// Release gives a back; an address that is not leased is ignored.
func (s *Set) Release(a netip.Addr) {
	if p := s.holder(a); p != nil {
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

// holder returns the pool that a belongs to.
func (s *Set) holder(a netip.Addr) *pool {
	for _, p := range s.pools {
		if p.contains(a) {
			return p
		}
	}
	return nil
}

// pool is one range of addresses.
type pool struct {
	name       string
	start, end netip.Addr

	next    netip.Addr            // the lowest address that was never looked at; invalid: none is left
	leased  map[netip.Addr]string // to whom
	freed   []netip.Addr          // oldest first; an address that is leased again stays in it until it is met
	owner   map[netip.Addr]string // of a freed address: who had it
	habit   map[string]netip.Addr // what an identity had
	waiting map[netip.Addr]bool   // is in freed
}

func newPool(p spec.Pool) *pool {
	return &pool{
		name: p.Name, start: p.Start, end: p.End, next: p.Start,
		leased:  make(map[netip.Addr]string),
		owner:   make(map[netip.Addr]string),
		habit:   make(map[string]netip.Addr),
		waiting: make(map[netip.Addr]bool),
	}
}

func (p *pool) family() Family {
	if p.start.Is4() {
		return IPv4
	}
	return IPv6
}

func (p *pool) contains(a netip.Addr) bool {
	return a.BitLen() == p.start.BitLen() && !a.Less(p.start) && !p.end.Less(a)
}

func (p *pool) size() uint64 {
	from, to := p.start.As16(), p.end.As16()
	size := uint64(1)
	for i := range from {
		d := int64(to[i]) - int64(from[i])
		if d > 0 && i < 8 {
			return 1<<64 - 1
		}
		if i >= 8 {
			size += uint64(d) << (8 * (15 - i))
		}
	}
	if size == 0 {
		return 1<<64 - 1
	}
	return size
}

// lease finds a free address, in order of preference.
func (p *pool) lease(identity string, wanted netip.Addr) (netip.Addr, bool) {
	for _, a := range []netip.Addr{p.habit[identity], wanted} {
		if _, taken := p.leased[a]; !taken && p.contains(a) {
			p.take(a, identity)
			return a, true
		}
	}
	for p.next.IsValid() {
		a := p.next
		p.advance()
		if _, taken := p.leased[a]; !taken && !p.waiting[a] {
			p.take(a, identity)
			return a, true
		}
	}
	for len(p.freed) > 0 {
		a := p.freed[0]
		p.freed = p.freed[1:]
		delete(p.waiting, a)
		if _, taken := p.leased[a]; !taken {
			p.take(a, identity)
			return a, true
		}
	}
	return netip.Addr{}, false
}

func (p *pool) advance() {
	if p.next == p.end {
		p.next = netip.Addr{}
		return
	}
	p.next = p.next.Next()
}

// take leases a, and forgets who had it before.
func (p *pool) take(a netip.Addr, identity string) {
	if before := p.owner[a]; before != identity && p.habit[before] == a {
		delete(p.habit, before)
	}
	delete(p.owner, a)
	p.leased[a] = identity
	p.habit[identity] = a
}

func (p *pool) reserve(a netip.Addr, identity string) error {
	if who, taken := p.leased[a]; taken {
		if who != identity {
			return ErrTaken
		}
		return nil
	}
	p.take(a, identity)
	return nil
}

func (p *pool) release(a netip.Addr) {
	who, ok := p.leased[a]
	if !ok {
		return
	}
	delete(p.leased, a)
	p.owner[a] = who
	if !p.waiting[a] {
		p.waiting[a] = true
		p.freed = append(p.freed, a)
	}
}
