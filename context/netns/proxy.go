package netns

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/spec"
)

// proxy says what a device answers that is asked for addresses of others.
type proxy struct{ arp, nd bool }

// settleProxiesLocked has the interfaces answer for clients whose addresses lie
// within their subnets: ARP (RFC 1027) for all that is routed elsewhere, neighbour
// solicitations (RFC 4389) for one address after the other, as the kernel has it.
func (g *Gateway) settleProxiesLocked() error {
	errs := []error{g.settleProxySettingsLocked()}
	for _, i := range g.tenant.Interfaces {
		if l, ok := g.links[i.Name]; ok && g.up[l.index] {
			errs = append(errs, g.settleNeighboursLocked(i, l))
		}
	}
	return errors.Join(errs...)
}

// settleProxySettingsLocked sets the devices that were not set since Update. Without
// such a one it needs no thread in the namespace.
func (g *Gateway) settleProxySettingsLocked() error {
	var unset []spec.Interface
	for _, i := range g.tenant.Interfaces {
		l, ok := g.links[i.Name]
		if _, exists := g.up[l.index]; !ok || !exists {
			delete(g.proxies, l.index) // a device that comes back is set as the kernel sets new ones
		} else if !g.proxySetLocked(i) {
			unset = append(unset, i)
		}
	}
	if unset == nil {
		return nil
	}
	return g.ns.within(func() error {
		for _, i := range unset {
			l, want := g.links[i.Name], g.proxyOfLocked(i)
			changed, err := correct([]setting{{"ipv4/conf/" + l.name + "/proxy_arp", toggle(want.arp)},
				{"ipv6/conf/" + l.name + "/proxy_ndp", toggle(want.nd)}})
			g.mended.Settings += changed
			if err != nil {
				return err
			}
			g.proxies[l.index] = want
		}
		return nil
	})
}

// proxyOfLocked is what an interface answers.
func (g *Gateway) proxyOfLocked(i spec.Interface) proxy {
	return proxy{g.serves() && poolWithin(g.tenant, i, true), g.serves() && poolWithin(g.tenant, i, false)}
}

// proxySetLocked reports whether the device of an interface was set to that.
func (g *Gateway) proxySetLocked(i spec.Interface) bool {
	is, known := g.proxies[g.links[i.Name].index]
	return known && is == g.proxyOfLocked(i)
}

// settleNeighboursLocked makes the addresses that one interface answers for those
// of the clients within its subnet.
func (g *Gateway) settleNeighboursLocked(i spec.Interface, l linkFacts) error {
	list, err := g.ns.handle.NeighProxyList(l.index, unix.AF_INET6)
	if err != nil {
		return fmt.Errorf("netns: listing what %s answers for: %w", i.Name, err)
	}
	var errs []error
	there := make(map[netip.Addr]bool, len(list))
	for _, n := range list {
		a := addrOf(n.IP)
		there[a] = true
		if _, wanted := g.asked.proxies[a]; !wanted && !g.holding || !g.serves() {
			errs = append(errs, g.proxyLocked(l, a, false))
		}
	}
	if !g.serves() {
		return errors.Join(errs...)
	}
	for a := range g.asked.proxies {
		if !there[a] && onLink(i, a) {
			errs = append(errs, g.proxyLocked(l, a, true))
		}
	}
	return errors.Join(errs...)
}

// proxyLocked has an interface answer for an IPv6 address, or not any more.
func (g *Gateway) proxyLocked(l linkFacts, a netip.Addr, on bool) error {
	n := &netlink.Neigh{LinkIndex: l.index, Family: unix.AF_INET6, Flags: netlink.NTF_PROXY, IP: a.AsSlice()}
	do := g.ns.handle.NeighSet
	if !on {
		do = g.ns.handle.NeighDel
	}
	g.mended.Proxies++
	if err := do(n); err != nil && (on || !errors.Is(err, unix.ENOENT)) {
		return fmt.Errorf("netns: answering for %s on %s: %w", a, l.name, err)
	}
	return nil
}

// onLink reports whether an address lies within a subnet of the interface.
func onLink(i spec.Interface, a netip.Addr) bool {
	for _, p := range i.Addresses {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// poolWithin reports whether addresses of a pool lie within a subnet of the
// interface.
func poolWithin(t *spec.Tenant, i spec.Interface, v4 bool) bool {
	for _, p := range i.Addresses {
		for _, pool := range t.Pools {
			if p.Addr().Is4() == v4 && pool.Start.Is4() == v4 && !pool.End.Less(p.Masked().Addr()) &&
				!control.Last(p).Less(pool.Start) {
				return true
			}
		}
	}
	return false
}

func toggle(on bool) string {
	if on {
		return "1"
	}
	return "0"
}
