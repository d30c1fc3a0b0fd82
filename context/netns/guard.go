package netns

import (
	"net/netip"
	"slices"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/policy"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/failover"
)

// maxCarried bounds what is remembered of tunnels that the configuration has no
// longer.
const maxCarried = 4096

var (
	anyIPv4 = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	anyIPv6 = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
)

// guarded is a network behind the tunnel. Whatever goes there is given to the
// data plane, which drops and counts what no SA stands for: it never leaves
// beside the tunnel.
type guarded struct {
	prefix netip.Prefix
	source netip.Addr // of our own packets to it; invalid: whatever the kernel takes
	metric int        // of its route
	// whole says that those there reach what is outside through the tunnel: what
	// answers them may come in clear over an interface with a crypto map.
	whole bool

	asked control.Route // of what a child SA carries
}

// guardedLocked are the networks behind the tunnel: what child SAs that stand
// were reported to carry, the pools, what the crypto maps protect, whether there
// is an SA for it or not, and what tunnels have carried before the configuration
// changed.
func (g *Gateway) guardedLocked() []guarded {
	t := g.tenant
	var list []guarded
	add := func(p netip.Prefix, source netip.Addr, metric int, whole bool) {
		list = append(list, guarded{prefix: p.Masked(), source: g.sourceLocked(source), metric: metric, whole: whole})
	}
	if g.serves() {
		for p, r := range g.asked.routes {
			add(p, r.source, r.metric, r.whole)
		}
	}
	wholePool := wholePools(t)
	for _, p := range t.Pools {
		if p.Dedicated != "" && leasesBeside(t, p) {
			continue // it is guarded as a part of that pool
		}
		source, whole := insideAddress(t, p.Start.Is4(), nil), wholePool(p)
		for _, prefix := range control.Cover(p.Start, p.End) {
			add(prefix, source, metricTunnel, whole)
		}
	}
	for e := range staticEntries(t) {
		for _, p := range e.Remote {
			var source netip.Addr
			if !e.RequestAddress {
				source = insideAddress(t, p.Addr().Is4(), e.Local)
			}
			add(p, source, metricGuard, overlapOutside(t, e.Local))
		}
	}
	for _, p := range dynamicNetworks(t) {
		add(p, insideAddress(t, p.Addr().Is4(), nil), metricGuard, false)
	}
	for p := range g.carried {
		add(p, netip.Addr{}, metricGuard, false)
	}
	slices.SortStableFunc(list, func(a, b guarded) int { return a.prefix.Compare(b.prefix) })
	return list
}

// standingLocked is how the namespace takes what a child SA that stands carries.
func (g *Gateway) standingLocked(r control.Route) guarded {
	p := r.Destination
	local := g.sites.localOf(p)
	out := guarded{prefix: p, source: r.Source, metric: metricGuard, whole: overlapOutside(g.tenant, local), asked: r}
	if !g.oursLocked(r.Source) {
		out.source = insideAddress(g.tenant, p.Addr().Is4(), local)
	}
	if g.sites.reverseRoute(p) {
		out.metric = metricTunnel
	}
	return out
}

// oursLocked reports whether a is an address of the tunnel device or of an
// interface.
func (g *Gateway) oursLocked(a netip.Addr) bool {
	if !a.IsValid() {
		return false
	}
	if _, ok := g.asked.addresses[netip.PrefixFrom(a, a.BitLen())]; ok {
		return true
	}
	return slices.ContainsFunc(g.tenant.Interfaces, func(i spec.Interface) bool {
		return slices.ContainsFunc(i.Addresses, func(p netip.Prefix) bool { return p.Addr() == a })
	})
}

// serves reports whether the tunnel is in force here.
func (g *Gateway) serves() bool { return g.role == failover.RoleActive }

// replaceLocked makes t the configuration, and goes on guarding what the pools of
// the one before have leased: sessions may stand for a while, and what is sent to
// them was never meant to be read on the way.
func (g *Gateway) replaceLocked(t *spec.Tenant) {
	for _, p := range g.tenant.Pools {
		if !slices.Contains(t.Pools, p) {
			for _, q := range control.Cover(p.Start, p.End) {
				g.carryLocked(q)
			}
		}
	}
	g.tenant, g.sites = t, sitesOf(t)
	for p, r := range g.asked.routes {
		g.asked.routes[p] = g.standingLocked(r.asked)
	}
	g.tidyCarriedLocked()
}

