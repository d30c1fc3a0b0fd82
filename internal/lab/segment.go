package lab

import (
	"fmt"
	"strings"
)

// bridgeDevice is the bridge of a segment in its namespace.
const bridgeDevice = "br"

// Segment is one Ethernet: a bridge in a namespace of its own, with a port for
// everything that is connected. A port has the name that Connect gave it.
type Segment struct{ *Namespace }

// Segment lays out an Ethernet with nobody connected.
func (l *Lab) Segment(name string) *Segment {
	l.tb.Helper()
	s := &Segment{l.Namespace(name)}
	s.Bridge(bridgeDevice)
	return s
}

// Connect plugs a new device of the namespace into a new port.
func (s *Segment) Connect(port string, ns *Namespace, device string) {
	s.lab.tb.Helper()
	s.lab.Veth(s.Namespace, port, ns, device)
	if err := s.nl.LinkSetMaster(s.link(port), s.link(bridgeDevice)); err != nil {
		s.lab.tb.Fatalf("lab: port %s of %s: %v", port, s.name, err)
	}
}

// Unplug pulls the cable out of a port: the device at its other end loses its
// carrier, wherever it has been moved.
func (s *Segment) Unplug(port string) {
	s.lab.tb.Helper()
	s.Down(port)
}

// Plug puts it in again.
func (s *Segment) Plug(port string) {
	s.lab.tb.Helper()
	s.Up(port)
}

// Part keeps what enters at one of these ports from leaving at another one of
// them, silently: carriers stay, and everybody else is reached. Join undoes it.
func (s *Segment) Part(ports ...string) { s.lab.tb.Helper(); s.isolate(true, ports) }

// Join undoes Part.
func (s *Segment) Join(ports ...string) { s.lab.tb.Helper(); s.isolate(false, ports) }

func (s *Segment) isolate(isolated bool, ports []string) {
	s.lab.tb.Helper()
	for _, p := range ports {
		if err := s.nl.LinkSetIsolated(s.link(p), isolated); err != nil {
			s.lab.tb.Fatalf("lab: port %s of %s: %v", p, s.name, err)
		}
	}
}

// Filter drops some of what arrives on a device.
type Filter struct {
	ns    *Namespace
	table string
}

// What a Filter may drop, in nft's notation. Exchanges are IKE messages on UDP
// port 4500: the non-ESP marker, then the exchange type of the header.
const (
	DropAll         = ""
	DropAuth        = "udp dport 4500 @th,64,32 0 @th,240,8 35"
	DropCreateChild = "udp dport 4500 @th,64,32 0 @th,240,8 36"
	DropAuthReply   = "udp sport 4500 @th,64,32 0 @th,240,8 35"
	DropChildReply  = "udp sport 4500 @th,64,32 0 @th,240,8 36"
)

// Drop silently drops what arrives on a device and matches; DropAll is
// everything. It needs the program nft.
func (ns *Namespace) Drop(device, match string) *Filter {
	ns.lab.tb.Helper()
	f := &Filter{ns: ns, table: fmt.Sprintf("lab%d", count.Add(1))}
	rules := fmt.Sprintf("table netdev %s {\n chain c {\n  type filter hook ingress device %q priority 0;\n  %s "+
		"counter drop\n }\n}\n", f.table, device, match)
	file := ns.lab.WriteFile(rules, "nft", f.table)
	ns.MustRun("nft", "-f", file)
	return f
}

// Dropped reports whether the filter has dropped anything yet.
func (f *Filter) Dropped() bool {
	f.ns.lab.tb.Helper()
	return !strings.Contains(f.ns.MustRun("nft", "list", "table", "netdev", f.table), "counter packets 0 ")
}

// Heal removes the filter.
func (f *Filter) Heal() {
	f.ns.lab.tb.Helper()
	f.ns.MustRun("nft", "delete", "table", "netdev", f.table)
}

// NAT hides what is behind a namespace that forwards behind one address of its
// outer device, as a household's router does. Rebind gives it other ports.
type NAT struct {
	ns      *Namespace
	device  string
	address string
	port    int
}

// NAT makes the namespace a router with address translation.
func (ns *Namespace) NAT(device, address string) *NAT {
	ns.lab.tb.Helper()
	ns.Forward()
	n := &NAT{ns: ns, device: device, address: address, port: 20000}
	n.translate()
	return n
}

// Rebind forgets all bindings: the next packet of every flow comes from another
// port, as after the router was switched off and on.
func (n *NAT) Rebind() {
	n.ns.lab.tb.Helper()
	n.port += 1000
	n.translate()
}

// translate loads the rules in one step. What the kernel knows of flows belongs
// to a zone; in a new zone it knows none.
func (n *NAT) translate() {
	n.ns.lab.tb.Helper()
	rules := fmt.Sprintf(`table ip lab
delete table ip lab
table ip lab {
  chain zone {
    type filter hook prerouting priority raw
    ct zone set %d
  }
  chain translate {
    type nat hook postrouting priority srcnat
    oifname %q meta l4proto udp snat to %s:%d-%d
    oifname %q snat to %s
  }
}
`, n.port/1000, n.device, n.address, n.port, n.port+999, n.device, n.address)
	n.ns.MustRun("nft", "-f", n.ns.lab.WriteFile(rules, "nft", fmt.Sprintf("nat-%s-%d", n.ns.name, n.port)))
}
