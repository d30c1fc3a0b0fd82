package configs

import (
	"slices"
	"strings"
	"time"

	"github.com/warrenvpn/warren/context/spec"
)

// readGroupPolicies reads the group policies. What one leaves out it inherits
// from DfltGrpPolicy, which is there even where the file has none.
func (t *tenantReader) readGroupPolicies() {
	base := spec.GroupPolicy{Name: defaultGroupPolicy, TunnelProtocols: defaultTunnelProtocols}
	if n := t.groupPolicies[defaultGroupPolicy]; n != nil {
		base = t.groupPolicy(n, base)
	}
	t.t.GroupPolicies = []spec.GroupPolicy{base}
	for _, n := range t.each("group_policy") {
		if n.label.text != defaultGroupPolicy && n.checkLabel() {
			t.t.GroupPolicies = append(t.t.GroupPolicies, t.groupPolicy(n, base))
		}
	}
}

// groupPolicy reads one group policy, which inherits from g.
func (t *tenantReader) groupPolicy(n *node, g spec.GroupPolicy) spec.GroupPolicy {
	g.Name = n.label.text
	if n.written("dns_servers") {
		g.DNSServers = n.addresses("dns_servers")
		if len(g.DNSServers) > maxDNSServers {
			n.problem(n.where("dns_servers"), "Too many DNS servers", "A client is told at most %d.", maxDNSServers)
		}
	}
	g.DefaultDomain = n.line("default_domain", g.DefaultDomain, 253)
	if n.written("split_tunnel") {
		g.SplitTunnel = n.networks("split_tunnel")
	}
	if n.written("address_pools") {
		g.AddressPools = t.poolNames(n)
	}
	if n.written("tunnel_protocols") {
		g.TunnelProtocols = nil
		for _, it := range n.texts("tunnel_protocols") {
			if !slices.Contains(defaultTunnelProtocols, it.text) {
				n.problem(it.at, "Unknown protocol", "%q is no tunnel protocol of Warren.%s", it.text, suggest(it.text, defaultTunnelProtocols))
				continue
			}
			g.TunnelProtocols = append(g.TunnelProtocols, it.text)
		}
		if len(n.texts("tunnel_protocols")) == 0 {
			n.problem(n.where("tunnel_protocols"), "Empty list", "Without a protocol nobody can connect; remove tunnel_protocols for the default.")
		}
	}
	g.SessionTimeout = n.duration("session_timeout", g.SessionTimeout, time.Minute, 365*24*time.Hour, "never")
	g.IdleTimeout = n.duration("idle_timeout", g.IdleTimeout, time.Minute, 365*24*time.Hour, "never")
	if g.Banner = n.text("banner", g.Banner); len(g.Banner) > maxBanner {
		n.problem(n.where("banner"), "Banner too long", "A banner has at most %d bytes.", maxBanner)
	}
	g.SimultaneousLogins = int(n.number("simultaneous_logins", int64(g.SimultaneousLogins), 0, 1_000_000))
	return g
}

// poolNames returns address_pools, each of which exists.
func (t *tenantReader) poolNames(n *node) []string {
	var out []string
	for _, it := range n.texts("address_pools") {
		if t.pools[it.text] == nil {
			n.problem(it.at, "Unknown pool", "There is no ip_pool %q.%s", it.text, suggest(it.text, names(t.pools)))
			continue
		}
		out = append(out, it.text)
	}
	if len(out) > maxPools {
		n.problem(n.where("address_pools"), "Too many pools", "A group has at most %d pools.", maxPools)
	}
	return out
}

// readTunnelGroups reads the connection profiles.
func (t *tenantReader) readTunnelGroups() {
	for _, n := range t.each("tunnel_group") {
		if n.checkLabel() {
			t.t.TunnelGroups = append(t.t.TunnelGroups, t.tunnelGroup(n))
		}
	}
}

