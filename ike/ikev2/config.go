package ikev2

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

// Attributes outside the IANA registry that Cisco's clients ask for; sent to
// those who do.
const (
	attributeBanner   wire.AttributeType = 28672
	attributeDomain   wire.AttributeType = 28674
	attributeSplitDNS wire.AttributeType = 28675 // domains with commas between them
)

// asksAddress reports whether a CFG_REQUEST wants an address.
func asksAddress(cp wire.CP) bool {
	_, v4 := cp.Find(wire.InternalIP4Address)
	_, v6 := cp.Find(wire.InternalIP6Address)
	return v4 || v6
}

// configReply returns the CFG_REPLY for a session (RFC 7296 section 3.15): what
// was leased, and what the client needs to use it. Text goes only to those who
// asked for it. It reports false where there is nothing to say.
func configReply(request wire.CP, s *exchange.Session) (wire.CP, bool) {
	reply := wire.CP{Type: wire.CPReply}
	add := func(a wire.Attribute) { reply.Attributes = append(reply.Attributes, a) }
	for _, a := range s.Addresses {
		if a.Is4() {
			add(wire.AddrAttribute(wire.InternalIP4Address, a))
			if s.Mask > 0 {
				add(wire.MaskAttribute(s.Mask))
			}
		} else {
			add(wire.IP6AddressAttribute(a))
		}
	}
	for _, a := range s.DNS {
		add(wire.AddrAttribute(family(a, wire.InternalIP4DNS, wire.InternalIP6DNS), a))
	}
	if _, asked := request.Find(wire.InternalIP4NBNS); asked {
		for _, a := range s.WINS {
			add(wire.AddrAttribute(wire.InternalIP4NBNS, a))
		}
	}
	for _, p := range s.Split {
		add(wire.PrefixAttribute(family(p.Addr(), wire.InternalIP4Subnet, wire.InternalIP6Subnet), p))
	}
	for _, t := range []struct {
		kind  wire.AttributeType
		texts []string
	}{
		{wire.InternalDNSDomain, internalDomains(s)},
		{attributeDomain, []string{s.Domain}},
		{attributeSplitDNS, []string{strings.Join(s.SplitDNS, ",")}},
		{attributeBanner, []string{s.Banner}},
	} {
		for _, text := range t.texts {
			if _, asked := request.Find(t.kind); asked && text != "" {
				add(wire.Attribute{Type: t.kind, Value: []byte(text)})
			}
		}
	}
	return reply, len(reply.Attributes) > 0
}

// internalDomains are the values of INTERNAL_DNS_DOMAIN: what the DNS servers of the session
// are asked about. A client takes them for all that they know (RFC 8598 section 3.1), so
// they are told only with a server, and the default domain is among them.
func internalDomains(s *exchange.Session) []string {
	switch {
	case len(s.DNS) == 0:
		return nil
	case s.Domain == "" || slices.Contains(s.SplitDNS, s.Domain):
		return s.SplitDNS
	}
	return append([]string{s.Domain}, s.SplitDNS...)
}

// family picks by the family of a.
func family(a netip.Addr, v4, v6 wire.AttributeType) wire.AttributeType {
	if a.Is4() {
		return v4
	}
	return v6
}

// configRequest returns the CFG_REQUEST of a client. IPv6 is asked for where
// the entry has IPv6 behind the gateway.
func configRequest(e *entry) wire.CP {
	cp := wire.CP{Type: wire.CPRequest, Attributes: []wire.Attribute{
		{Type: wire.InternalIP4Address}, {Type: wire.InternalIP4DNS}, {Type: wire.InternalIP4Subnet},
	}}
	for _, s := range e.RemoteTS {
		if s.Start.Is6() {
			cp.Attributes = append(cp.Attributes, wire.Attribute{Type: wire.InternalIP6Address},
				wire.Attribute{Type: wire.InternalIP6DNS}, wire.Attribute{Type: wire.InternalIP6Subnet})
			break
		}
	}
	return cp
}

// foreign returns why an address that a gateway assigns is not taken, for the
// operator; "": it is. Our own hosts would lose what is theirs to the tunnel.
func (r *Rules) foreign(s *exchange.Session) string {
	for _, a := range s.Addresses {
		for _, p := range r.Own {
			if p.Contains(a) {
				return fmt.Sprintf("peer assigns %v, which is in %v, a network of ours", a, p)
			}
		}
		if a.IsLoopback() || a.IsMulticast() || a.IsLinkLocalUnicast() {
			return fmt.Sprintf("peer assigns %v, which cannot be the address of a client", a)
		}
	}
	return ""
}

// configSession reads the CFG_REPLY of a gateway.
func configSession(cp wire.CP) exchange.Session {
	var s exchange.Session
	for _, a := range cp.Attributes {
		switch a.Type {
		case wire.InternalIP4Address, wire.InternalIP6Address:
			if addr := a.Addr(); addr.IsValid() && !addr.IsUnspecified() && len(s.Addresses) < maxAssigned {
				s.Addresses = append(s.Addresses, addr)
			}
		case wire.InternalIP4DNS, wire.InternalIP6DNS:
			if addr := a.Addr(); addr.IsValid() {
				s.DNS = append(s.DNS, addr)
			}
		case wire.InternalIP4Subnet, wire.InternalIP6Subnet:
			if p, ok := a.Prefix(); ok {
				s.Split = append(s.Split, p)
			}
		}
	}
	return s
}
