package ike

import (
	"slices"

	"github.com/warrenvpn/warren/ike/exchange"
)

// peerTable finds the SAs of one peer, for INITIAL_CONTACT.
type peerTable struct {
	byKey map[exchange.PeerKey][]exchange.SA // in the order in which they were made
}

// update enters s, or strikes it out, as its state says.
func (t *peerTable) update(s exchange.SA) {
	x, now := s.Index(), s.PeerKey()
	old := x.Peer
	if old == now {
		return
	}
	x.Peer = now
	if old != (exchange.PeerKey{}) {
		list := slices.DeleteFunc(t.byKey[old], func(o exchange.SA) bool { return o == s })
		t.byKey[old] = list
		if len(list) == 0 {
			delete(t.byKey, old)
		}
	}
	if now != (exchange.PeerKey{}) {
		t.byKey[now] = append(t.byKey[now], s)
	}
}

// others returns the SAs with the peer and profile of s, without s.
func (t *peerTable) others(s exchange.SA) []exchange.SA {
	key := s.PeerKey()
	return slices.DeleteFunc(slices.Clone(t.byKey[key]), func(o exchange.SA) bool {
		return o == s || o.PeerKey() != key
	})
}