// carryLocked remembers that a tunnel has carried p.
func (g *Gateway) carryLocked(p netip.Prefix) {
	if len(g.carried) < maxCarried {
		g.carried[p] = struct{}{}
	}
}

// tidyCarriedLocked forgets the networks that no SA stands for and of which the
// configuration says, other than by the default route, where they are now.
func (g *Gateway) tidyCarriedLocked() {
	known := placed(g.tenant)
	for p := range g.carried {
		if _, stands := g.asked.routes[p]; !stands && within(known, p) {
			delete(g.carried, p)
		}
	}
}

// configured are the networks behind the tunnel that the configuration names.
func configured(t *spec.Tenant) (list []netip.Prefix) {
	for _, p := range t.Pools {
		list = append(list, control.Cover(p.Start, p.End)...)
	}
	for e := range staticEntries(t) {
		list = append(list, e.Remote...)
	}
	return append(list, dynamicNetworks(t)...)
}

// dynamicNetworks are what sites may bring that a dynamic entry serves.
func dynamicNetworks(t *spec.Tenant) (list []netip.Prefix) {
	for _, g := range t.TunnelGroups {
		if g.Type == spec.SiteToSite {
			list = append(list, g.RemoteNetworks...)
		}
	}
	return list
}

// placed are the networks of which the configuration says where they are, without
// the default route.
func placed(t *spec.Tenant) []netip.Prefix { return append(placedAt(t, true), placedAt(t, false)...) }

// placedAt are those at interfaces with a crypto map, or at the others.
func placedAt(t *spec.Tenant, outside bool) (list []netip.Prefix) {
	for _, i := range t.Interfaces {
		for _, p := range i.Addresses {
			if mapped(t, i.Name) == outside {
				list = append(list, p.Masked())
			}
		}
	}
	for _, r := range t.Routes {
		if !isAny(r.Destination) && mapped(t, r.Interface) == outside {
			list = append(list, r.Destination.Masked())
		}
	}
	return list
}

// hiddenLocked are the subnets of interfaces with a crypto map that lie within
// what a tunnel carries.
func (g *Gateway) hiddenLocked(list []guarded) (out []netip.Prefix) {
	for _, i := range g.tenant.Interfaces {
		for _, p := range addressesOf(i, g.role) {
			if mapped(g.tenant, i.Name) && !p.IsSingleIP() && covered(list, p.Masked()) {
				out = append(out, p.Masked())
			}
		}
	}
	return out
}

// staticEntries yields the entries of all crypto maps that name their networks.
func staticEntries(t *spec.Tenant) func(yield func(spec.CryptoEntry) bool) {
	return func(yield func(spec.CryptoEntry) bool) {
		for _, m := range t.CryptoMaps {
			for _, e := range m.Entries {
				if !e.Dynamic && !yield(e) {
					return
				}
			}
		}
	}
}

// sites finds the static entries that protect a network. What an SA carries is
// most often one of the very networks of its entry.
type sites struct {
	exact   map[netip.Prefix][]spec.CryptoEntry
	all     []spec.CryptoEntry
	dynamic bool // a dynamic entry has reverse_route
}

func sitesOf(t *spec.Tenant) sites {
	s := sites{exact: make(map[netip.Prefix][]spec.CryptoEntry), all: slices.Collect(staticEntries(t))}
	for _, e := range s.all {
		for _, p := range e.Remote {
			s.exact[p.Masked()] = append(s.exact[p.Masked()], e)
		}
	}
	for _, m := range t.CryptoMaps {
		for _, e := range m.Entries {
			s.dynamic = s.dynamic || e.Dynamic && e.ReverseRoute
		}
	}
	return s
}

// of are the entries that protect p.
func (s sites) of(p netip.Prefix) []spec.CryptoEntry {
	if list := s.exact[p]; len(list) > 0 {
		return list
	}
	return slices.DeleteFunc(slices.Clone(s.all), func(e spec.CryptoEntry) bool { return !within(e.Remote, p) })
}

// localOf are our networks in the entries that protect p.
func (s sites) localOf(p netip.Prefix) (list []netip.Prefix) {
	for _, e := range s.of(p) {
		list = append(list, e.Local...)
	}
	return list
}

