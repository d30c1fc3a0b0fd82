package ike

import (
	"container/list"
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
)

// The half-open table bounds what strangers can make us keep, and what one of
// them can take from the others. Where it is full, the newest peer is not turned
// away: the oldest SA of the source that has most of them gives way.
const (
	// sourceShare is the part of the table that one source may have, and
	// leastPerSource what it may have of a small table. Behind one NAT there may
	// be many clients; they seldom start within the same second.
	sourceShare    = 16
	leastPerSource = 8
	// maxRejected bounds the SAs that are kept only to repeat a refusal. They are
	// no half-open SAs: the oldest goes first, whoever's it is.
	maxRejected = 128
	// leastHalfOpenLife is how long a handshake may take when the table is full:
	// RFC 8019 section 4.2 has two to five seconds suffice under attack.
	leastHalfOpenLife = 3 * time.Second
	// sourceBits is the part of an IPv6 address that makes a source: whoever has
	// one address of a /64 has all of it.
	sourceBits = 64
)

// halfOpenKey is what tells a repeat of IKE_SA_INIT from a new one.
type halfOpenKey struct {
	spi    uint64 // the peer's
	remote netip.AddrPort
}

// halfOpenTable knows all half-open IKE SAs of responders, those that wait for
// the answer to a question, and those that were told no.
type halfOpenTable struct {
	entries map[exchange.SA]*halfOpenEntry
	byKey   map[halfOpenKey]exchange.SA

	families [2]sourceTable // IPv4, IPv6
	asking   int            // authentic, and never evicted
	rejected list.List      // of *halfOpenEntry, the oldest first
}

// halfOpenEntry is what the table knows of one SA.
type halfOpenEntry struct {
	sa     exchange.SA
	key    halfOpenKey
	phase  exchange.Phase
	source *source       // HalfOpen
	at     *list.Element // HalfOpen: in source.sas; Rejected: in rejected
}

// source is one address, or one IPv6 /64.
type source struct {
	prefix netip.Prefix
	sas    list.List     // of *halfOpenEntry, the oldest first
	at     *list.Element // in sourceTable.bySize[sas.Len()]
}

// sourceTable is the sources of one family, by how many half-open SAs each has.
type sourceTable struct {
	byPrefix map[netip.Prefix]*source
	bySize   map[int]*list.List // of *source: first who has had so many for longest
	most     int                // the largest size
	count    int                // half-open SAs of all
}

func newHalfOpenTable() halfOpenTable {
	t := halfOpenTable{entries: map[exchange.SA]*halfOpenEntry{}, byKey: map[halfOpenKey]exchange.SA{}}
	for i := range t.families {
		t.families[i] = sourceTable{byPrefix: map[netip.Prefix]*source{}, bySize: map[int]*list.List{}}
	}
	return t
}

// count is how many SAs are half-open or wait for an answer.
func (t *halfOpenTable) count() int { return t.families[0].count + t.families[1].count + t.asking }

// family returns the table of the sources of a's family.
func (t *halfOpenTable) family(a netip.Addr) *sourceTable {
	if a.Is4() || a.Is4In6() {
		return &t.families[0]
	}
	return &t.families[1]
}

// sourceOf returns what a counts as.
func sourceOf(a netip.Addr) netip.Prefix {
	a = a.Unmap()
	bits := a.BitLen()
	if a.Is6() {
		bits = sourceBits
	}
	p, _ := a.WithZone("").Prefix(bits) // bits are of the family
	return p
}

// update enters s, moves it, or strikes it out, as its phase says. The key is
// that of the first message: later ones may come through port 4500.
func (t *halfOpenTable) update(s exchange.SA) {
	x, phase := t.entries[s], s.Phase()
	if !phase.HalfOpen() {
		if x != nil {
			t.leave(x)
			delete(t.entries, s)
			delete(t.byKey, x.key)
		}
		return
	}
	if x == nil {
		x = &halfOpenEntry{sa: s, key: halfOpenKey{s.PeerSPI(), s.Remote()}}
		t.entries[s], t.byKey[x.key] = x, s
	} else if x.phase == phase {
		return
	} else {
		t.leave(x)
	}
	x.phase = phase
	switch phase {
	case exchange.PhaseHalfOpen:
		t.family(x.key.remote.Addr()).add(x)
	case exchange.PhaseRejected:
		x.at = t.rejected.PushBack(x)
	default:
		t.asking++
	}
}

