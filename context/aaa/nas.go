package aaa

import (
	"fmt"
	"net/netip"
	"slices"

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
	hasIPv6 := slices.ContainsFunc(g.Addresses, netip.Addr.Is6)
	if len(g.Prefixes) > 0 && !hasIPv6 {
		out.Addresses = append(slices.Clone(g.Addresses), addressIn(g.Prefixes[0]))
	}
	return out
}

// addressIn returns the address of a client that has a prefix of its own: the first one behind
// that of routers (RFC 4291 section 2.6.1), or the only one.
func addressIn(p netip.Prefix) netip.Addr {
	if p.IsSingleIP() {
		return p.Addr()
	}
	return p.Addr().Next()
}

// forbids says why a server that lets a client in does not let it into this session; "": it
// does.
func forbids(g *radius.Grant, group string) string {
	switch {
	case g.GroupLock != "" && g.GroupLock != group:
		return fmt.Sprintf("into tunnel group %q alone (Tunnel-Group-Lock)", g.GroupLock)
	case g.Protocols != nil && *g.Protocols&radius.ProtocolIKEv2 == 0:
		return "not by IKEv2 (Tunneling-Protocols)"
	case g.SimultaneousLogins != nil && *g.SimultaneousLogins == 0:
		return "with no session at all (Simultaneous-Logins)"
	case g.Filter != "":
		return fmt.Sprintf("behind the filter %q (Filter-Id), and this gateway has none: have the server send none",
			g.Filter)
	case g.SplitPolicy == radius.TunnelOthers && len(g.SplitNetworks) > 0:
		return "with networks left out of the tunnel (IPsec-Split-Tunneling-Policy 2): a group policy can do that"
	}
	return ""
}

// tellUnapplied tells, once for each of them, of attributes that a session does not get from a
// server; nobody gets more by that.
func (a *asking) tellUnapplied(server netip.AddrPort, g *radius.Grant) {
	for _, x := range []struct {
		name string
		said bool
	}{
		{"Simultaneous-Logins (3076/2)", g.SimultaneousLogins != nil},
		{"WINS servers", len(g.WINSServers) > 0},
		{"IPsec-Default-Domain (3076/28)", g.DefaultDomain != ""},
		{"IPsec-Split-DNS-Names (3076/29)", len(g.SplitDNS) > 0},
		{"Framed-IP-Netmask", g.Netmask.IsValid()},
	} {
		if x.said && !a.unapplied[x.name] {
			a.unapplied[x.name] = true
			a.servers.cfg.Tell(radius.Event{Server: server.String(), Kind: radius.Unapplied, Detail: x.name})
		}
	}
}