// reverseRoute reports whether a route to p, while an SA carries it, comes before
// a static one of the same length.
func (s sites) reverseRoute(p netip.Prefix) bool {
	list := s.of(p)
	return len(list) == 0 && s.dynamic ||
		slices.ContainsFunc(list, func(e spec.CryptoEntry) bool { return e.ReverseRoute })
}

// wholePools returns, for pools of t, whether clients with an address of one may reach what
// is outside through the tunnel: by the group policy of some tunnel group, or by one that
// somebody may be given by name.
func wholePools(t *spec.Tenant) func(p spec.Pool) bool {
	known := append(configured(t), placedAt(t, false)...)
	whole := map[string]bool{}
	set := policy.NewSet(t)
	for _, group := range t.TunnelGroups {
		if group.Type != spec.RemoteAccess {
			continue
		}
		for _, named := range namedPolicies(t) {
			a, _ := set.Resolve(policy.Subject{Group: group.Name, Said: &spec.Attributes{GroupPolicy: named}})
			split := a.SplitTunnel
			if len(split) == 0 {
				split = []netip.Prefix{anyIPv4}
			}
			if !slices.ContainsFunc(split, func(p netip.Prefix) bool { return !within(known, p) }) {
				continue
			}
			whole[""] = true
			for _, name := range spec.AllPools(a.AddressPools, a.InterfacePools) {
				whole[name] = true
			}
		}
	}
	return func(p spec.Pool) bool { return whole[p.Name] || p.Dedicated != "" && whole[""] }
}

// namedPolicies are the group policies that users are given by name, and "" for the others.
func namedPolicies(t *spec.Tenant) []string {
	list := []string{""}
	for _, u := range t.Users {
		if !slices.Contains(list, u.GroupPolicy) {
			list = append(list, u.GroupPolicy)
		}
	}
	return list
}

// leasesBeside reports whether the address of a dedicated pool lies in the range of one for all.
func leasesBeside(t *spec.Tenant, d spec.Pool) bool {
	return slices.ContainsFunc(t.Pools, func(p spec.Pool) bool {
		return p.Dedicated == "" && p.Start.BitLen() == d.Start.BitLen() && !d.Start.Less(p.Start) &&
			!p.End.Less(d.Start)
	})
}

// overlapOutside reports whether part of our side of a site's tunnel is everything,
// or lies at an interface with a crypto map.
func overlapOutside(t *spec.Tenant, local []netip.Prefix) bool {
	outside := placedAt(t, true)
	return slices.ContainsFunc(local, func(p netip.Prefix) bool {
		return isAny(p) || slices.ContainsFunc(outside, p.Overlaps)
	})
}

// mapped reports whether an interface has a crypto map.
func mapped(t *spec.Tenant, iface string) bool {
	return slices.ContainsFunc(t.CryptoMaps, func(m spec.CryptoMap) bool { return m.Interface == iface })
}

// covered reports whether all of p is behind the tunnel.
func covered(list []guarded, p netip.Prefix) bool {
	return slices.ContainsFunc(list, func(g guarded) bool { return contains(g.prefix, p) })
}

// within reports whether one of the prefixes contains p.
func within(list []netip.Prefix, p netip.Prefix) bool {
	return slices.ContainsFunc(list, func(q netip.Prefix) bool { return contains(q, p) })
}

// contains reports whether all of q is in p.
func contains(p, q netip.Prefix) bool { return p.Bits() <= q.Bits() && p.Contains(q.Addr()) }

// isAny reports whether p is every address of a family.
func isAny(p netip.Prefix) bool { return p.Bits() == 0 }

// insideAddress is an address of ours that lies within one of the networks, or
// where there are none, on an interface without a crypto map.
func insideAddress(t *spec.Tenant, v4 bool, within []netip.Prefix) netip.Addr {
	for _, i := range t.Interfaces {
		mapped := slices.ContainsFunc(t.CryptoMaps, func(m spec.CryptoMap) bool { return m.Interface == i.Name })
		for _, p := range i.Addresses {
			if p.Addr().Is4() != v4 {
				continue
			}
			inside := slices.ContainsFunc(within, func(n netip.Prefix) bool { return n.Contains(p.Addr()) })
			if inside || len(within) == 0 && !mapped {
				return p.Addr()
			}
		}
	}
	return netip.Addr{}
}
