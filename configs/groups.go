package configs

import (
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/ike/identity"
)

// readTunnelGroups reads the connection profiles.
func (t *tenantReader) readTunnelGroups() {
	for _, n := range t.each("tunnel_group") {
		if n.checkLabel() {
			t.t.TunnelGroups = append(t.t.TunnelGroups, t.tunnelGroup(n))
		}
	}
	t.inheritGroups()
	for i := range t.t.TunnelGroups {
		g := &t.t.TunnelGroups[i]
		if n := t.tunnelGroups[g.Name]; g.Type == spec.RemoteAccess && !namesPools(n) &&
			!namesPools(t.defaultGroupOf(g)) && !t.policyNamesPools(g.Policy) {
			n.warning(n.at, "No address pool",
				"Neither %s nor its group policy %q has address_pools: clients that ask for an address are turned "+
					"away.", n, g.Policy)
		}
	}
}

// defaultGroupOf returns the tunnel group that g inherits from; nil: none is written, or
// it is g itself.
func (t *tenantReader) defaultGroupOf(g *spec.TunnelGroup) *node {
	name := spec.DefaultRAGroup
	if g.Type == spec.SiteToSite {
		name = spec.DefaultL2LGroup
	}
	if g.Name == name {
		return nil
	}
	return t.tunnelGroups[name]
}

// inheritGroups gives tunnel groups what they leave out and the default group of their
// type has: DefaultRAGroup and DefaultL2LGroup, as far as they are of that type.
func (t *tenantReader) inheritGroups() {
	for i := range t.t.TunnelGroups {
		g := &t.t.TunnelGroups[i]
		base := t.defaultGroupOf(g)
		if base == nil {
			continue
		}
		j := slices.IndexFunc(t.t.TunnelGroups, func(o spec.TunnelGroup) bool { return o.Name == base.label.text })
		if j < 0 || t.t.TunnelGroups[j].Type != g.Type {
			continue
		}
		from, n := &t.t.TunnelGroups[j], t.tunnelGroups[g.Name]
		for _, a := range []struct {
			name string
			copy func()
		}{
			{"default_group_policy", func() { g.Policy = from.Policy }},
			{"address_pools", func() { g.AddressPools, g.InterfacePools = from.AddressPools, from.InterfacePools }},
			{"dpd", func() { g.DPD = from.DPD }},
			{"unique", func() { g.Unique = from.Unique }},
		} {
			if base.written(a.name) && !n.written(a.name) {
				a.copy()
				g.Inherits = append(g.Inherits, a.name)
			}
		}
	}
}

func (t *tenantReader) tunnelGroup(n *node) spec.TunnelGroup {
	g := spec.TunnelGroup{
		Name:   n.label.text,
		Policy: defaultGroupPolicy,
		DPD:    n.duration("dpd"),
		Unique: spec.Unique(n.choice("unique")),
	}
	g.AddressPools, g.InterfacePools = t.poolNames(n)
	if n.written("remote_networks") {
		g.RemoteNetworks = n.selectors("remote_networks")
	}
	if n.written("type") {
		g.Type = spec.TunnelGroupType(n.choice("type"))
	}
	if it, ok := n.textItem("default_group_policy"); ok {
		if g.Policy = it.text; it.text != defaultGroupPolicy && t.groupPolicies[it.text] == nil {
			n.problem(it.at, "Unknown group policy", "There is no group_policy %q.%s", it.text,
				suggest(it.text, names(t.groupPolicies)))
		}
	}
	if g.Type == spec.SiteToSite && namesPools(n) {
		n.problem(n.where("address_pools"), "Pools for a site",
			"%s is of type site-to-site (%s): its peers bring their own networks. Remove address_pools.", n,
			place(n.where("type")))
	}
	if g.Type == spec.RemoteAccess && n.written("remote_networks") {
		n.problem(n.where("remote_networks"), "Networks of a client",
			"%s is of type remote-access (%s): its peers get an address, and bring no networks. "+
				"Remove remote_networks.", n, place(n.where("type")))
	}
	if len(n.each("ikev2")) == 0 {
		n.problem(n.at, "Missing ikev2",
			"%s does not say how the two sides authenticate: add ikev2 { local_authentication = ..., "+
				"remote_authentication = ... }.", n)
		return g
	}
	t.readAuthentication(n, n.one("ikev2"), &g)
	return g
}

// namesPools reports whether a tunnel group or a group policy has address_pools,
// also where they are an error, which says enough. nil has none.
func namesPools(n *node) bool {
	if n == nil || n.none("address_pools") {
		return false
	}
	v, usable := n.get("address_pools")
	return n.written("address_pools") && (!usable || !v.val.CanIterateElements() || v.val.LengthInt() > 0)
}

// policyNamesPools is namesPools of a group policy, or of the default one where it
// inherits from that; a policy that there is not is an error, which says enough.
func (t *tenantReader) policyNamesPools(policy string) bool {
	n, base := t.groupPolicies[policy], t.groupPolicies[defaultGroupPolicy]
	if n == nil && policy != defaultGroupPolicy {
		return true
	}
	if n == nil || !n.written("address_pools") {
		n = base
	}
	return n != nil && namesPools(n)
}

