package pool

import (
	"container/list"
	"net/netip"
	"slices"
	"time"

	"github.com/warrenvpn/warren/context/spec"
)

// maxKept bounds how many returned addresses a pool keeps for those who had
// them while others were never used. Beyond it the oldest goes to somebody
// else, unless its reuse delay holds it: this bounds memory, to about 300 bytes each.
const maxKept = 1 << 16

// lease is who has an address: one identity of one tunnel group, in the sessions listed, of
// which there are two while one follows the other.
type lease struct {
	identity, group string
	sessions        []uint64
}

// of reports whether the lease is that of a holder, in this or in another session.
func (l *lease) of(h Holder) bool { return l != nil && l.identity == h.Identity && l.group == h.Group }

// pool is one range. Every address of it is leased, or returned (in freed), or
// was never used: then it is next or behind it.
type pool struct {
	name       string
	start, end netip.Addr
	mask       int                 // length of the netmask that a client is told; 0: none
	delay      time.Duration       // until an address that came back is for anybody
	owner      string              // of a dedicated address; "": it is a pool for all
	passing    bool                // for one lease of an address that is in no pool
	dedicated  map[netip.Addr]bool // of the range, those that are somebody's own: no part of the pool

	next   netip.Addr                   // lowest address never used; invalid: none is left
	leased map[netip.Addr]*lease        // to whom
	queue  *list.List                   // of returned: the free ones that were used, oldest first
	freed  map[netip.Addr]*list.Element // the same by address
	habit  map[string]netip.Addr        // of freed: what an identity had last
}

// returned is an address that came back, and who had it.
type returned struct {
	addr     netip.Addr
	identity string
	at       time.Time // zero: before the Set knew the time
}

func newPool(p spec.Pool) *pool {
	return &pool{
		name: p.Name, start: p.Start, end: p.End, mask: p.Mask, delay: p.ReuseDelay, owner: p.Dedicated, next: p.Start,
		dedicated: make(map[netip.Addr]bool),
		leased:    make(map[netip.Addr]*lease),
		queue:     list.New(),
		freed:     make(map[netip.Addr]*list.Element),
		habit:     make(map[string]netip.Addr),
	}
}

// rank sorts pools: a dedicated address belongs to its own one.
func (p *pool) rank() int {
	if p.owner != "" {
		return 1
	}
	return 0
}

func (p *pool) family() Family {
	if p.start.Is4() {
		return IPv4
	}
	return IPv6
}

func (p *pool) contains(a netip.Addr) bool {
	return p.spans(a) && !p.dedicated[a]
}

// spans reports whether a is in the range, be it somebody's own.
func (p *pool) spans(a netip.Addr) bool {
	return a.BitLen() == p.start.BitLen() && !a.Less(p.start) && !p.end.Less(a)
}

// size counts the addresses of the pool.
func (p *pool) size() uint64 { return p.width() - uint64(len(p.dedicated)) }

// width counts the addresses of the range.
func (p *pool) width() uint64 {
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

// isFree reports whether a, which is in the pool, is neither leased nor kept
// for the identity that had it last.
func (p *pool) isFree(a netip.Addr, c *clock) bool {
	if _, taken := p.leased[a]; taken {
		return false
	}
	e := p.freed[a]
	return e == nil || p.habit[e.Value.(returned).identity] != a && !p.isHeld(e.Value.(returned), c)
}

// isHeld reports whether the reuse delay of an address is not over.
func (p *pool) isHeld(r returned, c *clock) bool { return p.delay > 0 && c.since(r.at) < p.delay }

// held counts the addresses whose reuse delay is not over.
func (p *pool) held(c *clock) (n int) {
	for e := p.queue.Back(); e != nil && p.isHeld(e.Value.(returned), c); e = e.Prev() {
		n++
	}
	return n
}

// fresh returns an address that nobody had, else the one that came back first. Within the
// reuse delay an address that came back is for nobody but who had it.
func (p *pool) fresh(c *clock) (netip.Addr, bool) {
	oldest := p.queue.Front()
	usable := oldest != nil && !p.isHeld(oldest.Value.(returned), c)
	if p.next.IsValid() && (p.queue.Len() < maxKept || !usable) {
		return p.next, true
	}
	if usable {
		return oldest.Value.(returned).addr, true
	}
	return netip.Addr{}, false
}

// take leases a, which is in the pool and not leased to another holder, to a
// session of h.
func (p *pool) take(a netip.Addr, h Holder) {
	if l := p.leased[a]; l != nil {
		if !slices.Contains(l.sessions, h.Session) {
			l.sessions = append(l.sessions, h.Session)
		}
		return
	}
	p.forget(a)
	p.leased[a] = &lease{h.Identity, h.Group, []uint64{h.Session}}
	p.advance()
}

// forget removes a from the returned addresses.
func (p *pool) forget(a netip.Addr) {
	if e := p.freed[a]; e != nil {
		r := p.queue.Remove(e).(returned)
		delete(p.freed, a)
		if p.habit[r.identity] == a {
			delete(p.habit, r.identity)
		}
	}
}

// advance moves next to an address that was never used. Each address is passed
// once in the life of the pool.
func (p *pool) advance() {
	for p.next.IsValid() {
		_, taken := p.leased[p.next]
		if !taken && p.freed[p.next] == nil && !p.dedicated[p.next] {
			return
		}
		if p.next == p.end {
			p.next = netip.Addr{}
			return
		}
		p.next = p.next.Next()
	}
}

// release ends the hold of a session on a. When it was the last one, a is kept
// for the identity that had it if it comes again, and true is returned.
func (p *pool) release(a netip.Addr, session uint64, now time.Time) bool {
	l := p.leased[a]
	if l == nil {
		return false
	}
	i := slices.Index(l.sessions, session)
	if i < 0 {
		return false
	}
	if l.sessions = slices.Delete(l.sessions, i, i+1); len(l.sessions) > 0 {
		return false
	}
	p.remember(a, l.identity, now)
	return true
}

// remember makes a one that identity has given back just now.
func (p *pool) remember(a netip.Addr, identity string, now time.Time) {
	delete(p.leased, a)
	p.forget(a)
	p.freed[a] = p.queue.PushBack(returned{a, identity, now})
	p.habit[identity] = a
	p.advance()
}
