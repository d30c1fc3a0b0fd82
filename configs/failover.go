package configs

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"
)

// readFailover reads the block "failover"; what depends on contexts follows in
// readMonitoring.
func (s *systemReader) readFailover(n *node) {
	f := &Failover{
		Unit: Unit(n.choice("unit", string(Primary), string(Primary), string(Secondary))),
		Poll: n.duration("poll", defaultPoll, 10*time.Millisecond, 15*time.Second, ""),
		Hold: n.duration("hold", defaultHold, 30*time.Millisecond, 45*time.Second, ""),
	}
	if f.Hold < 3*f.Poll {
		n.problem(n.where("hold"), "hold too short", "hold (%s) is at least three polls (%s, %s): one lost heartbeat is no dead peer.", f.Hold, f.Poll, place(n.where("poll")))
	}
	if v, ok := n.get("key"); ok {
		f.Key, _ = n.secret(v, origin{file: s.at}, bounds{minFailoverKey, maxFailoverKey})
	}
	s.sys.Failover = f
	links := n.each("link")
	if len(links) == 0 {
		n.problem(n.at, "Missing link", `A failover block has at least one link "name" { interface = ..., address = ..., peer = ... }.`)
	}
	for _, l := range links {
		s.readLink(l, links)
	}
	for _, g := range n.each("group") {
		if !g.checkLabel() {
			continue
		}
		group := FailoverGroup{
			Name:         g.label.text,
			Prefer:       Unit(g.choice("prefer", defaultPrefer, string(Primary), string(Secondary))),
			Preempt:      g.boolean("preempt", defaultPreempt),
			PreemptDelay: g.duration("preempt_delay", 0, time.Second, time.Hour, "at once"),
		}
		if group.PreemptDelay != 0 && !group.Preempt {
			g.problem(g.where("preempt_delay"), "preempt_delay without preempt", "The delay counts only with preempt = true.")
		}
		f.Groups = append(f.Groups, group)
	}
	if len(f.Groups) == 0 {
		f.Groups = []FailoverGroup{{Name: defaultGroup, Prefer: Unit(defaultPrefer), Preempt: defaultPreempt}}
	}
}

// readLink reads one block "link".
func (s *systemReader) readLink(n *node, all []*node) {
	l := FailoverLink{Name: n.label.text, Interface: n.text("interface", "")}
	if !n.checkLabel() {
		return
	}
	if v, ok := n.get("interface"); ok && l.Interface != "" {
		s.allocate(item{l.Interface, v.at}, fmt.Sprintf("failover link %q", l.Name))
	}
	address, okAddress := n.textItem("address")
	peer, okPeer := n.textItem("peer")
	if okAddress {
		l.Address, okAddress = n.prefix("address", address)
	}
	if okPeer {
		l.Peer, okPeer = n.address("peer", peer)
	}
	switch {
	case !okAddress || !okPeer:
		return
	case !n.isHost("address", address.at, l.Address):
		return
	case !l.Address.Contains(l.Peer):
		n.problem(peer.at, "Peer not on the link", "peer %s is outside the subnet of address, %s (%s).", l.Peer, l.Address.Masked(), place(address.at))
	case l.Peer == l.Address.Addr():
		n.problem(peer.at, "Peer is this node", "peer and address (%s) are both %s.", place(address.at), l.Peer)
	}
	for i, other := range s.sys.Failover.Links {
		if other.Address.Overlaps(l.Address) {
			n.problem(address.at, "Links overlap", "%s is in the subnet of link %q, %s (%s): each link needs its own.", l.Address, other.Name, other.Address, place(all[i].at))
		}
	}
	s.sys.Failover.Links = append(s.sys.Failover.Links, l)
}

// textItem returns an attribute that is text, with its place.
func (n *node) textItem(name string) (item, bool) {
	v, ok := n.get(name)
	if !ok {
		return item{}, false
	}
	return n.asText(v, "text in quotes")
}

// group returns the failover group of a context: the first one where it names
// none.
func (s *systemReader) group(n *node) string {
	f := s.sys.Failover
	name, written := n.textItem("failover_group")
	switch {
	case f == nil && written:
		n.problem(name.at, "No failover", "failover_group needs a failover block in this file: unit, key, and at least one link.")
		return ""
	case f == nil:
		return ""
	case !written:
		return f.Groups[0].Name
	}
	var names []string
	for _, g := range f.Groups {
		names = append(names, g.Name)
	}
	if !slices.Contains(names, name.text) {
		n.problem(name.at, "Unknown failover group", "failover has no group %q.%s", name.text, suggest(name.text, names))
	}
	return name.text
}

// readMonitoring reads which interfaces count for the health of each group: by
// default all that its contexts have.
func (s *systemReader) readMonitoring(n *node) {
	nodes := n.each("group")
	for i := range s.sys.Failover.Groups {
		g := &s.sys.Failover.Groups[i]
		own := s.interfacesOf(g.Name)
		g.Monitor = own
		if i >= len(nodes) || nodes[i].label.text != g.Name {
			g.InterfacePolicy = min(defaultIfaceCount, len(g.Monitor))
			continue
		}
		if nodes[i].written("monitor_interfaces") {
			g.Monitor = nil
			for _, it := range nodes[i].texts("monitor_interfaces") {
				if !slices.Contains(own, it.text) {
					nodes[i].problem(it.at, "Interface of no context", "No context of failover group %q has interface %q.%s", g.Name, it.text, suggest(it.text, own))
					continue
				}
				g.Monitor = append(g.Monitor, it.text)
			}
		}
		g.InterfacePolicy = nodes[i].policy(len(g.Monitor))
	}
}

// interfacesOf returns the interfaces of the system that the contexts of a
// group have, in the order of their declaration.
func (s *systemReader) interfacesOf(group string) []string {
	var out []string
	for _, i := range s.sys.Interfaces {
		for _, c := range s.sys.Contexts {
			has := slices.ContainsFunc(c.Allocations, func(a Allocation) bool { return a.Interface == i.Name })
			if c.FailoverGroup == group && has && !slices.Contains(out, i.Name) {
				out = append(out, i.Name)
			}
		}
	}
	return out
}

// policy returns interface_policy: how many failed interfaces of count make a
// unit fail. A percentage is rounded up.
func (n *node) policy(count int) int {
	v, ok := n.get("interface_policy")
	if !ok {
		return min(defaultIfaceCount, count)
	}
	if text, isText := stringOf(v); isText {
		p, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
		if !strings.HasSuffix(text, "%") || err != nil || !(p > 0 && p <= 100) {
			n.wrong(v, `a number of interfaces, or a percentage of them, such as "50%"`)
			return 0
		}
		return int(math.Ceil(float64(count) * p / 100))
	}
	if v.val.Type() != cty.Number {
		n.wrong(v, `a number of interfaces, or a percentage of them, such as "50%"`)
		return 0
	}
	policy := int(n.number("interface_policy", defaultIfaceCount, 1, 250))
	if policy > count && policy != defaultIfaceCount {
		n.problem(v.at, "Policy never met", "interface_policy = %d, and the group monitors %d interfaces: it would never fail over.", policy, count)
	}
	return min(policy, count)
}
