package plan

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/ike/identity"
)

// concerned names what of a tenant has changed that SAs which stand may depend
// on: what the worker ends or rekeys some for.
func concerned(old, w *spec.Tenant) []string {
	var list []string
	add := func(changed bool, what string) {
		if changed {
			list = append(list, what)
		}
	}
	for _, g := range old.TunnelGroups {
		i := slices.IndexFunc(w.TunnelGroups, func(n spec.TunnelGroup) bool { return n.Name == g.Name })
		if i < 0 {
			add(true, fmt.Sprintf("tunnel_group %q", g.Name))
			continue
		}
		n := w.TunnelGroups[i]
		add(!sameKeys(old, g, w, n), fmt.Sprintf("keys of tunnel_group %q", g.Name))
		add(g.Type != n.Type || g.LocalIdentity != n.LocalIdentity ||
			!slices.EqualFunc(g.RemoteIdentities, n.RemoteIdentities, identity.Pattern.Equal),
			fmt.Sprintf("identities of tunnel_group %q", g.Name))
		add(!slices.Equal(g.RemoteNetworks, n.RemoteNetworks) || g.Policy != n.Policy ||
			!samePools(g.AddressPools, g.InterfacePools, n.AddressPools, n.InterfacePools),
			fmt.Sprintf("networks and pools of tunnel_group %q", g.Name))
	}
	add(!slices.EqualFunc(old.CertificateMaps, w.CertificateMaps, func(a, b spec.CertificateMap) bool {
		return a.Name == b.Name && a.TunnelGroup == b.TunnelGroup && slices.Equal(a.Rules, b.Rules)
	}), "certificate maps")
	for _, n := range w.TunnelGroups { // a new one may be for peers of another
		add(!slices.ContainsFunc(old.TunnelGroups, func(g spec.TunnelGroup) bool { return n.Name == g.Name }),
			fmt.Sprintf("tunnel_group %q", n.Name))
	}
	for _, p := range old.GroupPolicies {
		i := slices.IndexFunc(w.GroupPolicies, func(n spec.GroupPolicy) bool { return n.Name == p.Name })
		if i < 0 {
			continue // a group that had it has another one now
		}
		n := w.GroupPolicies[i]
		add(!slices.Equal(p.SplitTunnel, n.SplitTunnel) ||
			!samePools(p.AddressPools, p.InterfacePools, n.AddressPools, n.InterfacePools) ||
			!slices.Equal(p.TunnelProtocols, n.TunnelProtocols),
			fmt.Sprintf("networks, pools and protocols of group_policy %q", p.Name))
	}
	for _, u := range old.Users {
		i := slices.IndexFunc(w.Users, func(n spec.User) bool { return n.Name == u.Name })
		add(i < 0 || !sameGrants(u.Attributes, w.Users[i].Attributes), fmt.Sprintf("user %q", u.Name))
	}
	for _, n := range w.Users { // whoever had this name has what it says now
		add(!slices.ContainsFunc(old.Users, func(u spec.User) bool { return n.Name == u.Name }),
			fmt.Sprintf("user %q", n.Name))
	}
	for _, p := range old.Pools {
		has := slices.ContainsFunc(w.Pools, func(n spec.Pool) bool {
			// it is as large as before, or larger
			return n.Name == p.Name && n.Dedicated == p.Dedicated && !p.Start.Less(n.Start) && !n.End.Less(p.End)
		})
		add(!has, fmt.Sprintf("ip_pool %q", p.Name))
	}
	for _, n := range w.Pools { // somebody else may have the address
		add(n.Dedicated != "" && !slices.Contains(old.Pools, n),
			fmt.Sprintf("address %v of user %q", n.Start, n.Dedicated))
	}
	before, after := entriesOf(old), entriesOf(w)
	for _, name := range slices.Sorted(maps.Keys(before)) {
		add(before[name] != after[name], "crypto_map entry "+name)
	}
	return list
}

// sameGrants reports whether what is said of a user lets the sessions that stand be.
func sameGrants(a, b spec.Attributes) bool {
	return a.GroupPolicy == b.GroupPolicy && slices.Equal(a.Addresses, b.Addresses) &&
		slices.Equal(a.Pools, b.Pools) && slices.Equal(a.SplitTunnel, b.SplitTunnel)
}

// samePools reports whether pools, and those by interface, are the same. None at all and
// those of somebody else are not.
func samePools(a []string, aby []spec.InterfacePools, b []string, bby []spec.InterfacePools) bool {
	return slices.Equal(a, b) && (a == nil) == (b == nil) &&
		slices.EqualFunc(aby, bby, func(x, y spec.InterfacePools) bool {
			return x.Interface == y.Interface && slices.Equal(x.Pools, y.Pools)
		})
}

// sameKeys reports whether a tunnel group has the same keys in two versions.
func sameKeys(old *spec.Tenant, g spec.TunnelGroup, w *spec.Tenant, n spec.TunnelGroup) bool {
	return sameCredential(old, g.Local, w, n.Local) && sameCredential(old, g.Remote, w, n.Remote)
}

// sameCredential reports whether the credential a of one version proves what b of
// another does.
func sameCredential(old *spec.Tenant, a spec.Credential, w *spec.Tenant, b spec.Credential) bool {
	same := func(a, b spec.SecretRef) bool { return old.Secret(a).Equal(w.Secret(b)) }
	switch a := a.(type) {
	case spec.PSK:
		b, ok := b.(spec.PSK)
		return ok && same(a.Key, b.Key)
	case spec.PSKs:
		b, ok := b.(spec.PSKs)
		return ok && slices.EqualFunc(a, b, func(x, y spec.IdentityPSK) bool {
			return x.Identity == y.Identity && same(x.PSK, y.PSK)
		})
	case spec.EAP: // who is let in by it, is asked at the next login
		_, ok := b.(spec.EAP)
		return ok
	case spec.Certificate: // one of ours that was renewed proves the same
		b, ok := b.(spec.Certificate)
		after := authoritiesOf(w, b.Trustpoint)
		return ok && !slices.ContainsFunc(authoritiesOf(old, a.Trustpoint), func(x []byte) bool {
			return !slices.ContainsFunc(after, func(y []byte) bool { return bytes.Equal(x, y) })
		})
	}
	return a == nil && b == nil
}

// authoritiesOf are those that a trustpoint trusts.
func authoritiesOf(t *spec.Tenant, trustpoint string) [][]byte {
	for i := range t.Trustpoints {
		if p := &t.Trustpoints[i]; p.Name == trustpoint {
			return p.Authorities
		}
	}
	return nil
}

// entriesOf is what of each crypto map entry decides about who its SAs are with
// and what they carry.
func entriesOf(t *spec.Tenant) map[string]string {
	list := map[string]string{}
	for _, m := range t.CryptoMaps {
		for _, e := range m.Entries {
			list[fmt.Sprintf("%q on %s", e.Name, m.Interface)] = fmt.Sprint(e.Dynamic, e.Peer, e.AnyAddress,
				e.TunnelGroup, e.RequestAddress, e.Local, e.Remote)
		}
	}
	return list
}
