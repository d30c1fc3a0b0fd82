package netns

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/spec"
)

// The namespace has three routing tables, and rules that choose:
//
//	main         everything: connected, static, into the tunnel
//	tableOuter   without the tunnel: for what the worker sends (outerMark), so
//	             that no ESP packet can loop into the tunnel that it carries
//	tableTunnel  the tunnel alone: for what comes in clear over an interface
//	             with a crypto map and is not for ourselves; it may be encrypted
//	             to a client, and is never let through to the inside in clear
const (
	tableOuter  = 5001
	tableTunnel = 5002

	prioOuter      = 100
	prioOuterEnd   = 101
	prioTunnel     = 110
	prioTunnelEnd  = 111
	metricTunnel   = 1   // before every static route of the same length
	metricStatic   = 100 // plus the configured one
	routeProtocol  = 87  // marks the routes that are ours
	maxRangeRoutes = 254 // prefixes that cover any range of IPv6 addresses
)

// route is one route of the namespace. Routes are comparable.
type route struct {
	table       int
	destination netip.Prefix
	index       int // of the device
	gateway     netip.Addr
	source      netip.Addr
	metric      int
	link        bool // scope link: a connected subnet
}

func (r route) netlink() *netlink.Route {
	out := &netlink.Route{
		LinkIndex: r.index, Dst: ipNet(r.destination), Table: r.table, Priority: r.metric,
		Protocol: routeProtocol, Gw: r.gateway.AsSlice(), Src: r.source.AsSlice(),
	}
	if r.link && r.destination.Addr().Is4() {
		out.Scope = netlink.SCOPE_LINK
	}
	return out
}

// rules installs the rules that choose the table.
func (g *Gateway) rules(t *spec.Tenant) error {
	families := []int{unix.AF_INET}
	if hasIPv6() {
		families = append(families, unix.AF_INET6)
	}
	for _, family := range families {
		list := []*netlink.Rule{
			newRule(family, prioOuter, func(r *netlink.Rule) { r.Mark, r.Table = outerMark, tableOuter }),
			newRule(family, prioOuterEnd, func(r *netlink.Rule) { r.Mark, r.Type = outerMark, unix.RTN_UNREACHABLE }),
		}
		for _, m := range t.CryptoMaps {
			l, ok := g.links[m.Interface]
			if !ok {
				continue
			}
			list = append(list,
				newRule(family, prioTunnel, func(r *netlink.Rule) { r.IifName, r.Table = l.name, tableTunnel }),
				newRule(family, prioTunnelEnd, func(r *netlink.Rule) { r.IifName, r.Type = l.name, unix.RTN_BLACKHOLE }),
			)
		}
		for _, r := range list {
			if err := g.ns.handle.RuleAdd(r); err != nil {
				return fmt.Errorf("netns: adding routing rule %d: %w", r.Priority, err)
			}
		}
	}
	return nil
}

func newRule(family, priority int, fill func(*netlink.Rule)) *netlink.Rule {
	r := netlink.NewRule()
	r.Family, r.Priority = family, priority
	fill(r)
	return r
}

func hasIPv6() bool {
	return set("ipv6/conf/lo/forwarding", "1") == nil && fileExists("/proc/net/if_inet6")
}

// Update makes the routes those of t, whose interfaces must be those that the
// Gateway was built with: new ones are added first, then old ones removed.
// Routes that stay are not touched.
func (g *Gateway) Update(t *spec.Tenant) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limits = t.Limits
	g.static = len(t.Routes)
	g.countRoutesLocked()
	g.tenant = t
	return errors.Join(g.updateLocked(t, false), g.ns.Do(func() error { return g.proxies(t) }))
}

// updateLocked makes the routes those of t with the present role. Whoever has
// no addresses, or no address on an interface, reaches no gateway there: such
// routes wait for the next role. With again, nothing is believed to be there:
// the kernel drops routes on its own when the addresses change.
func (g *Gateway) updateLocked(t *spec.Tenant, again bool) error {
	want := g.routes(t)
	var errs []error
	var there []route
	for _, r := range want {
		if !again && slices.Contains(g.installed, r) {
			there = append(there, r)
			continue
		}
		err := g.ns.handle.RouteReplace(r.netlink())
		if err == nil {
			there = append(there, r)
		} else if g.role == Alone || g.role == Active {
			errs = append(errs, fmt.Errorf("netns: adding route to %s: %w", r.destination, err))
		}
	}
	for _, r := range g.installed {
		if slices.ContainsFunc(want, r.samePlace) {
			continue // it was replaced, or stays
		}
		if err := g.ns.handle.RouteDel(r.netlink()); err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("netns: removing route to %s: %w", r.destination, err))
		}
	}
	g.installed = there
	return errors.Join(errs...)
}

// samePlace reports whether adding one of the two routes replaces the other.
func (r route) samePlace(other route) bool {
	return r.table == other.table && r.destination == other.destination && r.metric == other.metric
}

