package netns

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/failover"
)

// standsBy reports whether a role has the standby addresses and MACs: for management
// alone. Active has the active ones, which are also those of a tenant without a twin;
// init and negotiation have none, for nobody knows yet which are free.
func standsBy(r failover.Role) bool { return r.Standby() || r == failover.RoleFailed }

// sameAddresses reports whether two roles have the same addresses.
func sameAddresses(a, b failover.Role) bool {
	return (a == failover.RoleActive) == (b == failover.RoleActive) && standsBy(a) == standsBy(b)
}

// SetRole gives the interfaces of one of a pair the addresses and MACs of the
// role, and announces them. It takes milliseconds; between roles with the same
// addresses it does nothing. The addresses that come are there before the others
// go, so that no route is lost. An error does not keep it from doing the rest, and
// says of a tenant without a twin that it has no role.
func (g *Gateway) SetRole(r failover.Role) error {
	if !g.paired {
		return fmt.Errorf("netns: %s has no twin and cannot become %v", g.ns.name, r)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gone {
		return nil
	}
	was := g.role
	g.role, g.known.net = r, false
	if sameAddresses(was, r) {
		return nil
	}
	var errs []error
	if r != failover.RoleActive { // what the worker had asked for is the other node's now
		errs = append(errs, g.withdrawLocked())
	}
	g.announcement++
	for _, i := range g.tenant.Interfaces {
		l, ok := g.links[i.Name]
		if !ok {
			continue
		}
		if err := g.setMAC(i.Name, l, l.macOf(r)); err != nil {
			errs = append(errs, err)
		}
		for _, p := range l.addressesOf(i, r) {
			if err := addAddress(g.ns.handle, l, p); err != nil {
				errs = append(errs, err)
			}
		}
	}
	if r == failover.RoleActive { // what waits for the worker's first packet comes first
		g.announceLocked(everybody)
	}
	errs = append(errs, g.settleLocked())
	for _, i := range g.tenant.Interfaces {
		if l, ok := g.links[i.Name]; ok {
			errs = append(errs, dropAddresses(g.ns.handle, l, l.addressesOf(i, was), l.addressesOf(i, r)))
		}
	}
	if standsBy(r) {
		g.announceLocked(everybody)
	}
	return errors.Join(errs...)
}

// Addresses returns the configured addresses that an interface has at the moment.
func (g *Gateway) Addresses(iface string) []netip.Prefix {
	g.mu.Lock()
	defer g.mu.Unlock()
	i, _ := interfaceOf(g.tenant, iface)
	return addressesOf(i, g.role)
}

// setMAC changes the MAC of a device. A driver that cannot do that while the
// device is up has it set down, which the kernel answers by taking its routes
// away: settleLocked brings them back.
func (g *Gateway) setMAC(iface string, l linkFacts, mac net.HardwareAddr) error {
	if len(mac) == 0 {
		return nil
	}
	link := linkAt(l)
	err := g.ns.handle.LinkSetHardwareAddr(link, mac)
	if errors.Is(err, unix.EBUSY) {
		g.lowered[iface] = time.Now()
		err = errors.Join(g.ns.handle.LinkSetDown(link), g.ns.handle.LinkSetHardwareAddr(link, mac),
			g.ns.handle.LinkSetUp(link))
	}
	if err != nil {
		return fmt.Errorf("netns: setting the MAC of %s: %w", iface, err)
	}
	return nil
}

// macOf returns the MAC of a role; nil: as it is.
func (l linkFacts) macOf(r failover.Role) net.HardwareAddr {
	switch {
	case r == failover.RoleActive:
		return l.active
	case standsBy(r):
		return l.standby
	}
	return nil
}

// addressesOf returns the addresses of an interface with a role. One of a pair
// also has the link-local address that belongs to the MAC of the role: the one
// that the kernel would make belongs to the first MAC for ever.
func (l linkFacts) addressesOf(i spec.Interface, r failover.Role) []netip.Prefix {
	list := addressesOf(i, r)
	if mac := l.macOf(r); len(mac) == 6 && fileExists("/proc/net/if_inet6") {
		list = append(list, linkLocal(mac))
	}
	return list
}

// addressesOf returns the configured addresses of an interface with a role.
func addressesOf(i spec.Interface, r failover.Role) []netip.Prefix {
	var list []netip.Prefix
	switch {
	case r == failover.RoleActive:
		list = append(list, i.Addresses...)
	case standsBy(r):
		for _, p := range i.Addresses {
			if a := standbyOf(i, p); a.IsValid() {
				list = append(list, netip.PrefixFrom(a, p.Bits()))
			}
		}
	}
	return list
}

// standbyOf returns the standby address that belongs to p; invalid: there is
// none.
func standbyOf(i spec.Interface, p netip.Prefix) netip.Addr {
	for _, a := range i.Standby {
		if p.Contains(a) {
			return a
		}
	}
	return netip.Addr{}
}

// linkLocal is the address that RFC 4291 makes of a MAC (appendix A).
func linkLocal(mac net.HardwareAddr) netip.Prefix {
	a := [16]byte{0: 0xfe, 1: 0x80, 8: mac[0] ^ 2, 9: mac[1], 10: mac[2], 11: 0xff, 12: 0xfe, 13: mac[3],
		14: mac[4], 15: mac[5]}
	return netip.PrefixFrom(netip.AddrFrom16(a), 64)
}

func addAddress(handle *netlink.Handle, l linkFacts, p netip.Prefix) error {
	addr := &netlink.Addr{IPNet: ipNet(p)}
	if p.Addr().Is6() {
		addr.Flags = unix.IFA_F_NODAD
	}
	if err := handle.AddrReplace(linkAt(l), addr); err != nil {
		return fmt.Errorf("netns: giving %s the address %s: %w", l.name, p, err)
	}
	return nil
}

// dropAddresses removes the old addresses that are not among the new ones.
func dropAddresses(handle *netlink.Handle, l linkFacts, old, new []netip.Prefix) error {
	var errs []error
	for _, p := range old {
		kept := false
		for _, q := range new {
			kept = kept || p == q
		}
		if kept {
			continue
		}
		err := handle.AddrDel(linkAt(l), &netlink.Addr{IPNet: ipNet(p)})
		if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			errs = append(errs, fmt.Errorf("netns: taking the address %s from %s: %w", p, l.name, err))
		}
	}
	return errors.Join(errs...)
}
