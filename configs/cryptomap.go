package configs

import (
	"net/netip"
	"slices"

	"github.com/warrenvpn/warren/context/spec"
)

// readCryptoMaps reads what is protected on which interface.
func (t *tenantReader) readCryptoMaps() {
	for _, n := range t.each("crypto_map") {
		i, ok := t.interfaceCalled(n, n.label)
		m := spec.CryptoMap{Interface: n.label.text}
		if i.Shutdown {
			n.warning(n.label.at, "Interface shut down", "Interface %q is shut down (%s): nobody can connect there.",
				i.Name, place(byLabel(t.each("interface"))[i.Name].where("shutdown")))
		}
		for _, e := range n.each("static") {
			entry := t.static(e, i, ok)
			m.Entries = append(m.Entries, entry)
			t.statics = append(t.statics, staticEntry{e, entry})
			t.noteServed(e, entry)
		}
		dynamic := n.each("dynamic")
		for _, e := range dynamic {
			m.Entries = append(m.Entries, spec.CryptoEntry{
				Name: e.label.text, Dynamic: true,
				Proposals: t.proposalsOf(e), ReverseRoute: e.boolean("reverse_route"),
			})
			e.checkLabel()
		}
		if len(dynamic) > 1 {
			n.problem(dynamic[1].at, "Two dynamic entries",
				"Every peer without a static entry falls to the first one, %s (%s); the second would never be used.",
				dynamic[0], place(dynamic[0].at))
		}
		if len(m.Entries) == 0 {
			n.problem(n.at, "Empty crypto map",
				`%s protects nothing: add dynamic "any" {} for remote access, or static "name" { ... }.`, n)
		}
		t.t.CryptoMaps = append(t.t.CryptoMaps, m)
	}
	if len(t.each("crypto_map")) == 0 {
		if len(t.t.TunnelGroups) > 0 {
			t.warning(t.each("tunnel_group")[0].at, "No crypto map",
				"No interface has a crypto_map: nobody can connect to this context.")
		}
		return
	}
	t.checkNames()
	t.checkSelection()
	t.checkServed()
	t.checkOverlaps()
}

// checkNames tells of entries of the same name, in one map or in different ones:
// commands and logs name an entry without its map. Dynamic ones of different maps
// may have one.
func (t *tenantReader) checkNames() {
	seen := map[string]*node{}
	for _, m := range t.each("crypto_map") {
		for _, e := range m.each("static") {
			if other := seen[e.label.text]; other != nil {
				e.problem(e.at, "Duplicate name", "%s is at %s already: commands and logs name an entry alone.", e,
					place(other.at))
			}
			seen[e.label.text] = e
		}
	}
	for _, m := range t.each("crypto_map") {
		for _, e := range m.each("dynamic") {
			if other := seen[e.label.text]; other != nil {
				e.problem(e.at, "Duplicate name",
					"%s and %s (%s) have one name: commands and logs name an entry alone.", e, other, place(other.at))
			}
		}
	}
}

// proposalsOf returns the proposals that an entry names: by default all of the
// context, and the built-in ones where it has none.
func (t *tenantReader) proposalsOf(n *node) []spec.IPsecProposal {
	var out []spec.IPsecProposal
	if !n.written("ipsec_proposals") {
		for _, p := range t.each("ipsec_proposal") {
			out = append(out, t.proposals[p.label.text])
		}
		if len(out) == 0 {
			out = builtInProposals()
		}
		return out
	}
	for _, it := range n.texts("ipsec_proposals") {
		p, ok := t.proposals[it.text]
		if !ok {
			n.problem(it.at, "Unknown proposal", "There is no ipsec_proposal %q.%s", it.text,
				suggest(it.text, names(t.proposals)))
			continue
		}
		out = append(out, p)
	}
	if v, ok := n.get("ipsec_proposals"); ok && len(n.elements(v)) == 0 {
		n.problem(v.at, "Empty list", "%s has no proposal; remove ipsec_proposals for the default.", n)
	}
	return out
}

