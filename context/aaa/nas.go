package aaa

import (
	"fmt"
	"net/netip"

	"github.com/warrenvpn/warren/context/aaa/radius"
	"github.com/warrenvpn/warren/context/spec"
)

// describe returns what every request says about a client and about us: in the words of
// strongSwan's gateways, whose servers ours are, too.
func (s *Servers) describe(r *Request) (radius.Attributes, error) {
	return radius.Describe(&radius.NAS{
		User:       r.Identity,
		Address:    r.Local.Addr(),
		Identifier: s.cfg.Tenant,
		Port:       r.Group,
		Called:     station(r.Local),
		Calling:    station(r.Remote),
	})
}

// station is an address and port as others write it: "192.0.2.1[4500]".
func station(a netip.AddrPort) string { return fmt.Sprintf("%s[%d]", a.Addr(), a.Port()) }

// attributesOf returns what a server says about a session in the words of the
// configuration.
func attributesOf(g *radius.Grant) spec.Attributes {
	out := spec.Attributes{
		GroupPolicy: g.GroupPolicy, Addresses: g.Addresses, Pools: g.Pools, DNSServers: g.DNSServers, Banner: g.Banner,
		SessionTimeout: g.SessionTimeout, IdleTimeout: g.IdleTimeout, Class: g.Class,
	}
	if g.SplitPolicy != radius.TunnelAll {
		out.SplitTunnel = g.SplitNetworks
	}
	return out
}
