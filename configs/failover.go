package configs

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/zclconf/go-cty/cty"
	"golang.org/x/crypto/scrypt"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/internal/secret"
)

// readFailover reads the block "failover"; what depends on contexts follows in
// readMonitoring.
func (s *systemReader) readFailover(n *node) {
	f := &Failover{
		Unit: n.unit("unit"),
		Poll: n.duration("poll"),
		Hold: n.duration("hold"),
	}
	if f.Hold < 3*f.Poll {
		n.problem(n.where("hold"), "hold too short",
			"hold (%s) is at least three polls (%s, %s): one lost heartbeat is no dead peer.", f.Hold, f.Poll,
			place(n.where("poll")))
	}
	if v, ok := n.get("key"); ok {
		f.Key = s.failoverKey(n, "key", v)
	}
	if v, ok := n.get("previous_key"); ok {
		f.PreviousKey = s.failoverKey(n, "previous_key", v)
		if f.Key.Len() > 0 && bytes.Equal(f.Key.Reveal(), f.PreviousKey.Reveal()) {
			n.problem(v.at, "The same key twice",
				"previous_key is what the other node may have still while key is changed. With the same key there is "+
					"nothing to change: leave it out.")
		}
	}
	s.sys.Failover = f
	links := n.each("link")
	if len(links) == 0 {
		n.problem(n.at, "Missing link",
			`A failover block has at least one link "name" { interface = ..., address = ..., peer = ... }.`)
	}
	for _, l := range links {
		s.readLink(l, links)
	}
	f.Default = n.empty("group").failoverGroup()
	f.Default.Name = ownGroup
	for _, g := range n.each("group") {
		if !g.checkLabel() {
			continue
		}
		if group := g.failoverGroup(); group.Name == ownGroup {
			f.Default = group
		} else {
			f.Groups = append(f.Groups, group)
		}
	}
}

// unit returns an attribute that is one of the units of a pair.
func (n *node) unit(name string) (u failover.Unit) {
	if err := u.UnmarshalText([]byte(n.choice(name))); err != nil {
		panic("configs: internal error: " + err.Error())
	}
	return u
}

// failoverKey reads the key of the pair: 32 bytes in hexadecimal, or text, which
// is made harder to guess than it is.
func (s *systemReader) failoverKey(n *node, name string, v *value) secret.Value {
	const remedy = "`warren failover keygen failover.key` writes 32 bytes chosen by chance; copy the file to the " +
		"other node."
	content, isHex, ok := n.secretText(v, origin{file: s.at})
	if !ok {
		return secret.Value{}
	}
	switch count := utf8.RuneCount(content); {
	case isHex && len(content) != rawFailoverKey:
		n.problem(v.at, "Secret of wrong length", "%s has %d bytes, and one in hexadecimal has %d. %s", name,
			len(content), rawFailoverKey, remedy)
	case isHex:
		return secret.New(content)
	case count < minFailoverKey || count > maxFailoverKey:
		n.problem(v.at, "Secret of wrong length", "%s has %d characters; text has %d to %d here. %s", name, count,
			minFailoverKey, maxFailoverKey, remedy)
	default:
		n.warning(v.at, "Failover key that can be guessed",
			"It is text: whoever records a heartbeat can try what people think of. %s", remedy)
		defer clear(content)
		return passphraseKey(content)
	}
	clear(content)
	return secret.Value{}
}

// passphraseKey makes a key of text (scrypt, RFC 7914, 32 MiB and a tenth of a
// second): each guess costs as much. Both nodes make the same of the same text, so
// that the salt is fixed.
func passphraseKey(text []byte) secret.Value {
	key, err := scrypt.Key(text, []byte("warren failover key 1"), 1<<15, 8, 1, rawFailoverKey)
	if err != nil {
		panic("configs: internal error: " + err.Error())
	}
	return secret.New(key)
}

// failoverGroup reads the terms of a block "group".
func (n *node) failoverGroup() FailoverGroup {
	g := FailoverGroup{
		Name:         n.label.text,
		Prefer:       n.unit("prefer"),
		Preempt:      n.boolean("preempt"),
		PreemptDelay: n.duration("preempt_delay"),
	}
	if g.PreemptDelay != 0 && !g.Preempt {
		n.problem(n.where("preempt_delay"), "preempt_delay without preempt",
			"The delay counts only with preempt = true.")
	}
	if g.Name == ownGroup && n.written("monitor_interfaces") {
		n.problem(n.where("monitor_interfaces"), "Interfaces of many groups",
			`%s is for every context that names no group, each with the interfaces that it has. To choose interfaces, declare a group with another name, and name it in the context.`, n)
	}
	return g
}

