package esp

import (
	"encoding/binary"
	"net/netip"

	"github.com/warrenvpn/warren/esp/sa"
)

// IP protocol numbers that the data plane knows.
const (
	ProtoHopByHop = 0
	ProtoICMP     = 1
	ProtoIPv4     = 4
	ProtoTCP      = 6
	ProtoUDP      = 17
	ProtoIPv6     = 41
	ProtoRouting  = 43
	ProtoFragment = 44
	ProtoESP      = 50
	ProtoAH       = 51
	ProtoICMPv6   = 58
	ProtoNone     = 59 // a dummy packet where it is the next header of ESP
	ProtoOptions  = 60
	protoMobility = 135
)

const (
	ipv4Len = 20
	ipv6Len = 40
	// maxExtensions bounds the IPv6 extension headers of one packet; real ones
	// have two or three.
	maxExtensions = 8
)

// Inner is what the headers of an inner packet say.
type Inner struct {
	Src, Dst         netip.Addr
	SrcPort, DstPort uint16 // for ICMP both are type and code (RFC 4301 section 4.4.1.1)
	Len              int    // of the whole packet as its header says
	Transport        int    // where the transport header begins
	Protocol         uint8  // of the transport header
	TOS              uint8
	V6               bool
	HasPorts         bool // the ports are known
	DF               bool // IPv4 only
	Fragment         bool // it is a fragment, the first or another
}

// ParseInner reads the headers of the IP packet at the start of b into p, and
// reports false where b holds none. b may be longer than the packet.
func ParseInner(b []byte, p *Inner) bool {
	if len(b) == 0 {
		return false
	}
	switch b[0] >> 4 {
	case 4:
		return parseIPv4(b, p)
	case 6:
		return parseIPv6(b, p)
	}
	return false
}

func parseIPv4(b []byte, p *Inner) bool {
	if len(b) < ipv4Len {
		return false
	}
	header := int(b[0]&0xf) * 4
	total := int(binary.BigEndian.Uint16(b[2:]))
	if header < ipv4Len || total < header || total > len(b) {
		return false
	}
	fragment := binary.BigEndian.Uint16(b[6:])
	*p = Inner{
		Src: netip.AddrFrom4([4]byte(b[12:16])), Dst: netip.AddrFrom4([4]byte(b[16:20])),
		Len: total, Transport: header, Protocol: b[9], TOS: b[1],
		DF: fragment&0x4000 != 0, Fragment: fragment&0x3fff != 0,
	}
	if fragment&0x1fff == 0 {
		p.ports(b[:total])
	}
	return true
}

func parseIPv6(b []byte, p *Inner) bool {
	if len(b) < ipv6Len {
		return false
	}
	total := ipv6Len + int(binary.BigEndian.Uint16(b[4:]))
	if total > len(b) {
		return false
	}
	*p = Inner{
		Src: netip.AddrFrom16([16]byte(b[8:24])), Dst: netip.AddrFrom16([16]byte(b[24:40])),
		Len: total, TOS: b[0]<<4 | b[1]>>4, V6: true,
	}
	next, at, first := b[6], ipv6Len, true
	for i := 0; ; i++ {
		var length int
		switch next {
		case ProtoHopByHop, ProtoRouting, ProtoOptions, protoMobility, ProtoAH, ProtoFragment:
			if i == maxExtensions || at+8 > total {
				return false
			}
			switch next {
			case ProtoAH:
				length = (int(b[at+1]) + 2) * 4
			case ProtoFragment:
				length = 8
				p.Fragment = true
				first = binary.BigEndian.Uint16(b[at+2:])&0xfff8 == 0
			default:
				length = (int(b[at+1]) + 1) * 8
			}
		default:
			p.Protocol, p.Transport = next, at
			if first {
				p.ports(b[:total])
			}
			return true
		}
		next = b[at]
		if at += length; at > total {
			return false
		}
		if !first { // what follows in a later fragment is data, not headers
			p.Protocol, p.Transport = next, at
			return true
		}
	}
}

// ports reads the ports, where the protocol has ports and the packet holds
// them.
func (p *Inner) ports(b []byte) {
	t := b[p.Transport:]
	if len(t) < 4 {
		return
	}
	switch p.Protocol {
	case ProtoTCP, ProtoUDP, 132, 33, 136: // and SCTP, DCCP, UDP-Lite
		p.SrcPort, p.DstPort = binary.BigEndian.Uint16(t), binary.BigEndian.Uint16(t[2:])
	case ProtoICMP, ProtoICMPv6:
		p.SrcPort = binary.BigEndian.Uint16(t)
		p.DstPort = p.SrcPort
	default:
		return
	}
	p.HasPorts = true
}

// Covers reports whether the packet p, which a peer has sent, is between these
// selectors: from one of remote to one of local (RFC 4301 section 5.2).
func Covers(local, remote []sa.Selector, p *Inner) bool {
	return covers(remote, p.Src, p, p.SrcPort) && covers(local, p.Dst, p, p.DstPort)
}

// covers reports whether one of the selectors covers this end of a packet. A
// packet whose ports cannot be known, such as a later fragment, is covered only
// by a selector for all ports (RFC 4301 section 7).
func covers(sels []sa.Selector, a netip.Addr, p *Inner, port uint16) bool {
	for i := range sels {
		s := &sels[i]
		if !p.HasPorts && (s.StartPort != 0 || s.EndPort != 0xffff) {
			continue
		}
		if s.Contains(a, p.Protocol, port) {
			return true
		}
	}
	return false
}
