package ike

import (
	"slices"

	"github.com/warrenvpn/warren/ike/exchange"
)

// peerTable finds the SAs of one peer, for INITIAL_CONTACT.
type peerTable struct {
	key   map[exchange.SA]string
	byKey map[string][]exchange.SA // in the order in which they were made
}

// update enters s, or strikes it out, as its state says.
func (t *peerTable) update(s exchange.SA) {
	old, now := t.key[s], s.PeerKey()
	if old == now {
		return
	}
	if old != "" {
		delete(t.key, s)
		list := slices.DeleteFunc(t.byKey[old], func(o exchange.SA) bool { return o == s })
		t.byKey[old] = list
		if len(list) == 0 {
			delete(t.byKey, old)
		}
	}
	if now != "" {
		t.key[s] = now
		t.byKey[now] = append(t.byKey[now], s)
	}
}

// others returns the SAs with the peer and profile of s, without s.
func (t *peerTable) others(s exchange.SA) []exchange.SA {
	return slices.DeleteFunc(slices.Clone(t.byKey[s.PeerKey()]), func(o exchange.SA) bool {
		return o == s || o.PeerKey() != s.PeerKey()
	})
}
