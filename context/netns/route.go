package netns

import (
	"cmp"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/spec"
)

// The namespace has these routing tables, and rules that choose (rule.go):
//
//	main         everything: connected, static, into the tunnel. A static route
//	             through an interface with a crypto map is left out where it
//	             lies within what a tunnel carries
//	tableOuter   without the tunnel: for what the worker sends (outerMark), so
//	             that no ESP packet can loop into the tunnel that it carries
//	tableTunnel  those behind the tunnel who reach what is outside through it: for
//	             what comes in clear over an interface with a crypto map
//	tableHidden  subnets of interfaces with a crypto map that a tunnel carries: for
//	             what comes from the inside, before the connected routes of main
//	tableDrop    everything to a device that drops and counts it
const (
	tableOuter  = 5001
	tableTunnel = 5002
	tableHidden = 5003
	tableDrop   = 5004

	metricTunnel  = 1       // before every static route of the same length
	metricStatic  = 100     // plus the configured one
	metricGuard   = 1 << 30 // behind every static route of the same length
	routeProtocol = 87      // marks the routes that are ours
)

// route is one route of the namespace. Routes are comparable.
type route struct {
	place
	index   int // of the device
	gateway netip.Addr
	source  netip.Addr
}

// place is what a namespace has one route for.
type place struct {
	table       int
	destination netip.Prefix
	metric      int // not 0, which IPv6 knows as another number
}

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.table, q.table), p.destination.Compare(q.destination),
		cmp.Compare(p.metric, q.metric))
}

// compare orders routes by their places.
func (r route) compare(s route) int { return r.place.compare(s.place) }

// routeAt returns the route of a place, of a list in the order of places.
func routeAt(list []route, p place) (r route, exists bool) {
	i, exists := slices.BinarySearchFunc(list, p, func(r route, p place) int { return r.place.compare(p) })
	if exists {
		r = list[i]
	}
	return r, exists
}

// routesLocked computes the routes of the tenant with the present role. Those
// without a gateway come first: a gateway must be reachable when its route is
// added.
func (g *Gateway) routesLocked() []route {
	list := g.connectedLocked()
	behind := g.guardedLocked()
	for _, p := range behind {
		list = append(list, route{place{unix.RT_TABLE_MAIN, p.prefix, p.metric}, g.tun.index, netip.Addr{}, p.source})
		if p.whole {
			list = append(list, route{place{tableTunnel, p.prefix, metricTunnel}, g.tun.index, netip.Addr{}, p.source})
		}
	}
	for _, p := range g.hiddenLocked(behind) {
		list = append(list, route{place: place{tableHidden, p, metricTunnel}, index: g.tun.index})
	}
	for _, p := range []netip.Prefix{anyIPv4, anyIPv6} {
		list = append(list, route{place: place{tableDrop, p, metricTunnel}, index: g.drop.index})
	}
	static := slices.Clone(g.tenant.Routes)
	slices.SortStableFunc(static, func(a, b spec.Route) int {
		return cmp.Compare(btoi(a.Gateway.IsValid()), btoi(b.Gateway.IsValid()))
	})
	for _, r := range static {
		l, ok := g.links[r.Interface]
		if !ok {
			continue
		}
		one := route{place{tableOuter, r.Destination.Masked(), metricStatic + r.Metric}, l.index, r.Gateway,
			netip.Addr{}}
		list = append(list, one)
		if mapped(g.tenant, r.Interface) && covered(behind, one.destination) {
			continue // what a tunnel carries does not leave beside it
		}
		one.table = unix.RT_TABLE_MAIN
		list = append(list, one)
	}
	return unique(list)
}

// connectedLocked are the subnets of the interfaces, for what the worker sends.
func (g *Gateway) connectedLocked() (list []route) {
	for _, i := range g.tenant.Interfaces {
		l, ok := g.links[i.Name]
		for _, p := range addressesOf(i, g.role) {
			if ok && !p.IsSingleIP() {
				list = append(list, route{place{tableOuter, p.Masked(), metricTunnel}, l.index, netip.Addr{}, p.Addr()})
			}
		}
	}
	return list
}

// sourceLocked returns what stands, with the present role, for one of the active
// addresses: itself, the standby address, or none.
func (g *Gateway) sourceLocked(a netip.Addr) netip.Addr {
	if g.serves() || !a.IsValid() {
		return a
	}
	for _, i := range g.tenant.Interfaces {
		for _, p := range i.Addresses {
			if p.Addr() == a && standsBy(g.role) {
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

// unique keeps the first route of each place.
func unique(list []route) []route {
	seen := make(map[place]bool, len(list))
	return slices.DeleteFunc(list, func(r route) bool {
		twice := seen[r.place]
		seen[r.place] = true
		return twice
	})
}
