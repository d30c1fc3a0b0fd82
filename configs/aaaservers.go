package configs

import (
	"net/netip"
	"slices"

	"github.com/warrenvpn/warren/context/spec"
)

// The bounds of the servers of one context, and of a shared secret: below 16 characters
// whoever sees a request can try them all.
const (
	maxServerGroups = 8
	maxServers      = 16
	maxServerKey    = 128
	shortServerKey  = 16
)

// readServerGroups reads the servers that know users.
func (t *tenantReader) readServerGroups() {
	where := map[netip.AddrPort]*node{}
	for i, n := range t.each("aaa_server_group") {
		if i == maxServerGroups {
			n.problem(n.at, "Too many server groups", "A context has at most %d.", maxServerGroups)
			return
		}
		if !n.checkLabel() {
			continue
		}
		if n.label.text == spec.LocalUsers {
			n.problem(n.label.at, "Reserved name", `"LOCAL" is the users of this file: give the servers another name.`)
		}
		if p := n.line("protocol"); n.written("protocol") && p != "radius" {
			n.problem(n.where("protocol"), "Unknown protocol", "%q is no protocol of server groups; %q is the one.", p,
				"radius")
		}
		if n.boolean("accounting") {
			n.problem(n.where("accounting"), "No accounting",
				"This version sends no accounting to RADIUS servers: remove accounting, and take sessions and what "+
					"they carried from the events of the context (warren events).")
		}
		g := spec.AAAServerGroup{Name: n.label.text, DeadTime: n.duration("dead_time"),
			MaxFailed: int(n.number("max_failed_attempts"))}
		servers := n.each("server")
		if len(servers) == 0 {
			n.problem(n.at, "No server", `%s asks nobody: add server "ADDRESS" { key = "..." }.`, n)
		}
		if len(servers) > maxServers {
			n.problem(servers[maxServers].at, "Too many servers", "A group has at most %d.", maxServers)
		}
		for _, s := range servers {
			if server, ok := t.server(s, where); ok {
				g.Servers = append(g.Servers, server)
			}
		}
		t.t.AAAServers = append(t.t.AAAServers, g)
	}
}

// server reads one server; where has those before it.
func (t *tenantReader) server(n *node, where map[netip.AddrPort]*node) (s spec.AAAServer, ok bool) {
	addr, err := netip.ParseAddr(n.label.text)
	if err != nil || addr.Zone() != "" || addr.Is4In6() || addr.IsUnspecified() || addr.IsMulticast() {
		n.problem(n.label.at, "Unusable address",
			"%q is not the address of a server: names are not resolved here, write the address, such as "+
				`server "10.10.190.100".`, n.label.text)
		return s, false
	}
	s = spec.AAAServer{Address: addr, Port: uint16(n.number("authentication_port")), Timeout: n.duration("timeout"),
		Retries: int(n.number("retries"))}
	if n.written("interface") {
		name, _ := n.textItem("interface")
		i, known := t.interfaceCalled(n, name)
		s.Interface = name.text
		sameFamily := func(p netip.Prefix) bool { return p.Addr().Is4() == addr.Is4() }
		if known && !slices.ContainsFunc(i.Addresses, sameFamily) {
			n.problem(name.at, "Families mixed",
				"Interface %q has no address of the family of %s: requests have one of its addresses.", i.Name, addr)
		}
		if i.Shutdown {
			n.warning(name.at, "Interface shut down", "Interface %q is shut down (%s): the server cannot be reached.",
				i.Name, place(byLabel(t.each("interface"))[i.Name].where("shutdown")))
		}
	}
	if v, written := n.get("key"); written {
		key, isKey := n.secret(v, t.origin, bounds{1, maxServerKey, shortServerKey})
		if !isKey {
			return s, false
		}
		s.Key = t.keep(key)
	}
	if other := where[s.Endpoint()]; other != nil && other.line("interface") != s.Interface {
		n.problem(n.at, "Two ways to one server", "%s is reached over another interface at %s. A server has one.", n,
			place(other.at))
	} else if other == nil {
		where[s.Endpoint()] = n
	}
	return s, true
}
