package configs

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/warrenvpn/warren/context/spec"
)

// readInterfaces reads the interfaces of a context.
func (t *tenantReader) readInterfaces() {
	var places []item // of every address, active and standby
	for _, n := range t.each("interface") {
		if _, ok := t.allocations[n.label.text]; !ok {
			n.problem(n.label.at, "Interface not allocated", "%s (%s) has no interface %q.%s", t.owner,
				place(t.owner.at), n.label.text, suggest(n.label.text, names(t.allocations)))
			continue
		}
		i := spec.Interface{
			Name:       n.label.text,
			MTU:        int(n.number("mtu")),
			MAC:        n.mac("mac"),
			StandbyMAC: n.mac("standby_mac"),
			Shutdown:   n.boolean("shutdown"),
		}
		if !i.MAC.IsZero() && i.MAC == i.StandbyMAC {
			n.problem(n.where("standby_mac"), "MAC used twice",
				"standby_mac and mac (%s) are the same; two nodes are on one wire.", place(n.where("mac")))
		}
		if !n.written("address") || n.values["address"].broken {
			t.doubtful[i.Name] = true
		}
		var subnets []item
		for _, it := range n.texts("address") {
			p, ok := n.prefix("address", it)
			if !ok || !n.isHost("address", it.at, p) || t.isTaken(n, &places, it, p.Addr()) ||
				t.isOverlapping(n, it, p) || !t.isAllowed(n, it, p.Addr()) {
				t.doubtful[i.Name] = true
				continue
			}
			t.used(n, "address", p.Addr(), it.at)
			i.Addresses = append(i.Addresses, p)
			subnets = append(subnets, it)
		}
		i.Standby = t.standby(n, i.Addresses, &places)
		if i.MTU > 0 && i.MTU < 1280 &&
			slices.ContainsFunc(i.Addresses, func(p netip.Prefix) bool { return p.Addr().Is6() }) {
			n.problem(n.where("mtu"), "MTU too small",
				"IPv6 needs an MTU of 1280 or more, and %s has an IPv6 address (%s).", n, place(subnets[0].at))
		}
		t.t.Interfaces = append(t.t.Interfaces, i)
	}
}

// isHost tells of an address that no host can have in its subnet.
func (n *node) isHost(name string, at hcl.Range, p netip.Prefix) bool {
	a := p.Addr()
	summary := "Unusable address"
	switch {
	case a.IsUnspecified() || a.IsMulticast() || a.IsLoopback():
		n.problem(at, summary, "%s cannot be the address of an interface.", a)
	case a.Is4() && p.Bits() < 31 && a == p.Masked().Addr():
		n.problem(at, summary, "%s is the subnet %s itself; %s needs the address of a host in it, such as %s.", a, p,
			name, a.Next())
	case a.Is4() && p.Bits() < 31 && !p.Contains(a.Next()):
		n.problem(at, summary, "%s is the broadcast address of %s; %s needs the address of a host, such as %s.", a,
			p.Masked(), name, a.Prev())
	case p.Bits() == 0:
		n.problem(at, summary, "%s has a subnet of length 0; %s needs the length of the subnet, such as %s/24.", p,
			name, a)
	default:
		return true
	}
	return false
}

// isTaken tells of an address that the context has already.
func (t *tenantReader) isTaken(n *node, places *[]item, it item, a netip.Addr) bool {
	for _, other := range *places {
		if other.text == a.String() {
			n.problem(it.at, "Duplicate address", "%s is used at %s already.", a, place(other.at))
			return true
		}
	}
	*places = append(*places, item{a.String(), it.at})
	return false
}

// isAllowed tells of an address that the system does not let the context use on
// this interface.
func (t *tenantReader) isAllowed(n *node, it item, a netip.Addr) bool {
	allowed := t.allowedOn(n.label.text)
	if len(allowed) == 0 || slices.ContainsFunc(allowed, func(p netip.Prefix) bool { return p.Contains(a) }) {
		return true
	}
	n.problem(it.at, "Address not allowed", "%s (%s) allows %s on %s, and %s is not among these.", t.owner,
		place(t.owner.at), networkList(allowed), n, a)
	return false
}

