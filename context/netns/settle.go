package netns

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/spec"
)

// Update makes the namespace what t says, whose interfaces must be those that the
// Gateway was built with. It looks at what is really there: links that are down,
// addresses, routes and rules that are gone come back, what is there already is
// not touched. New routes are added before old ones are removed. The error names
// what is gone for good, such as a device that was deleted. What the Gateway knows to
// be there it does not look at. t is not changed any more: the same t says the same.
func (g *Gateway) Update(t *spec.Tenant) error {
	defer g.host.turn()()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gone {
		return nil
	}
	g.limits = t.Limits
	g.static = len(t.Routes)
	g.countRoutesLocked()
	before, sound := g.tenant, g.soundLocked()
	if sound && t == before {
		return nil
	}
	g.replaceLocked(t)
	if sound && g.adaptLocked(before) {
		return nil
	}
	g.known.lookLocked(true)
	clear(g.proxies) // somebody may have changed the settings, or a device was away
	g.moved = false
	err := errors.Join(g.nameLocked(), g.remakeLocked(), g.settleSettingsLocked(), g.straightenLocked(),
		g.raiseLocked(), g.bareLocked(), g.settleLocked())
	g.announceMovedLocked()
	g.lookedLocked(true, err)
	return err
}

// announceMovedLocked tells the neighbours of addresses that have come back, or are
// at another MAC.
func (g *Gateway) announceMovedLocked() {
	if g.moved && g.serves() {
		g.announcement++
		g.announceLocked(everybody)
	}
	g.moved = false
}

// settleLocked makes addresses, routes and rules those that the tenant needs with
// the present role, whatever is there.
func (g *Gateway) settleLocked() error {
	errs := []error{g.lookLocked(), g.settleAddressesLocked(), g.inventoryLocked()}
	// A rule leads to no table whose routes are not there yet.
	routes, rules := g.settleRoutesLocked(), g.settleRulesLocked()
	if routes != nil { // perhaps for want of the rule that a gateway is found by
		routes = g.settleRoutesLocked()
	}
	return errors.Join(append(errs, routes, rules, g.settleProxiesLocked())...)
}

// lookLocked notes which devices are up, which of them have a carrier, and how they are.
func (g *Gateway) lookLocked() error {
	list, err := g.ns.links()
	if err != nil {
		return err
	}
	g.noteLinksLocked(list)
	return nil
}

// noteLinksLocked is lookLocked where they are listed already.
func (g *Gateway) noteLinksLocked(list []link) {
	g.up, g.running = make(map[int]bool, len(list)), make(map[int]bool, len(list))
	for i := range list {
		l := &list[i]
		g.up[l.index], g.running[l.index] = l.up(), l.running()
		l.flags &= unix.IFF_UP | unix.IFF_LOWER_UP // the others come and go
	}
	g.known.links = digest(list)
}

// raiseLocked sets the links of the interfaces up, or down, as they are configured.
func (g *Gateway) raiseLocked() error {
	var errs []error
	for _, i := range g.tenant.Interfaces {
		l, ok := g.links[i.Name]
		if !ok {
			continue
		}
		link, err := g.ns.handle.LinkByIndex(l.index)
		switch {
		case err != nil: // remakeLocked has told
		case i.Shutdown:
			if err := g.ns.handle.LinkSetDown(link); err != nil {
				errs = append(errs, fmt.Errorf("netns: setting %s down: %w", l.name, err))
			}
		case link.Attrs().Flags&net.FlagUp == 0:
			if err := g.ns.handle.LinkSetUp(link); err != nil {
				errs = append(errs, fmt.Errorf("netns: setting %s up: %w", l.name, err))
			}
			g.mended.Links++
		}
	}
	return errors.Join(errs...)
}

// bareLocked takes addresses away whose routes somebody has removed that the kernel
// makes with an address, to its subnet and, of IPv4, to the address itself: with the
// address, which settleAddressesLocked adds again, it makes them once more. (Those to
// IPv6 addresses come a moment later than the address, so who misses one may be early.)
func (g *Gateway) bareLocked() error {
	if err := g.lookLocked(); err != nil {
		return err
	}
	filter := &netlink.Route{Table: unix.RT_TABLE_UNSPEC, Protocol: unix.RTPROT_KERNEL}
	list, err := g.ns.handle.RouteListFiltered(netlink.FAMILY_ALL, filter,
		netlink.RT_FILTER_TABLE|netlink.RT_FILTER_PROTOCOL)
	if err != nil {
		return fmt.Errorf("netns: listing the kernel's routes: %w", err)
	}
	type made struct {
		table, index int
		to           netip.Prefix
	}
	there := make(map[made]bool, len(list))
	for _, r := range list {
		if r.Dst != nil {
			there[made{r.Table, r.LinkIndex, prefixOf(r.Dst)}] = true
		}
	}
	var errs []error
	for _, i := range g.tenant.Interfaces {
		l, ok := g.links[i.Name]
		if !ok || !g.running[l.index] {
			continue
		}
		for _, p := range l.addressesOf(i, g.role) {
			a := netip.PrefixFrom(p.Addr(), p.Addr().BitLen())
			if (a.Addr().Is6() || there[made{unix.RT_TABLE_LOCAL, l.index, a}]) &&
				(p.IsSingleIP() || there[made{unix.RT_TABLE_MAIN, l.index, p.Masked()}]) {
				continue
			}
			err := g.ns.handle.AddrDel(linkAt(l), &netlink.Addr{IPNet: ipNet(p)})
			if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
				errs = append(errs, fmt.Errorf("netns: renewing the address %s of %s: %w", p, i.Name, err))
			}
		}
	}
	return errors.Join(errs...)
}