// static reads one static entry of the map of interface i.
func (t *tenantReader) static(n *node, i spec.Interface, known bool) spec.CryptoEntry {
	e := spec.CryptoEntry{
		Name:           n.label.text,
		Proposals:      t.proposalsOf(n),
		ReverseRoute:   n.boolean("reverse_route"),
		Initiate:       n.choice("connection") == "start",
		RequestAddress: n.boolean("request_address"),
		AnyAddress:     n.boolean("any_address"),
		Local:          n.selectors("local_networks"),
		Remote:         n.selectors("remote_networks"),
	}
	n.checkLabel()
	if it, ok := n.textItem("peer"); ok {
		if e.Peer, ok = n.address("peer", it); ok && known {
			t.checkPeer(n, it, e.Peer, i)
		}
	}
	if it, ok := n.textItem("tunnel_group"); ok {
		e.TunnelGroup = it.text
		g := t.tunnelGroups[it.text]
		if g == nil {
			n.problem(it.at, "Unknown tunnel group", "There is no tunnel_group %q.%s", it.text,
				suggest(it.text, names(t.tunnelGroups)))
		}
		if g != nil && g.text("type") == string(spec.RemoteAccess) {
			n.problem(it.at, "Tunnel group of clients",
				"%s is for clients that connect to this context (%s); a static entry needs one of type site-to-site.",
				g, place(g.where("type")))
		}
	}
	t.checkNetworks(n, &e)
	return e
}

// checkPeer tells of a peer that cannot be reached from the interface.
func (t *tenantReader) checkPeer(n *node, it item, peer netip.Addr, i spec.Interface) {
	declared := place(byLabel(t.each("interface"))[i.Name].where("address"))
	family := slices.ContainsFunc(i.Addresses, func(p netip.Prefix) bool { return p.Addr().BitLen() == peer.BitLen() })
	if len(i.Addresses) > 0 && !family && !t.doubtful[i.Name] {
		n.problem(it.at, "Families mixed", "Interface %q (%s) has no address of the family of peer %s.", i.Name,
			declared, peer)
	}
	for _, p := range i.Addresses {
		if p.Addr() == peer {
			n.problem(it.at, "Peer is this context", "%s is the address of interface %q itself (%s).", peer,
				i.Name, declared)
		}
	}
	if peer.IsUnspecified() || peer.IsMulticast() {
		n.problem(it.at, "Unusable address", "%s cannot be a peer. For peers at any address use dynamic.", peer)
	}
}

// checkNetworks fills in and checks what an entry protects.
func (t *tenantReader) checkNetworks(n *node, e *spec.CryptoEntry) {
	switch {
	case e.RequestAddress && !e.Initiate:
		n.problem(n.where("connection"), "Address without asking",
			"request_address (%s) asks the peer when the tunnel comes up, so connection is %q.",
			place(n.where("request_address")), "start")
	case e.RequestAddress && len(e.Local) > 0:
		n.problem(n.where("local_networks"), "Networks of a client",
			"With request_address (%s) the only local address is the one that the peer assigns. Remove local_networks.",
			place(n.where("request_address")))
	case e.RequestAddress && !n.written("remote_networks"):
		e.Remote = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}
	case e.RequestAddress:
	case !n.written("local_networks"):
		n.problem(n.at, "Missing local_networks",
			`%s does not say what it protects; write, for example, local_networks = ["10.10.0.0/24"].`, n)
	case !n.written("remote_networks"):
		n.problem(n.at, "Missing remote_networks",
			`%s does not say what is behind the peer; write, for example, remote_networks = ["10.20.0.0/24"].`, n)
	}
	for _, name := range []string{"local_networks", "remote_networks"} {
		if v, ok := n.get(name); ok && len(n.elements(v)) == 0 {
			n.problem(v.at, "Empty list", "%s needs at least one network.", name)
		}
	}
	t.checkFamilies(n, e)
	for _, l := range e.Local {
		for _, r := range e.Remote {
			if l == r {
				n.problem(n.where("remote_networks"), "Network on both sides", "%s is in local_networks (%s) too.", r,
					place(n.where("local_networks")))
			}
		}
	}
}