func (t *tenantReader) tunnelGroup(n *node) spec.TunnelGroup {
	g := spec.TunnelGroup{
		Name:         n.label.text,
		Policy:       defaultGroupPolicy,
		AddressPools: t.poolNames(n),
		DPD:          n.duration("dpd", defaultDPD, 10*time.Second, time.Hour, "never ask"),
	}
	if n.written("type") {
		g.Type = spec.TunnelGroupType(n.choice("type", string(spec.RemoteAccess), string(spec.RemoteAccess), string(spec.SiteToSite)))
	}
	if it, ok := n.textItem("default_group_policy"); ok {
		if g.Policy = it.text; it.text != defaultGroupPolicy && t.groupPolicies[it.text] == nil {
			n.problem(it.at, "Unknown group policy", "There is no group_policy %q.%s", it.text, suggest(it.text, names(t.groupPolicies)))
		}
	}
	if g.Type == spec.SiteToSite && len(g.AddressPools) > 0 {
		n.problem(n.where("address_pools"), "Pools for a site", "%s is of type site-to-site (%s): its peers bring their own networks. Remove address_pools.", n, place(n.where("type")))
	}
	if g.Type == spec.RemoteAccess && len(g.AddressPools) == 0 && !t.hasPools(g.Policy) {
		n.warning(n.at, "No address pool", "Neither %s nor its group policy %q has address_pools: clients that ask for an address are turned away.", n, g.Policy)
	}
	if len(n.each("ikev2")) == 0 {
		n.problem(n.at, "Missing ikev2", "%s does not say how the two sides authenticate: add ikev2 { local_authentication = ..., remote_authentication = ... }.", n)
		return g
	}
	t.readAuthentication(n.one("ikev2"), &g)
	return g
}

// hasPools reports whether a group policy brings pools.
func (t *tenantReader) hasPools(policy string) bool {
	return slices.ContainsFunc(t.t.GroupPolicies, func(g spec.GroupPolicy) bool {
		return g.Name == policy && len(g.AddressPools) > 0
	})
}

// readAuthentication reads the block "ikev2" of a tunnel group.
func (t *tenantReader) readAuthentication(n *node, g *spec.TunnelGroup) {
	g.LocalIdentity = n.line("local_identity", "", 255)
	if v, ok := n.get("local_identity"); ok && (strings.ContainsAny(g.LocalIdentity, "*?") || g.LocalIdentity == "") {
		n.problem(v.at, "Unusable identity", `local_identity is one identity, such as "gw.example", "gw@example" or "198.51.100.1", not a pattern.`)
	}
	for _, it := range n.texts("remote_identity") {
		if it.text == "" || len(it.text) > 255 || strings.ContainsFunc(it.text, isControl) {
			n.problem(it.at, "Unusable identity", `remote_identity is a pattern of identities, such as "*.example", "198.51.100.1", or "*".`)
			continue
		}
		g.RemoteIdentities = append(g.RemoteIdentities, it.text)
	}
	if len(g.RemoteIdentities) == 1 && g.RemoteIdentities[0] == "*" {
		g.RemoteIdentities = nil
	}
	g.LocalPSK = t.authentication(n, "local_authentication")
	g.RemotePSK = t.authentication(n, "remote_authentication")
}

// authentication reads how one side proves who it is.
func (t *tenantReader) authentication(n *node, name string) spec.SecretRef {
	v, ok := n.get(name)
	if !ok {
		return 0
	}
	fs, isObject := n.fields(v, "pre_shared_key")
	if !isObject || len(fs) != 1 {
		if !isObject || len(fs) > 1 {
			n.wrong(v, `how a side proves who it is: { pre_shared_key = "..." }`)
		} else {
			n.problem(v.at, "Missing pre_shared_key", `%s needs one: { pre_shared_key = "..." }.`, name)
		}
		return 0
	}
	key, ok := n.secret(fs[0].val, t.origin, bounds{1, maxPSK})
	if !ok {
		return 0
	}
	return t.keep(key)
}