// settleAddressesLocked adds the addresses that are missing. Others stay: SetRole
// takes those of the role before away.
func (g *Gateway) settleAddressesLocked() error {
	list, err := g.ns.handle.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("netns: listing addresses: %w", err)
	}
	type place struct {
		index  int
		prefix netip.Prefix
	}
	there := make(map[place]bool, len(list))
	for _, a := range list {
		there[place{a.LinkIndex, prefixOf(a.IPNet)}] = true
	}
	var errs []error
	for _, i := range g.tenant.Interfaces {
		l, ok := g.links[i.Name]
		for _, p := range l.addressesOf(i, g.role) {
			if _, exists := g.up[l.index]; ok && exists && !there[place{l.index, p}] {
				errs = append(errs, addAddress(g.ns.handle, l, p))
				g.mended.Addresses++
				g.moved = true
			}
		}
	}
	if _, exists := g.up[g.tun.index]; !exists {
		return errors.Join(errs...) // of which straightenLocked has told
	}
	if !there[place{g.tun.index, dummyAddress}] {
		errs = append(errs, g.addDummy())
		g.mended.Addresses++
	}
	for p := range g.asked.addresses {
		if !there[place{g.tun.index, p}] {
			errs = append(errs, addAddress(g.ns.handle, g.tun, p))
			g.mended.Addresses++
		}
	}
	return errors.Join(errs...)
}

// addDummy gives the TUN device its dummyAddress.
func (g *Gateway) addDummy() error {
	dummy := &netlink.Addr{IPNet: ipNet(dummyAddress), Scope: unix.RT_SCOPE_HOST}
	if err := g.ns.handle.AddrReplace(linkAt(g.tun), dummy); err != nil {
		return fmt.Errorf("netns: giving %s an address: %w", tunName, err)
	}
	return nil
}

// inventoryLocked asks the kernel which of our routes there are: it drops routes
// on its own when addresses change or a link goes down.
func (g *Gateway) inventoryLocked() error {
	filter := &netlink.Route{Table: unix.RT_TABLE_UNSPEC, Protocol: routeProtocol}
	list, err := g.ns.handle.RouteListFiltered(netlink.FAMILY_ALL, filter,
		netlink.RT_FILTER_TABLE|netlink.RT_FILTER_PROTOCOL)
	if err != nil {
		g.installed = nil // everything is added again, which harms nobody
		return fmt.Errorf("netns: listing routes: %w", err)
	}
	g.installed = make([]route, 0, len(list))
	for _, r := range list {
		p := place{r.Table, anyIPv4, r.Priority}
		switch {
		case r.Dst != nil:
			p.destination = prefixOf(r.Dst)
		case r.Family == unix.AF_INET6:
			p.destination = anyIPv6
		}
		g.installed = append(g.installed, route{p, r.LinkIndex, addrOf(r.Gw), addrOf(r.Src)})
	}
	slices.SortFunc(g.installed, route.compare)
	return nil
}

// settleRoutesLocked turns the installed routes into those of the tenant with the
// present role. Whoever has no addresses, or no address on an interface, reaches
// no gateway there: such routes wait for the next role, and those of a link that
// is down for the link.
func (g *Gateway) settleRoutesLocked() error {
	want := g.routesLocked()
	there := make([]route, 0, len(want))
	var added, removed []route
	var b batch // asks for these, in this order
	for _, r := range want {
		is, exists := routeAt(g.installed, r.place)
		if is == r || exists && g.holding {
			there = append(there, is)
			continue
		}
		if !slices.Contains(g.families, familyOf(r.destination)) || !g.up[r.index] {
			continue // what comes up is healed
		}
		b.addRoute(r)
		added = append(added, r)
	}
	slices.SortFunc(want, route.compare)
	for _, r := range g.installed {
		if _, kept := routeAt(want, r.place); kept {
			continue // it was replaced, or stays
		}
		if g.holding {
			there = append(there, r)
			continue
		}
		b.deleteRoute(r)
		removed = append(removed, r)
	}
	refused := g.ns.run(&b)
	var errs []error
	for i, r := range added {
		if refused[i] == nil {
			there = append(there, r)
			g.mended.Routes++
		} else if g.serves() {
			errs = append(errs, fmt.Errorf("netns: adding route to %s: %w", r.destination, refused[i]))
		}
	}
	for i, r := range removed {
		if err := refused[len(added)+i]; err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("netns: removing route to %s: %w", r.destination, err))
		}
		g.mended.Routes++
	}
	slices.SortFunc(there, route.compare)
	g.installed = slices.Clip(there)
	return errors.Join(errs...)
}