// readLink reads one block "link".
func (s *systemReader) readLink(n *node, all []*node) {
	l := FailoverLink{Name: n.label.text, Interface: n.text("interface")}
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
		n.problem(peer.at, "Peer not on the link", "peer %s is outside the subnet of address, %s (%s).", l.Peer,
			l.Address.Masked(), place(address.at))
	case l.Peer == l.Address.Addr():
		n.problem(peer.at, "Peer is this node", "peer and address (%s) are both %s.", place(address.at), l.Peer)
	}
	for i, other := range s.sys.Failover.Links {
		if other.Address.Overlaps(l.Address) {
			n.problem(address.at, "Links overlap", "%s is in the subnet of link %q, %s (%s): each link needs its own.",
				l.Address, other.Name, other.Address, place(all[i].at))
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

// group returns the failover group of a context: where it names none, one of its
// own, which bears its name.
func (s *systemReader) group(n *node) string {
	f := s.sys.Failover
	name, written := n.textItem("failover_group")
	switch {
	case f == nil && written:
		n.problem(name.at, "No failover",
			"failover_group needs a failover block in this file: unit, key, and at least one link.")
		return ""
	case f == nil:
		return ""
	}
	var names []string
	for _, g := range f.Groups {
		if !g.Own {
			names = append(names, g.Name)
		}
	}
	switch {
	case !written && slices.Contains(names, n.label.text):
		n.problem(n.at, "Name of a failover group",
			"%s names no failover group, so that it would be one of its own with its own name; and failover has a "+
				"group %q for those that name it. Write failover_group = %q, or rename the group.", n, n.label.text,
			n.label.text)
	case !written:
		own := f.Default
		own.Name, own.Own = n.label.text, true
		f.Groups = append(f.Groups, own)
		return own.Name
	case name.text == ownGroup:
		n.problem(name.at, "Unknown failover group", `Group %q is for contexts that name none: remove failover_group.`,
			ownGroup)
	case !slices.Contains(names, name.text):
		n.problem(name.at, "Unknown failover group", "failover has no group %q.%s", name.text,
			suggest(name.text, names))
	}
	return name.text
}

// readMonitoring reads which interfaces count for the health of each group: by
// default all that its contexts have.
func (s *systemReader) readMonitoring(n *node) {
	nodes, members, order := byLabel(n.each("group")), map[string][]Tenant{}, map[string]int{}
	for _, c := range s.sys.Contexts {
		members[c.FailoverGroup] = append(members[c.FailoverGroup], c)
	}
	for k, i := range s.sys.Interfaces {
		order[i.Name] = k
	}
	for i := range s.sys.Failover.Groups {
		g := &s.sys.Failover.Groups[i]
		all, up := s.interfacesOf(members[g.Name], order)
		g.Monitor = up
		terms := nodes[g.Name]
		if g.Own {
			terms = nodes[ownGroup]
		}
		if terms == nil {
			g.InterfacePolicy = min(defaultIfaceCount, len(g.Monitor))
			continue
		}
		if len(members[g.Name]) == 0 && !s.diags.HasErrors() {
			terms.warning(terms.at, "Group of no context",
				`No context names failover group %q: what it says is of no effect. Contexts that name no group have one of their own; group "*" sets its terms.`, g.Name)
		}
		count := len(all)
		if terms.written("monitor_interfaces") && !g.Own {
			g.Monitor, count = nil, 0
			for _, it := range terms.texts("monitor_interfaces") {
				if !slices.Contains(all, it.text) {
					terms.problem(it.at, "Interface of no context",
						"No context of failover group %q has interface %q.%s", g.Name, it.text, suggest(it.text, all))
					continue
				}
				if count++; slices.Contains(up, it.text) {
					g.Monitor = append(g.Monitor, it.text)
				}
			}
		}
		g.InterfacePolicy = min(terms.policy(count), len(g.Monitor))
	}
}

// interfacesOf returns the interfaces of the system that the contexts of a
// group have, in the order of their declaration, and those of them that a context
// has not shut down. order is where each is in that order.
func (s *systemReader) interfacesOf(members []Tenant, order map[string]int) (all, up []string) {
	isUp := map[string]bool{}
	for _, c := range members {
		for _, a := range c.Allocations {
			shut := slices.ContainsFunc(c.Spec.Interfaces, func(x spec.Interface) bool {
				return x.Name == a.Name && x.Shutdown
			})
			if _, known := order[a.Interface]; known {
				isUp[a.Interface] = isUp[a.Interface] || !shut
			}
		}
	}
	all = slices.SortedFunc(maps.Keys(isUp), func(a, b string) int { return order[a] - order[b] })
	for _, name := range all {
		if isUp[name] {
			up = append(up, name)
		}
	}
	return all, up
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
	policy := int(n.number("interface_policy"))
	if policy > count && policy != defaultIfaceCount {
		n.problem(v.at, "Policy never met",
			"interface_policy = %d, and the group monitors %d interfaces: it would never fail over.", policy, count)
	}
	return min(policy, count)
}