// leave takes x from where its old phase has put it.
func (t *halfOpenTable) leave(x *halfOpenEntry) {
	switch x.phase {
	case exchange.PhaseHalfOpen:
		t.family(x.key.remote.Addr()).remove(x)
	case exchange.PhaseRejected:
		t.rejected.Remove(x.at)
	default:
		t.asking--
	}
	x.at, x.source = nil, nil
}

// atQuota reports whether a source has all that it may have of limit.
func (t *halfOpenTable) atQuota(limit int, a netip.Addr) bool {
	s := t.family(a).byPrefix[sourceOf(a)]
	return s != nil && s.sas.Len() >= max(leastPerSource, limit/sourceShare)
}

// victim returns the SA that has to give way for one more of a's, nil for none.
// false says that there is no place, even so: all of the table is SAs that wait
// for an answer.
func (t *halfOpenTable) victim(limit int, a netip.Addr) (exchange.SA, bool) {
	own := t.family(a)
	if t.atQuota(limit, a) {
		return own.byPrefix[sourceOf(a)].oldest(), true
	}
	if t.count() < limit {
		return nil, true
	}
	// Half of the table is each family's, if it needs it.
	from := own
	for i := range t.families {
		if other := &t.families[i]; other != own && other.count > 0 && own.count < limit/2 {
			from = other
		}
	}
	if from.count == 0 {
		return nil, false
	}
	return from.largest().oldest(), true
}

// refused returns the oldest SA that was told no, where there are too many; nil:
// there are not.
func (t *halfOpenTable) refused() exchange.SA {
	if t.rejected.Len() <= maxRejected {
		return nil
	}
	return t.rejected.Front().Value.(*halfOpenEntry).sa
}

// life is how long a handshake that begins now may take: all of full below
// the threshold from which cookies are asked for, and less the fuller the table is.
func (t *halfOpenTable) life(full time.Duration, threshold, limit int) time.Duration {
	least := min(full, leastHalfOpenLife)
	over, room := t.count()-threshold, limit-threshold
	switch {
	case over <= 0:
		return full
	case over >= room:
		return least
	}
	return full - time.Duration(float64(full-least)*float64(over)/float64(room))
}

func (t *sourceTable) add(x *halfOpenEntry) {
	p := sourceOf(x.key.remote.Addr())
	s := t.byPrefix[p]
	if s == nil {
		s = &source{prefix: p}
		t.byPrefix[p] = s
	}
	t.resize(s, func() { x.at = s.sas.PushBack(x) })
	x.source = s
	t.count++
}

func (t *sourceTable) remove(x *halfOpenEntry) {
	s := x.source
	t.resize(s, func() { s.sas.Remove(x.at) })
	t.count--
	if s.sas.Len() == 0 {
		delete(t.byPrefix, s.prefix)
	}
}

// resize moves s to the place of its new size.
func (t *sourceTable) resize(s *source, change func()) {
	if n := s.sas.Len(); n > 0 {
		t.bySize[n].Remove(s.at)
		if t.bySize[n].Len() == 0 {
			delete(t.bySize, n)
		}
	}
	change()
	if n := s.sas.Len(); n > 0 {
		if t.bySize[n] == nil {
			t.bySize[n] = list.New()
		}
		s.at = t.bySize[n].PushBack(s)
		t.most = max(t.most, n)
	}
	for t.most > 0 && t.bySize[t.most] == nil {
		t.most-- // by one: a source changes by one
	}
}

// largest returns the source with most half-open SAs; there is one.
func (t *sourceTable) largest() *source { return t.bySize[t.most].Front().Value.(*source) }

func (s *source) oldest() exchange.SA { return s.sas.Front().Value.(*halfOpenEntry).sa }
