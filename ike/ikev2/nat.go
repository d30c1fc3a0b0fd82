package ikev2

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

// natPort is the port of IKE and ESP through a NAT (RFC 7296 section 2.23).
const natPort = 4500

// natHash is the data of a NAT detection notification: SHA-1 of both SPIs, an
// address and a port. It is no signature; anybody can make one.
func natHash(spiI, spiR uint64, at netip.AddrPort) []byte {
	b := binary.BigEndian.AppendUint64(nil, spiI)
	b = binary.BigEndian.AppendUint64(b, spiR)
	b = append(b, at.Addr().Unmap().AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, at.Port())
	sum := sha1.Sum(b)
	return sum[:]
}

// natPayloads returns our two notifications. With ForceUDP the hash of our own
// address is of no address, so that the peer finds a NAT and encapsulates.
func (s *SA) natPayloads(spiR uint64) []wire.Payload {
	spiI, _ := s.spis()
	source := natHash(spiI, spiR, s.local)
	if s.host.Rules().ForceUDP {
		source = natHash(spiI, spiR, netip.AddrPort{})
	}
	return []wire.Payload{
		wire.Notify{Type: wire.NATDetectionSourceIP, Data: source},
		wire.Notify{Type: wire.NATDetectionDestinationIP, Data: natHash(spiI, spiR, s.remote)},
	}
}

// detectNAT compares what the peer says about both addresses with what we see.
// A peer may list several source addresses; one that fits is enough. A peer
// that says nothing cannot do NAT traversal.
func (s *SA) detectNAT(ps wire.Payloads, spiR uint64) {
	spiI, _ := s.spis()
	destination, ok := ps.Notify(wire.NATDetectionDestinationIP)
	sources := ps.Notifies(wire.NATDetectionSourceIP)
	if !ok || len(sources) == 0 {
		return
	}
	s.natLocal = !bytes.Equal(destination.Data, natHash(spiI, spiR, s.local))
	s.natRemote = true
	for _, n := range sources {
		if bytes.Equal(n.Data, natHash(spiI, spiR, s.remote)) {
			s.natRemote = false
		}
	}
	s.udp = s.natLocal || s.natRemote || s.host.Rules().ForceUDP
}

// encap returns how ESP of the SA travels.
func (s *SA) encap() sa.Encap {
	if s.udp {
		return sa.EncapUDP
	}
	return sa.EncapRaw
}

// follow adopts the source of an authentic, new message as the peer's address
// when a NAT is before the peer (RFC 7296 section 2.23). A client that is behind
// a NAT itself does not; a gateway does even there, for it is its clients that
// move.
func (s *SA) follow(local, remote netip.AddrPort, out *exchange.Output) {
	if remote == s.remote && local == s.local || !s.natRemote || s.natLocal && s.dialled {
		return
	}
	from := s.remote
	s.local, s.remote = local, remote
	s.dirty = true
	for _, c := range s.children {
		c.LocalAddr, c.RemoteAddr = local, remote
		s.changes = append(s.changes, c.record(s.spi, sa.Change{Op: sa.OpMove, Child: c.Child}))
	}
	if from != remote {
		out.Events = append(out.Events, exchange.Moved{Peer: s.Peer(), From: from})
	}
}

// keepalive sends one byte that keeps the mapping of the NAT before us.
func (s *SA) keepalive(now time.Time, out *exchange.Output) {
	out.Send = append(out.Send, exchange.Datagram{Local: s.local, Remote: s.remote, Payload: []byte{0xff}, Keepalive: true})
	s.keepaliveAt = now.Add(s.host.Rules().NATKeepalive)
}

// armKeepalive starts the keepalives where they are needed.
func (s *SA) armKeepalive(now time.Time) {
	if k := s.host.Rules().NATKeepalive; k > 0 && s.natLocal && s.local.Port() == natPort {
		s.keepaliveAt = now.Add(k)
	}
}
