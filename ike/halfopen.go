package ike

import (
	"net/netip"

	"github.com/warrenvpn/warren/ike/ikev2"
)

// maxPerSource bounds the half-open IKE SAs of one address. Behind one NAT there
// may be many clients, but they seldom start within the same second.
const maxPerSource = 256

// halfOpenKey is what tells a repeat of IKE_SA_INIT from a new one.
type halfOpenKey struct {
	spi    uint64 // the peer's
	remote netip.AddrPort
}

// halfOpenTable knows all half-open IKE SAs of responders: all that strangers
// can make us keep.
type halfOpenTable struct {
	keys      map[*ikev2.SA]halfOpenKey
	byKey     map[halfOpenKey]*ikev2.SA
	perSource map[netip.Addr]int
}

func newHalfOpenTable() halfOpenTable {
	return halfOpenTable{
		keys:      map[*ikev2.SA]halfOpenKey{},
		byKey:     map[halfOpenKey]*ikev2.SA{},
		perSource: map[netip.Addr]int{},
	}
}

// update enters s, or strikes it out, as its state says. The key is that of
// the first message: later ones may come through port 4500.
func (t *halfOpenTable) update(s *ikev2.SA) {
	k, known := t.keys[s]
	switch half := s.HalfOpen(); {
	case half && !known:
		k = halfOpenKey{s.PeerSPI(), s.Remote()}
		t.keys[s], t.byKey[k] = k, s
		t.perSource[k.remote.Addr()]++
	case !half && known:
		delete(t.keys, s)
		delete(t.byKey, k)
		if t.perSource[k.remote.Addr()]--; t.perSource[k.remote.Addr()] == 0 {
			delete(t.perSource, k.remote.Addr())
		}
	}
}

// full reports whether nobody, or not this source, may add another one.
func (t *halfOpenTable) full(limit int, source netip.Addr) bool {
	return len(t.keys) >= limit || t.perSource[source] >= maxPerSource
}
