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

// path is how messages reach the peer, and ESP with them.
type path struct {
	local, remote netip.AddrPort
	natLocal      bool // a NAT is before us
	natRemote     bool // a NAT is before the peer
	udp           bool // ESP travels in UDP
}

// Remote implements exchange.SA.
func (p *path) Remote() netip.AddrPort { return p.remote }

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
func (p *path) natPayloads(spiI, spiR uint64, forceUDP bool) []wire.Payload {
	source := natHash(spiI, spiR, p.local)
	if forceUDP {
		source = natHash(spiI, spiR, netip.AddrPort{})
	}
	return []wire.Payload{
		wire.Notify{Type: wire.NATDetectionSourceIP, Data: source},
		wire.Notify{Type: wire.NATDetectionDestinationIP, Data: natHash(spiI, spiR, p.remote)},
	}
}

// detectNAT compares what the peer says about both addresses with what we see.
// A peer may list several source addresses; one that fits is enough. A peer
// that says nothing cannot do NAT traversal.
func (p *path) detectNAT(ps wire.Payloads, spiI, spiR uint64, forceUDP bool) {
	destination, ok := ps.Notify(wire.NATDetectionDestinationIP)
	sources := ps.Notifies(wire.NATDetectionSourceIP)
	if !ok || len(sources) == 0 {
		return
	}
	p.natLocal = !bytes.Equal(destination.Data, natHash(spiI, spiR, p.local))
	p.natRemote = true
	for _, n := range sources {
		if bytes.Equal(n.Data, natHash(spiI, spiR, p.remote)) {
			p.natRemote = false
		}
	}
	p.udp = p.natLocal || p.natRemote || forceUDP
}

// natState is what is between the ends and may change with their addresses: flags, of
// which natKnown is always set. Records of older programs have 0.
type natState uint8

const (
	natKnown natState = 1 << iota
	natBeforeUs
	natBeforePeer
	natUDP
)

// natState returns that of the path.
func (p *path) natState() natState {
	n := natKnown
	if p.natLocal {
		n |= natBeforeUs
	}
	if p.natRemote {
		n |= natBeforePeer
	}
	if p.udp {
		n |= natUDP
	}
	return n
}

// setNATState makes the path what a record says, where it says something.
func (p *path) setNATState(n natState) {
	if n&natKnown != 0 {
		p.natLocal, p.natRemote, p.udp = n&natBeforeUs != 0, n&natBeforePeer != 0, n&natUDP != 0
	}
}

// encap returns how ESP of the SA travels.
func (p *path) encap() sa.Encap {
	if p.udp {
		return sa.EncapUDP
	}
	return sa.EncapRaw
}

// updateAddress adopts the source of an authentic, new message as the peer's address
// where follow does. With MOBIKE a peer looks from other addresses whether it would be
// heard there, and says where it is (RFC 4555 section 3.5): then only another port
// means that the NAT has changed.
func (s *SA) updateAddress(local, remote netip.AddrPort, out *exchange.Output) {
	if (moving{s}).on() && (remote.Addr() != s.remote.Addr() || local.Addr() != s.local.Addr()) {
		return
	}
	moving{s}.follow(local, remote, out)
}

// keepalive sends one byte that keeps the mapping of the NAT before us.
func (s *SA) keepalive(now time.Time, out *exchange.Output) {
	out.Send = append(out.Send, exchange.Datagram{Local: s.local, Remote: s.remote, Payload: []byte{0xff},
		Keepalive: true})
	s.keepaliveAt = now.Add(s.host.Rules().NATKeepalive)
}

// armKeepalive starts the keepalives where they are needed.
func (s *SA) armKeepalive(now time.Time) {
	if k := s.host.Rules().NATKeepalive; k > 0 && s.natLocal && s.local.Port() == natPort {
		s.keepaliveAt = now.Add(k)
	}
}