// networkList names networks in a message.
func networkList(list []netip.Prefix) string {
	var out []string
	for i, p := range list {
		if i == 8 {
			return strings.Join(out, ", ") + fmt.Sprintf(" and %d more", len(list)-i)
		}
		text := p.String()
		if p.IsSingleIP() {
			text = p.Addr().String()
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// isOverlapping tells of a subnet that is on another interface as well.
func (t *tenantReader) isOverlapping(n *node, it item, p netip.Prefix) bool {
	for _, other := range t.t.Interfaces {
		for _, q := range other.Addresses {
			if p.Overlaps(q) && p.Bits() != p.Addr().BitLen() && q.Bits() != q.Addr().BitLen() {
				n.problem(it.at, "Subnets overlap",
					"%s overlaps with %s of interface %q (%s): packets would have two ways.", p.Masked(), q.Masked(),
					other.Name, place(byLabel(t.each("interface"))[other.Name].at))
				return true
			}
		}
	}
	return false
}

// standby reads the addresses of the standby unit.
func (t *tenantReader) standby(n *node, active []netip.Prefix, places *[]item) []netip.Addr {
	var out []netip.Addr
	used := map[netip.Prefix]bool{}
	for _, it := range n.texts("standby") {
		a, ok := n.address("standby", it)
		if !ok {
			continue
		}
		i := slices.IndexFunc(active, func(p netip.Prefix) bool { return p.Contains(a) })
		switch {
		case i < 0 && t.doubtful[n.label.text]:
		case i < 0:
			n.problem(it.at, "Address outside its subnet", "standby %s is in no subnet of %s (%s).", a, n,
				place(n.where("address")))
		case used[active[i]]:
			n.problem(it.at, "Too many standby addresses",
				"%s has a standby address already; there is one for each address.", active[i])
		case t.isTaken(n, places, it, a):
		case !t.isAllowed(n, it, a):
		case n.isHost("standby", it.at, netip.PrefixFrom(a, active[i].Bits())):
			used[active[i]] = true
			t.used(n, "standby address", a, it.at)
			out = append(out, a)
		}
	}
	return out
}

// mac reads a MAC address.
func (n *node) mac(name string) spec.MAC {
	it, ok := n.textItem(name)
	if !ok {
		return spec.MAC{}
	}
	m, err := spec.ParseMAC(it.text)
	if err != nil {
		n.problem(it.at, "Unusable MAC address", "%s: %s.", name, trimPackage(err))
	}
	return m
}

// readRoutes reads the static routes of a context.
func (t *tenantReader) readRoutes() {
	for _, n := range t.each("route") {
		destination, ok := n.network("a route", n.label)
		name, okName := n.textItem("interface")
		if !ok || !okName {
			continue
		}
		r := spec.Route{Destination: destination, Interface: name.text, Metric: int(n.number("metric"))}
		i, ok := t.interfaceCalled(n, name)
		if !ok {
			continue
		}
		if gateway, ok := n.textItem("gateway"); ok {
			if r.Gateway, ok = n.address("gateway", gateway); !ok || !t.isReachable(n, gateway, r, i) {
				continue
			}
		}
		t.t.Routes = append(t.t.Routes, r)
	}
}

// interfaceCalled returns the interface of the context that a block names.
func (t *tenantReader) interfaceCalled(n *node, name item) (spec.Interface, bool) {
	i := slices.IndexFunc(t.t.Interfaces, func(i spec.Interface) bool { return i.Name == name.text })
	if i >= 0 {
		return t.t.Interfaces[i], true
	}
	declared := byLabel(t.each("interface"))
	if declared[name.text] == nil {
		n.problem(name.at, "Unknown interface", "This context has no interface %q.%s", name.text,
			suggest(name.text, names(declared)))
	}
	return spec.Interface{}, false
}

// isReachable tells of a gateway that is not on the link of its interface.
func (t *tenantReader) isReachable(n *node, gateway item, r spec.Route, i spec.Interface) bool {
	declared := place(byLabel(t.each("interface"))[i.Name].where("address"))
	if r.Gateway.BitLen() != r.Destination.Addr().BitLen() {
		n.problem(gateway.at, "Families mixed", "The gateway %s cannot be the way to %s: one is IPv4, the other IPv6.",
			r.Gateway, r.Destination)
		return false
	}
	if r.Gateway.IsLinkLocalUnicast() && r.Gateway.Is6() {
		return true
	}
	onLink := false
	for _, p := range i.Addresses {
		if p.Addr() == r.Gateway {
			n.problem(gateway.at, "Gateway is this context", "%s is the address of interface %q itself (%s).",
				r.Gateway, i.Name, declared)
			return false
		}
		onLink = onLink || p.Contains(r.Gateway)
	}
	if !onLink && !t.doubtful[i.Name] {
		n.problem(gateway.at, "Gateway not on link", "%s is in no subnet of interface %q (%s).", r.Gateway,
			i.Name, declared)
	}
	return onLink
}

// readPools reads the address pools of a context.
func (t *tenantReader) readPools() {
	for _, n := range t.each("ip_pool") {
		it, ok := n.textItem("range")
		if !ok || !n.checkLabel() {
			continue
		}
		p, ok := n.span(it)
		if !ok {
			continue
		}
		p.Name, p.Mask, p.ReuseDelay = n.label.text, n.poolMask(p), n.duration("reuse_delay")
		for _, other := range t.t.Pools {
			if !p.End.Less(other.Start) && !other.End.Less(p.Start) && p.Start.BitLen() == other.Start.BitLen() {
				n.problem(it.at, "Pools overlap",
					"%s-%s of %s and %s-%s of ip_pool %q (%s) have addresses in common: "+
						"two clients would get the same.",
					p.Start, p.End, n, other.Start, other.End, other.Name, place(t.pools[other.Name].where("range")))
			}
		}
		t.checkPool(n, it, p)
		t.t.Pools = append(t.t.Pools, p)
	}
}

// poolMask reads the netmask that clients are told with an address of the pool p; 0: none.
func (n *node) poolMask(p spec.Pool) int {
	it, ok := n.textItem("mask")
	if !ok {
		return 0
	}
	a, err := netip.ParseAddr(it.text)
	switch {
	case err != nil || !a.Is4() || maskBits(a) == 0:
		n.problem(it.at, "Unusable netmask", `%q is no netmask; one is written like "255.255.255.0".`, it.text)
	case p.Start.Is6():
		n.problem(it.at, "Netmask of IPv6",
			"%s is of IPv6, whose clients are told a single address each. Remove mask.", n)
	default:
		return maskBits(a)
	}
	return 0
}

// maskBits returns the length of a netmask; 0 where it is none.
func maskBits(a netip.Addr) int {
	mask := binary.BigEndian.Uint32(a.AsSlice())
	ones := bits.LeadingZeros32(^mask)
	if mask<<ones != 0 {
		return 0
	}
	return ones
}

// span reads a range of addresses: "10.0.0.1-10.0.0.9", or a network, which is
// all of its hosts.
func (n *node) span(it item) (spec.Pool, bool) {
	if p, err := netip.ParsePrefix(it.text); err == nil && p == p.Masked() {
		return hostsOf(p), true
	}
	start, end, ok := cutRange(it)
	if !ok {
		n.problem(it.at, "Unusable range", `%q is no range; write "10.99.0.10-10.99.0.250", or a network.`, it.text)
		return spec.Pool{}, false
	}
	from, okFrom := n.address("range", start)
	to, okTo := n.address("range", end)
	switch {
	case !okFrom || !okTo:
		return spec.Pool{}, false
	case from.BitLen() != to.BitLen():
		n.problem(it.at, "Families mixed", "A pool is IPv4 or IPv6; for both make two pools.")
		return spec.Pool{}, false
	case to.Less(from):
		n.problem(it.at, "Range upside down", "%s is behind %s: the first address is the lower one.", from, to)
		return spec.Pool{}, false
	}
	return spec.Pool{Start: from, End: to}, true
}

// hostsOf returns the addresses of a network that hosts have. The first of an IPv4
// network is its own, the last its broadcast address; the first of an IPv6 network
// is that of its routers (RFC 4291 section 2.6.1). A network of one or two
// addresses has hosts only (RFC 3021, RFC 6164).
func hostsOf(p netip.Prefix) spec.Pool {
	pool := spec.Pool{Start: p.Addr(), End: lastOf(p)}
	if p.Addr().BitLen()-p.Bits() < 2 {
		return pool
	}
	pool.Start = pool.Start.Next()
	if p.Addr().Is4() {
		pool.End = pool.End.Prev()
	}
	return pool
}

// checkPool tells of addresses of the context itself within a pool.
func (t *tenantReader) checkPool(n *node, it item, p spec.Pool) {
	inside := func(a netip.Addr) bool {
		return a.BitLen() == p.Start.BitLen() && !a.Less(p.Start) && !p.End.Less(a)
	}
	if p.Start.IsMulticast() || p.End.IsMulticast() || p.Start.IsUnspecified() || p.Start.IsLoopback() {
		n.problem(it.at, "Unusable range", "A client cannot have the addresses %s-%s.", p.Start, p.End)
	}
	for _, i := range t.t.Interfaces {
		at := place(byLabel(t.each("interface"))[i.Name].at)
		for _, a := range i.Addresses {
			if inside(a.Addr()) {
				n.problem(it.at, "Duplicate address", "%s contains %s, the address of interface %q (%s).",
					n, a.Addr(), i.Name, at)
			}
		}
		for _, a := range i.Standby {
			if inside(a) {
				n.problem(it.at, "Duplicate address", "%s contains %s, the standby address of interface %q (%s).",
					n, a, i.Name, at)
			}
		}
	}
}
