package ikev2

import (
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/record"
)

// Messages in fragments (RFC 7383). With a peer that has agreed to it in IKE_SA_INIT,
// a message that does not fit into a packet of Config.FragmentSize leaves in several
// datagrams, so that no router has to fragment them: many drop what others have.
// Each has the message ID of the whole, an initialisation vector of its own, and is
// authentic by itself. The peer's fragments are put together in partial.go.
//
// A message is fragmented once: its repeats, those of a successor of the worker
// too, are the same datagrams.

// fragmentation is the Agreement about RFC 7383.
type fragmentation struct {
	agreed  bool
	unknown record.Unknown // what a newer version wrote beyond it; no keys
}

// Tag implements Agreement.
func (*fragmentation) Tag() record.Tag { return 2 }

// Offer implements Agreement.
func (*fragmentation) Offer(x wire.ExchangeType) []wire.Payload {
	if x != wire.IKESAInit {
		return nil
	}
	return []wire.Payload{wire.Notify{Type: wire.FragmentationSupported}}
}

// Learn implements Agreement.
func (g *fragmentation) Learn(x wire.ExchangeType, _ bool, ps wire.Payloads) (answer []wire.Payload) {
	if x != wire.IKESAInit {
		return nil
	}
	if _, g.agreed = ps.Notify(wire.FragmentationSupported); g.agreed {
		answer = append(answer, wire.Notify{Type: wire.FragmentationSupported})
	}
	return answer
}

// Fields implements Agreement.
func (g *fragmentation) Fields(f *record.Fields) {
	f.Keep(&g.unknown)
	f.Flag(1, &g.agreed)
}

// Inherit implements Agreement.
func (g *fragmentation) Inherit() Agreement { return &fragmentation{agreed: g.agreed} }

// fragments is the SA as RFC 7383 sees it.
type fragments struct{ sa *SA }

// agreed reports whether the peer takes fragments, and sends some.
func (g fragments) agreed() bool { return find[*fragmentation](&g.sa.agreed).agreed }

// What stands before an IKE message in a packet: an IP header without options, that
// of UDP, and on port 4500 the non-ESP marker (RFC 7296 section 3.1).
const (
	ipv4HeaderLen = 20
	ipv6HeaderLen = 40
	udpHeaderLen  = 8
	nonESPMarker  = 4
)

// size returns how long a datagram to the peer should be at most.
func (g fragments) size() int {
	s := g.sa
	n := s.host.Rules().FragmentSize - udpHeaderLen
	if s.remote.Addr().Unmap().Is4() {
		n -= ipv4HeaderLen
	} else {
		n -= ipv6HeaderLen
	}
	if s.local.Port() == natPort {
		n -= nonESPMarker
	}
	return n
}

// tooLong reports whether a message of so many bytes is to be fragmented.
func (g fragments) tooLong(length int) bool { return g.agreed() && length > g.size() }

// seal protects a message of ours in fragments that are not too long.
func (g fragments) seal(h wire.Header, ps []wire.Payload) datagrams {
	s := g.sa
	text := wire.AppendPayloads(nil, ps...)
	room := max(s.sealer.FragmentRoom(g.size()), (len(text)+wire.MaxFragments-1)/wire.MaxFragments)
	total := (len(text) + room - 1) / room
	var out datagrams
	for n := range total {
		f := wire.SKF{Number: uint16(n + 1), Total: uint16(total)}
		if n == 0 {
			f.First = wire.FirstType(ps)
		}
		part := text[n*room : min((n+1)*room, len(text))]
		b, err := s.sealer.SealFragment(nil, h, f, s.window.nextIV(s.host.Epoch()), s.host.Rand(), part)
		if err != nil {
			panic("ikev2: internal error: sealing a fragment: " + err.Error())
		}
		out = append(out, b)
	}
	return out
}

// open authenticates and decrypts a fragment. One of the message that is awaited is
// kept, and the error is errPartial, until the last one gives the payloads of the
// whole. Of any other message fragment 1 alone counts, as a message whose payloads
// nobody reads: whoever repeats a message repeats all of its fragments, and wants one
// answer (RFC 7383 section 2.6.1).
func (g fragments) open(d exchange.Datagram, m *wire.Message, f wire.SKF, awaited bool) (wire.Payloads, error) {
	switch {
	case !g.agreed():
		return nil, exchange.ErrMalformed
	case awaited:
		return g.gather(d, m, f)
	case f.Number != 1:
		return nil, exchange.ErrStale
	}
	_, err := g.sa.unseal(g.sa.opener, d, f.Offset)
	return nil, err
}