// routes computes the routes of a tenant. Those without a gateway come first:
// a gateway must be reachable when its route is added.
func (g *Gateway) routes(t *spec.Tenant) []route {
	var list []route
	for _, i := range t.Interfaces {
		l, ok := g.links[i.Name]
		for _, p := range addressesOf(i, g.role) {
			if ok && !p.IsSingleIP() {
				list = append(list, route{table: tableOuter, destination: p.Masked(), index: l.index, link: true, source: p.Addr()})
			}
		}
	}
	static := slices.Clone(t.Routes)
	slices.SortStableFunc(static, func(a, b spec.Route) int {
		return cmp.Compare(btoi(a.Gateway.IsValid()), btoi(b.Gateway.IsValid()))
	})
	for _, r := range static {
		l, ok := g.links[r.Interface]
		if !ok {
			continue
		}
		for _, table := range []int{unix.RT_TABLE_MAIN, tableOuter} {
			list = append(list, route{
				table: table, destination: r.Destination.Masked(), index: l.index,
				gateway: r.Gateway, metric: metricStatic + r.Metric, link: !r.Gateway.IsValid(),
			})
		}
	}
	for _, d := range tunnelDestinations(t) {
		list = append(list, g.intoTunnel(d.prefix, g.sourceLocked(t, d.source))...)
	}
	return unique(list)
}

// sourceLocked returns what stands, with the present role, for one of the active
// addresses: itself, the standby address, or none.
func (g *Gateway) sourceLocked(t *spec.Tenant, a netip.Addr) netip.Addr {
	if g.role == Alone || g.role == Active || !a.IsValid() {
		return a
	}
	for _, i := range t.Interfaces {
		for _, p := range i.Addresses {
			if p.Addr() == a && g.role == Standby {
				return standbyOf(i, p)
			}
		}
	}
	return netip.Addr{}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func unique(list []route) []route {
	var out []route
	for _, r := range list {
		if !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out
}

// intoTunnel returns the routes that bring what goes to p into the tunnel.
func (g *Gateway) intoTunnel(p netip.Prefix, source netip.Addr) []route {
	var list []route
	for _, table := range []int{unix.RT_TABLE_MAIN, tableTunnel} {
		list = append(list, route{table: table, destination: p.Masked(), index: g.tun.index, source: source, metric: metricTunnel})
	}
	return list
}

// destination is a prefix behind the tunnel, with the address of ours that
// packets of our own to it have as their source.
type destination struct {
	prefix netip.Prefix
	source netip.Addr
}

// tunnelDestinations are what the tenant's configuration alone sends into the
// tunnel: its pools, and the networks of peers with reverse_route. What a
// client is given by its gateway comes as requests of the worker.
func tunnelDestinations(t *spec.Tenant) []destination {
	var list []destination
	for _, p := range t.Pools {
		source := insideAddress(t, p.Start.Is4(), nil)
		for _, prefix := range rangePrefixes(p.Start, p.End) {
			list = append(list, destination{prefix, source})
		}
	}
	for _, m := range t.CryptoMaps {
		for _, e := range m.Entries {
			if e.Dynamic || e.RequestAddress || !e.ReverseRoute {
				continue
			}
			for _, prefix := range e.Remote {
				list = append(list, destination{prefix, insideAddress(t, prefix.Addr().Is4(), e.Local)})
			}
		}
	}
	return list
}

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

// rangePrefixes covers the addresses from first to last with as few prefixes as
// possible.
func rangePrefixes(first, last netip.Addr) []netip.Prefix {
	var list []netip.Prefix
	for first.IsValid() && first.BitLen() == last.BitLen() && !last.Less(first) && len(list) < maxRangeRoutes {
		bits := first.BitLen()
		for bits > 0 {
			wider := netip.PrefixFrom(first, bits-1)
			if wider.Masked().Addr() != first || last.Less(lastOf(wider)) {
				break
			}
			bits--
		}
		p := netip.PrefixFrom(first, bits)
		list = append(list, p)
		first = lastOf(p).Next()
	}
	return list
}

// lastOf returns the highest address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// proxies lets an interface answer ARP for the pool addresses that lie within
// its subnet. It runs inside the namespace.
func (g *Gateway) proxies(t *spec.Tenant) error {
	for _, i := range t.Interfaces {
		l, ok := g.links[i.Name]
		if !ok {
			continue
		}
		value := "0"
		for _, p := range i.Addresses {
			for _, pool := range t.Pools {
				if (g.role == Alone || g.role == Active) && p.Addr().Is4() && pool.Start.Is4() && !pool.End.Less(p.Masked().Addr()) && !lastOf(p).Less(pool.Start) {
					value = "1"
				}
			}
		}
		if err := set("ipv4/conf/"+l.name+"/proxy_arp", value); err != nil {
			return fmt.Errorf("netns: proxy ARP on %s: %w", i.Name, err)
		}
	}
	return nil
}
