package ike

import (
	"slices"

	"github.com/warrenvpn/warren/ike/exchange"
)

// peerTable finds the SAs of one peer, for INITIAL_CONTACT.
type peerTable struct {
	key   map[exchange.SA]exchange.PeerKey
	byKey map[exchange.PeerKey][]exchange.SA // in the order in which they were made
}

// update enters s, or strikes it out, as its state says.
func (t *peerTable) update(s exchange.SA) {
	old, now := t.key[s], s.PeerKey()
	if old == now {
		return
	}
	if old != (exchange.PeerKey{}) {
		delete(t.key, s)
		list := slices.DeleteFunc(t.byKey[old], func(o exchange.SA) bool { return o == s })
		t.byKey[old] = list
		if len(list) == 0 {
			delete(t.byKey, old)
		}
	}
	if now != (exchange.PeerKey{}) {
		t.key[s] = now
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