// readAuthentication reads the block "ikev2" of a tunnel group.
func (t *tenantReader) readAuthentication(owner, n *node, g *spec.TunnelGroup) {
	c := &contender{at: owner}
	g.LocalIdentity = n.localIdentity()
	c.patterns = n.remoteIdentities(owner.at)
	if len(c.patterns) != 1 || !c.patterns[0].Everybody() {
		for _, p := range c.patterns {
			g.RemoteIdentities = append(g.RemoteIdentities, p.Pattern)
		}
	}
	switch f, ok := n.proof("local_authentication", "pre_shared_key", "certificate"); {
	case !n.written("local_authentication"):
		g.Local = t.sharedCertificate(n, g)
	case !ok:
	case f.name.text == "certificate":
		g.Local = t.localCertificate(n, f.val, g)
	default:
		g.Local = spec.PSK{Key: t.preSharedKey(n, f.val)}
	}
	switch f, ok := n.proof("remote_authentication", "pre_shared_key", "pre_shared_keys", "certificate", "eap"); {
	case !ok:
	case f.name.text == "eap":
		g.Remote = t.readEAP(owner, n, f.val, g)
	case f.name.text == "certificate":
		g.Remote = t.remoteCertificate(n, f.val)
	case f.name.text == "pre_shared_keys":
		g.Remote = t.preSharedKeys(n, f.val, c.patterns)
	default:
		key := t.preSharedKey(n, f.val)
		g.Remote = spec.PSK{Key: key}
		t.noteKey(t.t.Secret(key), keyHolder{owner.String(), g.RemoteIdentities, f.val.at})
	}
	t.readSignatureHash(n, g)
	owner.checkServers(g)
	c.group = *g
	t.contenders = append(t.contenders, c)
}

// readSignatureHash reads which hash RSA signatures have where the peer knows nothing of
// RFC 7427.
func (t *tenantReader) readSignatureHash(n *node, g *spec.TunnelGroup) {
	g.RSASHA1 = n.choice("rsa_sig_hash") == "sha1"
	_, ours := g.Local.(spec.Certificate)
	_, theirs := g.Remote.(spec.Certificate)
	switch at := n.where("rsa_sig_hash"); {
	case !n.written("rsa_sig_hash"):
	case !ours && !theirs:
		n.problem(at, "Nothing is signed", "rsa_sig_hash is about certificates, and neither side has one. Remove it.")
	case g.RSASHA1:
		n.warning(at, "Weak signature", "Who can make two texts with one SHA-1 hash may be taken for a peer. "+
			`Use rsa_sig_hash = "sha1" for old peers alone, in a tunnel group of their own.`)
	}
}

// proof returns how one side proves who it is: one of the ways, which are
// entries of an object.
func (n *node) proof(name string, ways ...string) (field, bool) {
	v, ok := n.get(name)
	if !ok {
		return field{}, false
	}
	switch fs, isObject := n.fields(v, ways...); {
	case !isObject:
		n.wrong(v, `how a side proves who it is: { pre_shared_key = "..." } or { certificate = "..." }`)
	case len(fs) == 0:
		n.problem(v.at, "Missing "+ways[0], `%s needs one: { pre_shared_key = "..." } or { certificate = "..." }.`, name)
	case len(fs) > 1:
		n.problem(fs[1].name.at, "Two ways to prove it", "%s has one entry, and %s (%s) is there already.", name,
			fs[0].name.text, place(fs[0].name.at))
	default:
		return fs[0], true
	}
	return field{}, false
}

// preSharedKey reads one key and keeps it beside the specification; 0 where it
// cannot be used, which is told.
func (t *tenantReader) preSharedKey(n *node, v *value) spec.SecretRef {
	key, ok := n.secret(v, t.origin, bounds{1, maxPSK, shortPSK})
	if !ok {
		return 0
	}
	return t.keep(key)
}

// namedKey is where an identity has got its key.
type namedKey struct {
	id identity.Identity
	at hcl.Range
}

// preSharedKeys reads keys by identity, for a group of the patterns.
func (t *tenantReader) preSharedKeys(n *node, v *value, patterns []peerPattern) spec.PSKs {
	fs, isObject := n.entries(v)
	switch {
	case !isObject:
		n.wrong(v, `a key for each identity: { "alice@example" = "...", "bob@example" = { file = "..." } }`)
		return nil
	case len(fs) == 0 && !v.broken:
		n.problem(v.at, "Empty list", "Without a key nobody can connect; pre_shared_keys has one for each identity.")
	}
	var out spec.PSKs
	seen := map[string][]namedKey{}
	for _, f := range fs {
		if hasFreeStar(f.name.text) || f.name.text == "" {
			n.problem(f.name.at, "Unusable identity",
				`pre_shared_keys has a key for each identity, such as "alice@example", and not for patterns. For all identities together write pre_shared_key.`)
			continue
		}
		id, ok := n.identity(f.name)
		if !ok {
			continue
		}
		bucket := strings.ToLower(id.String())
		twice := slices.IndexFunc(seen[bucket], func(k namedKey) bool { return k.id.Equal(id) })
		switch {
		case twice >= 0:
			n.problem(f.name.at, "Duplicate value", "%q has a key already (%s).", f.name.text,
				place(seen[bucket][twice].at))
			continue
		case len(patterns) > 0 && !slices.ContainsFunc(patterns, func(p peerPattern) bool { return p.Matches(id) }):
			n.problem(f.name.at, "Key of nobody",
				"%q is not among remote_identity (%s): whoever says to be that never gets to this tunnel group.",
				f.name.text, place(n.where("remote_identity")))
			continue
		}
		seen[bucket] = append(seen[bucket], namedKey{id, f.name.at})
		key := t.preSharedKey(n, f.val)
		t.noteKey(t.t.Secret(key), keyHolder{name: strconv.Quote(f.name.text), at: f.val.at})
		out = append(out, spec.IdentityPSK{Identity: id, PSK: key})
	}
	return out
}
