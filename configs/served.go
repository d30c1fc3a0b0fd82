package configs

import (
	"net/netip"
	"slices"

	"github.com/warrenvpn/warren/context/spec"
)

// noteServed notes that the peer of a tunnel group is that of a static entry.
func (t *tenantReader) noteServed(n *node, e spec.CryptoEntry) {
	for _, c := range t.contenders {
		if c.group.Name == e.TunnelGroup {
			c.entries = append(c.entries, n)
			c.peers = append(c.peers, e.Peer)
			c.any = c.any || e.AnyAddress
		}
	}
}

// checkServed tells of tunnel groups and entries that contradict each other. What
// a peer may bring follows from its identity: a group that a static entry names is
// served by static entries alone, any other by dynamic ones.
func (t *tenantReader) checkServed() {
	dynamic := slices.ContainsFunc(t.each("crypto_map"), func(m *node) bool { return len(m.each("dynamic")) > 0 })
	for _, c := range t.contenders {
		site, isStatic := c.group.Type == spec.SiteToSite, len(c.entries) > 0
		switch {
		case isStatic && len(c.group.RemoteNetworks) > 0:
			c.at.problem(c.at.where("remote_networks"), "Networks of a static entry",
				"%s is the group of %s (%s), whose remote_networks say what its peer may bring. Remove these, or "+
					"the entry.", c.at, c.entries[0], place(c.entries[0].at))
		case isStatic:
		case !dynamic:
			c.at.warning(c.at.at, "Tunnel group without an entry",
				"No static entry names %s, and no crypto_map has a dynamic one: its peers are turned away.", c.at)
		case site && len(c.group.RemoteNetworks) == 0:
			c.at.warning(c.at.at, "Site without networks",
				"No static entry names %s, and it has no remote_networks: its peers may bring nothing.", c.at)
		case site:
			t.checkBrought(c)
		}
	}
	for _, m := range t.each("crypto_map") {
		for _, n := range m.each("static") {
			t.checkPoolsOf(n)
		}
	}
}

// checkBrought tells of networks of a site at an unknown address that are
// somebody else's.
func (t *tenantReader) checkBrought(c *contender) {
	at := c.at.where("remote_networks")
	for _, p := range c.group.RemoteNetworks {
		for _, pool := range t.t.Pools {
			if meetsPool(p, pool) {
				n, where := t.poolAt(pool)
				c.at.problem(at, "Network of clients", "%s overlaps %s (%s), whose addresses are those of clients.",
					p, n, place(where))
			}
		}
	}
	for _, m := range t.t.CryptoMaps {
		for _, e := range m.Entries {
			for _, x := range e.Remote {
				i := slices.IndexFunc(c.group.RemoteNetworks, func(p netip.Prefix) bool {
					return x.Overlaps(p) && x.Bits() >= p.Bits()
				})
				if i < 0 || e.RequestAddress {
					continue
				}
				c.at.problem(at, "Network of another site",
					"%s overlaps %s, a remote network of static %q (%s): a site may not bring what is another's.",
					c.group.RemoteNetworks[i], x, e.Name, place(t.staticCalled(e.Name).at))
			}
		}
	}
}

// staticCalled returns the block of a static entry; where there are several of
// the name, which was told, the first.
func (t *tenantReader) staticCalled(name string) *node {
	for _, m := range t.each("crypto_map") {
		for _, n := range m.each("static") {
			if n.label.text == name {
				return n
			}
		}
	}
	return t.node
}

// checkPoolsOf tells of a static entry whose peer would bring some of the
// addresses that clients get. All of them together it may cover, as 0.0.0.0/0
// does: an address that a client has goes first.
func (t *tenantReader) checkPoolsOf(n *node) {
	if n.boolean("request_address") {
		return
	}
	for _, p := range n.networks("remote_networks") {
		for _, pool := range t.t.Pools {
			if meetsPool(p, pool) && !(p.Contains(pool.Start) && p.Contains(pool.End)) {
				of, where := t.poolAt(pool)
				n.problem(n.where("remote_networks"), "Network of clients",
					"%s overlaps %s (%s), whose addresses are those of clients.", p, of, place(where))
			}
		}
	}
}

// meetsPool reports whether a network and a pool have an address in common.
func meetsPool(p netip.Prefix, pool spec.Pool) bool {
	return p.Addr().BitLen() == pool.Start.BitLen() && !lastOf(p).Less(pool.Start) && !pool.End.Less(p.Addr())
}
