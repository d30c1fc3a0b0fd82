package lab

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Veth connects two namespaces by a pair of devices, both up.
func (l *Lab) Veth(a *Namespace, deviceA string, b *Namespace, deviceB string) {
	l.tb.Helper()
	pair := &netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: deviceA, MTU: 1500},
		PeerName:      deviceB,
		PeerNamespace: netlink.NsFd(int(b.handle)),
	}
	if err := a.nl.LinkAdd(pair); err != nil {
		l.tb.Fatalf("lab: veth %s in %s, %s in %s: %v", deviceA, a.name, deviceB, b.name, err)
	}
	a.up(deviceA)
	b.up(deviceB)
}

// Bridge makes a switch of the named devices of the namespace.
func (ns *Namespace) Bridge(name string, devices ...string) {
	ns.lab.tb.Helper()
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name}}
	if err := ns.nl.LinkAdd(bridge); err != nil {
		ns.lab.tb.Fatalf("lab: bridge %s in %s: %v", name, ns.name, err)
	}
	for _, d := range devices {
		if err := ns.nl.LinkSetMaster(ns.link(d), bridge); err != nil {
			ns.lab.tb.Fatalf("lab: %s into bridge %s in %s: %v", d, name, ns.name, err)
		}
	}
	ns.up(name)
}

// Address puts addresses, each with the length of its subnet, on a device.
func (ns *Namespace) Address(device string, prefixes ...string) {
	ns.lab.tb.Helper()
	link := ns.link(device)
	for _, p := range prefixes {
		addr, err := netlink.ParseAddr(p)
		if err == nil {
			if addr.IP.To4() == nil {
				addr.Flags = unix.IFA_F_NODAD
			}
			err = ns.nl.AddrAdd(link, addr)
		}
		if err != nil {
			ns.lab.tb.Fatalf("lab: address %s on %s in %s: %v", p, device, ns.name, err)
		}
	}
}

// Route sends what is for destination ("default" is not a word here: write
// "0.0.0.0/0" or "::/0") to the gateway.
func (ns *Namespace) Route(destination, gateway string) {
	ns.lab.tb.Helper()
	dst, err := netlink.ParseIPNet(destination)
	if err == nil {
		err = ns.nl.RouteAdd(&netlink.Route{Dst: dst, Gw: net.ParseIP(gateway)})
	}
	if err != nil {
		ns.lab.tb.Fatalf("lab: route to %s via %s in %s: %v", destination, gateway, ns.name, err)
	}
}

// MTU sets the largest packet of a device.
func (ns *Namespace) MTU(device string, bytes int) {
	ns.lab.tb.Helper()
	if err := ns.nl.LinkSetMTU(ns.link(device), bytes); err != nil {
		ns.lab.tb.Fatalf("lab: MTU of %s in %s: %v", device, ns.name, err)
	}
}

// Down takes a device down; its peer loses carrier.
func (ns *Namespace) Down(device string) {
	ns.lab.tb.Helper()
	if err := ns.nl.LinkSetDown(ns.link(device)); err != nil {
		ns.lab.tb.Fatalf("lab: %s down in %s: %v", device, ns.name, err)
	}
}

// Up takes a device up again.
func (ns *Namespace) Up(device string) {
	ns.lab.tb.Helper()
	ns.up(device)
}

// Devices are the names of the devices in the namespace.
func (ns *Namespace) Devices() []string {
	ns.lab.tb.Helper()
	links, err := ns.nl.LinkList()
	if err != nil {
		ns.lab.tb.Fatalf("lab: devices of %s: %v", ns.name, err)
	}
	var list []string
	for _, l := range links {
		list = append(list, l.Attrs().Name)
	}
	return list
}

// Links are the devices in the namespace as a daemon must leave them: name, MAC,
// MTU, and whether it is up; in order of the names.
func (ns *Namespace) Links() []string {
	ns.lab.tb.Helper()
	links, err := ns.nl.LinkList()
	if err != nil {
		ns.lab.tb.Fatalf("lab: devices of %s: %v", ns.name, err)
	}
	var list []string
	for _, l := range links {
		a := l.Attrs()
		list = append(list, fmt.Sprintf("%s %s mtu %d up %t", a.Name, a.HardwareAddr, a.MTU, a.Flags&net.FlagUp != 0))
	}
	slices.Sort(list)
	return list
}

// Addresses are what the namespace's devices but the loopback have, without
// link-local ones.
func (ns *Namespace) Addresses() []netip.Prefix {
	ns.lab.tb.Helper()
	addrs, err := ns.nl.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		ns.lab.tb.Fatalf("lab: addresses of %s: %v", ns.name, err)
	}
	var list []netip.Prefix
	for _, a := range addrs {
		ip, ok := netip.AddrFromSlice(a.IP)
		ip = ip.Unmap()
		if !ok || ip.IsLoopback() || ip.IsLinkLocalUnicast() {
			continue
		}
		bits, _ := a.Mask.Size()
		list = append(list, netip.PrefixFrom(ip, bits))
	}
	return list
}

func (ns *Namespace) up(device string) {
	ns.lab.tb.Helper()
	if err := ns.nl.LinkSetUp(ns.link(device)); err != nil {
		ns.lab.tb.Fatalf("lab: %s up in %s: %v", device, ns.name, err)
	}
}

func (ns *Namespace) link(device string) netlink.Link {
	ns.lab.tb.Helper()
	link, err := ns.nl.LinkByName(device)
	if err != nil {
		ns.lab.tb.Fatalf("lab: device %s in %s: %v", device, ns.name, err)
	}
	return link
}
