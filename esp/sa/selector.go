package sa

import (
	"fmt"
	"net/netip"
)

// Selector is one traffic selector (RFC 7296 section 3.13.1): a range of
// addresses of one family, a protocol (0: any) and a range of ports. For ICMP
// the ports hold type and code as RFC 4301 section 4.4.1.1 says.
type Selector struct {
	Start, End         netip.Addr
	Protocol           uint8
	StartPort, EndPort uint16
}

// SelectorOf returns the selector for every packet of p.
func SelectorOf(p netip.Prefix) Selector {
	p = p.Masked()
	return Selector{Start: p.Addr(), End: lastAddr(p), EndPort: 0xffff}
}

// lastAddr returns the highest address of p.
func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// IsValid reports whether both ends are of one family and in order.
func (s Selector) IsValid() bool {
	return s.Start.IsValid() && s.Start.BitLen() == s.End.BitLen() && !s.End.Less(s.Start) && s.StartPort <= s.EndPort
}

// Contains reports whether a packet with this address, protocol and port is
// covered.
func (s Selector) Contains(a netip.Addr, protocol uint8, port uint16) bool {
	return a.BitLen() == s.Start.BitLen() && !a.Less(s.Start) && !s.End.Less(a) &&
		(s.Protocol == 0 || s.Protocol == protocol) && s.StartPort <= port && port <= s.EndPort
}

// Intersect returns what both cover, and false where that is nothing.
func (s Selector) Intersect(o Selector) (Selector, bool) {
	if s.Start.BitLen() != o.Start.BitLen() || s.Protocol != 0 && o.Protocol != 0 && s.Protocol != o.Protocol {
		return Selector{}, false
	}
	r := Selector{
		Start: s.Start, End: s.End,
		Protocol:  s.Protocol | o.Protocol,
		StartPort: max(s.StartPort, o.StartPort),
		EndPort:   min(s.EndPort, o.EndPort),
	}
	if r.Start.Less(o.Start) {
		r.Start = o.Start
	}
	if o.End.Less(r.End) {
		r.End = o.End
	}
	return r, r.IsValid()
}

// Covers reports whether all that o covers is covered by s.
func (s Selector) Covers(o Selector) bool {
	r, ok := s.Intersect(o)
	return ok && r == o
}

// Prefix returns the selector as a prefix, and false where the range is none.
func (s Selector) Prefix() (netip.Prefix, bool) {
	for bits := 0; bits <= s.Start.BitLen(); bits++ {
		p := netip.PrefixFrom(s.Start, bits).Masked()
		if p.Addr() == s.Start && lastAddr(p) == s.End {
			return p, true
		}
	}
	return netip.Prefix{}, false
}

// String returns "10.0.0.0/8", or "10.0.0.1-10.0.0.9", followed by
// "[protocol/ports]" where those are narrowed.
func (s Selector) String() string {
	text := s.Start.String() + "-" + s.End.String()
	if p, ok := s.Prefix(); ok {
		text = p.String()
	}
	switch {
	case s.Protocol == 0 && s.StartPort == 0 && s.EndPort == 0xffff:
		return text
	case s.StartPort == 0 && s.EndPort == 0xffff:
		return fmt.Sprintf("%s[%d]", text, s.Protocol)
	case s.StartPort == s.EndPort:
		return fmt.Sprintf("%s[%d/%d]", text, s.Protocol, s.StartPort)
	}
	return fmt.Sprintf("%s[%d/%d-%d]", text, s.Protocol, s.StartPort, s.EndPort)
}
