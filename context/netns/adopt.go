package netns

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/failover"
)

// noIndex is the index of a device that is gone: the kernel has none with it.
const noIndex = -1

// Adopt takes up the network of a tenant that an earlier process has built, and left as
// it was, with packets passing: nothing is taken away and nothing set anew that is
// there. The devices must be those that it was built with. What only the worker can
// tell stays as it is until the worker has told it (Routes). The endpoints are the
// Gateway's from then on. On error they are the caller's, and the record still says
// what is to be given back (Host.Recover).
func Adopt(cfg *Config, endpoints []Endpoint) (*Gateway, error) {
	r, err := readRecord(cfg.Record)
	if err != nil {
		return nil, err
	}
	if r.Namespace != cfg.Namespace {
		return nil, fmt.Errorf("netns: the record is of namespace %s, not %s", r.Namespace, cfg.Namespace)
	}
	ns, err := Open(cfg.Namespace)
	if err != nil {
		return nil, err
	}
	g := newGateway(cfg, ns)
	g.record, g.holding, g.endpoints = *r, true, endpoints
	w, err := g.adopt(cfg)
	if err != nil {
		g.stop()
		g.closePackets()
		ns.Close()
		return nil, err
	}
	g.owned.Go(func() { g.tend(w) })
	return g, nil
}

// adopt finds out what there is, and puts back what is missing. It returns the watch over
// that.
func (g *Gateway) adopt(cfg *Config) (*watch, error) {
	for _, d := range cfg.Devices {
		if err := g.adoptDevice(d); err != nil {
			return nil, err
		}
	}
	err := g.ns.within(func() (err error) {
		g.families = families()
		g.packets, err = openPackets()
		return err
	})
	if err != nil {
		return nil, err
	}
	g.adoptOwn()
	if err := g.findRole(); err != nil {
		return nil, err
	}
	g.mu.Lock()
	err = errors.Join(g.inventoryLocked(), g.adoptAddressesLocked())
	g.adoptCarriedLocked()
	g.mu.Unlock()
	if err != nil {
		return nil, err
	}
	w, err := g.ns.watch(allGroups, g.drop.index)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	g.known.watchedLocked(w)
	g.mu.Unlock()
	for i := range g.record.Devices {
		g.host.adopt(&g.record.Devices[i])
	}
	if err := g.Update(cfg.Tenant); err != nil {
		// What is wrong now would be as wrong in a network that is built anew.
		_ = g.attempt(func() error { return err })
	}
	return w, nil
}

// adoptOwn notes the devices that are no interfaces. Of the TUN device the worker's
// descriptor says what it was like.
func (g *Gateway) adoptOwn() {
	for name, l := range map[string]*linkFacts{tunName: &g.tun, dropName: &g.drop, "lo": &g.lo} {
		*l = linkFacts{name: name, index: noIndex}
		if link := findLink(g.ns.handle, name); link != nil {
			l.index, l.mtu = link.Attrs().Index, link.Attrs().MTU
		}
	}
	for _, e := range g.endpoints {
		if e.Kind == control.DescriptorTUN {
			g.tun.mtu = e.MTU
		}
	}
}

// adoptCarriedLocked notes what tunnels have carried: all that is routed there and that
// the configuration says nothing of.
func (g *Gateway) adoptCarriedLocked() {
	known := make(map[netip.Prefix]bool)
	for _, p := range g.guardedLocked() {
		known[p.prefix] = true
	}
	for _, r := range g.installed {
		if r.table == unix.RT_TABLE_MAIN && r.index == g.tun.index && !known[r.destination] {
			g.carryLocked(r.destination)
		}
	}
}

// adoptDevice notes a device of the namespace. One that is gone is made again by
// Update.
func (g *Gateway) adoptDevice(d spec.Device) error {
	transit := hashedName("wrn", g.ns.name, d.Interface)
	i := slices.IndexFunc(g.record.Devices, func(s savedDevice) bool { return s.Transit == transit })
	if i < 0 {
		return fmt.Errorf("netns: the record does not have the device of %s", d.Interface)
	}
	l := linkFacts{name: g.record.Devices[i].Tenant, index: noIndex, mac: hardware(d.MAC),
		active: hardware(d.ActiveMAC), standby: hardware(d.StandbyMAC)}
	if link := findLink(g.ns.handle, l.name); link != nil {
		l.index, l.mtu = link.Attrs().Index, link.Attrs().MTU
		if l.mac == nil {
			l.mac = link.Attrs().HardwareAddr
		}
	}
	g.links[d.Interface] = l
	return nil
}

// findRole finds out whose addresses one of a pair has. Where it was changing from active to
// another role, or the other way, there may be some of both: it counts as active then, and
// the next SetRole takes away what is too many.
func (g *Gateway) findRole() error {
	if !g.paired {
		return nil
	}
	for _, i := range g.tenant.Interfaces {
		l, ok := g.links[i.Name]
		if !ok || l.index == noIndex {
			continue
		}
		list, err := g.ns.handle.AddrList(linkAt(l), netlink.FAMILY_ALL)
		if err != nil {
			return fmt.Errorf("netns: listing addresses of %s: %w", i.Name, err)
		}
		active, standby := l.addressesOf(i, failover.RoleActive), l.addressesOf(i, failover.RoleStandbyReady)
		for _, a := range list {
			switch p := prefixOf(a.IPNet); {
			case slices.Contains(standby, p) && g.role == failover.RoleInit:
				g.role = failover.RoleStandbyReady
			case slices.Contains(active, p) && !slices.Contains(standby, p):
				g.role = failover.RoleActive
				return nil
			}
		}
	}
	return nil
}

// adoptAddressesLocked notes the addresses of the TUN device as asked for.
func (g *Gateway) adoptAddressesLocked() error {
	list, err := g.ns.handle.AddrList(linkAt(g.tun), netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("netns: listing addresses of %s: %w", tunName, err)
	}
	for _, a := range list {
		p := prefixOf(a.IPNet)
		if p != dummyAddress && checkAddress(p) == nil && len(g.asked.addresses) < maxAddresses {
			g.asked.addresses[p] = struct{}{}
		}
	}
	return nil
}

// adopt counts a device of a tenant that is there already.
func (h *Host) adopt(saved *savedDevice) {
	if saved.Kind == spec.WholeDevice {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.parentLocked(saved).users++
}

// Leave ends what the Gateway does by itself, and leaves the network as it is, for the
// next process to Adopt. The endpoints are closed.
func (g *Gateway) Leave() {
	g.stop()
	g.closePackets()
	for _, e := range g.endpoints {
		e.Close()
	}
	g.endpoints = nil
	g.ns.Close()
}

// closePackets closes the socket for announcements.
func (g *Gateway) closePackets() {
	if g.packets >= 0 {
		unix.Close(g.packets)
		g.packets = -1
	}
}
