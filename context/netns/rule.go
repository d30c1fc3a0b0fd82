package netns

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/spec"
)

// The priorities of the rules, in the order in which the kernel asks them. RFC
// 4301 section 5.2 has what comes in clear and should have come protected, by its
// addresses, dropped: "outside" stands here for every interface with a crypto map,
// "inside" for every other one.
const (
	prioDirect    = 10  // from outside to an address that we have inside: dropped
	prioNear      = 20  // from outside, by a source near one of the next: on with those
	prioFar       = 21  // all else from outside: on with prioLocal
	prioIngress   = 30  // from outside, by its source, the longest prefix first: inside, or of a pool
	prioLocal     = 160 // ourselves, in place of the kernel's rule 0
	prioOuter     = 170 // what the worker sends
	prioOuterEnd  = 171
	prioHidden    = 180 // from inside to a subnet outside that a tunnel carries
	prioSource    = 200 // from outside, by its source, the longest prefix first
	prioTunnel    = 400 // from outside to those who reach it through the tunnel
	prioTunnelEnd = 401 // and nowhere else
	prioEnd       = 500 // rules of others are left alone from here on

	prioMain = 32766 // the kernel's own, for all others
)

// rule is one rule. Rules are comparable.
type rule struct {
	family, priority int
	mark             uint32
	iif              string
	from, to         netip.Prefix
	table            int // 0: unreachable, or see next
	next             int // the priority of a rule that there is, to go on with; 0: none
}

// ruleOf reads a rule of the kernel.
func ruleOf(r netlink.Rule) rule {
	out := rule{family: r.Family, priority: r.Priority, mark: r.Mark, iif: r.IifName, table: r.Table,
		next: max(r.Goto, 0)}
	if r.Src != nil {
		out.from = prefixOf(r.Src)
	}
	if r.Dst != nil {
		out.to = prefixOf(r.Dst)
	}
	return out
}

// rulesLocked computes the rules of one family for the tenant.
func (g *Gateway) rulesLocked(family int) []rule {
	list := []rule{
		{family: family, priority: prioLocal, table: unix.RT_TABLE_LOCAL},
		{family: family, priority: prioOuter, mark: outerMark, table: tableOuter},
		{family: family, priority: prioOuterEnd, mark: outerMark},
		{family: family, priority: prioMain, table: unix.RT_TABLE_MAIN},
	}
	var outside, inside []string // kernel's names
	for _, i := range g.tenant.Interfaces {
		if l, ok := g.links[i.Name]; ok && mapped(g.tenant, i.Name) {
			outside = append(outside, l.name)
		} else if ok {
			inside = append(inside, l.name)
		}
	}
	behind := g.guardedLocked()
	for _, p := range g.hiddenLocked(behind) {
		for _, iif := range inside {
			if familyOf(p) == family {
				list = append(list, rule{family: family, priority: prioHidden, iif: iif, to: p, table: tableHidden})
			}
		}
	}
	whole := slices.ContainsFunc(behind, func(p guarded) bool { return p.whole && familyOf(p.prefix) == family })
	var sources []source
	if whole {
		sources = g.sourcesLocked(behind, family)
	}
	ingress := g.ingressRules(family)
	for _, iif := range outside {
		for _, p := range g.directLocked(family) {
			list = append(list, rule{family: family, priority: prioDirect, iif: iif, to: p, table: tableDrop})
		}
		for _, r := range ingress {
			r.iif = iif
			list = append(list, r)
		}
		for _, s := range sources {
			r := rule{family: family, priority: prioSource + 128 - s.prefix.Bits(), iif: iif, from: s.prefix,
				table: tableDrop}
			if !s.inside {
				r.table = tableTunnel
			}
			if isAny(r.from) {
				r.from = netip.Prefix{} // so the kernel has it
			}
			list = append(list, r)
		}
		if whole {
			list = append(list, rule{family: family, priority: prioTunnel, iif: iif, table: tableTunnel})
		}
		list = append(list, rule{family: family, priority: prioTunnelEnd, iif: iif, table: tableDrop})
	}
	return list
}

// directLocked are the addresses that we have inside, with any role.
func (g *Gateway) directLocked(family int) (list []netip.Prefix) {
	for _, i := range g.tenant.Interfaces {
		if mapped(g.tenant, i.Name) {
			continue
		}
		addrs := slices.Clone(i.Standby)
		for _, p := range i.Addresses {
			addrs = append(addrs, p.Addr())
		}
		for _, a := range addrs {
			if p := netip.PrefixFrom(a, a.BitLen()); familyOf(p) == family {
				list = append(list, p)
			}
		}
	}
	return list
}

// ingressRules drop what claims to come from one of ingressSources, wherever it goes
// (RFC 2827). Every packet from outside is held against them before it comes to
// ourselves, and a rule takes some 10 ns: so packets from the rest of the world pass
// over them.
func (g *Gateway) ingressRules(family int) (list []rule) {
	var near []netip.Prefix
	first := prioLocal
	for _, s := range ingressSources(g.tenant, family) {
		r := rule{family: family, priority: prioIngress + 128 - s.prefix.Bits(), from: s.prefix, next: prioLocal}
		if s.inside {
			r.table, r.next = tableDrop, 0
		}
		list, near, first = append(list, r), append(near, nearOf(s.prefix)), min(first, r.priority)
	}
	slices.SortFunc(near, netip.Prefix.Compare)
	if near = slices.Compact(near); len(near)+1 < len(list) {
		for _, p := range near {
			list = append(list, rule{family: family, priority: prioNear, from: p, next: first})
		}
		list = append(list, rule{family: family, priority: prioFar, next: prioLocal})
	}
	return list
}

// nearOf is a network around p, as large as a few are enough for all networks of a
// company.
func nearOf(p netip.Prefix) netip.Prefix {
	bits := 8
	if p.Addr().Is6() {
		bits = 32
	}
	return netip.PrefixFrom(p.Addr(), min(bits, p.Bits())).Masked()
}

// source is a network that packets claim to come from.
type source struct {
	prefix netip.Prefix
	inside bool // inside, or behind the tunnel: nobody outside has such an address
}

// sourcesLocked are the networks inside and behind the tunnel, and those outside
// that lie within one of them: as few as say it, so that the longest prefix of an
// address tells.
func (g *Gateway) sourcesLocked(behind []guarded, family int) []source {
	all := attached(g.tenant)
	for _, p := range behind {
		all = append(all, source{p.prefix, true})
	}
	outside := placedAt(g.tenant, true)
	for e := range staticEntries(g.tenant) {
		for _, p := range e.Local {
			if !isAny(p) && !within(outside, p) {
				all = append(all, source{p.Masked(), true})
			}
		}
	}
	return fewest(all, family)
}

// attached are the networks of the interfaces, and those that static routes lead to.
func attached(t *spec.Tenant) (all []source) {
	for _, i := range t.Interfaces {
		for _, p := range i.Addresses {
			all = append(all, source{p.Masked(), !mapped(t, i.Name)})
		}
	}
	for _, r := range t.Routes {
		all = append(all, source{r.Destination.Masked(), !mapped(t, r.Interface)})
	}
	return all
}

// ingressSources are the networks inside and the pools, and those outside that lie
// within one of them. Nobody outside has an address of theirs: IKE and ESP from there
// could not be answered, or come from an address that a client gets. Networks behind
// the tunnel are not among them: their gateway may well have an address of its own in
// one.
func ingressSources(t *spec.Tenant, family int) []source {
	all := slices.DeleteFunc(attached(t), func(s source) bool { return s.inside && isAny(s.prefix) })
	for _, p := range t.Pools {
		for _, q := range control.Cover(p.Start, p.End) {
			all = append(all, source{q, true})
		}
	}
	return fewest(all, family)
}

// fewest returns the networks of a family without what the next wider network says
// already. Of two that are equal, the one inside counts.
func fewest(all []source, family int) []source {
	all = slices.DeleteFunc(all, func(s source) bool { return familyOf(s.prefix) != family })
	slices.SortFunc(all, func(a, b source) int {
		if c := a.prefix.Addr().Compare(b.prefix.Addr()); c != 0 {
			return c
		}
		if c := a.prefix.Bits() - b.prefix.Bits(); c != 0 {
			return c
		}
		return btoi(b.inside) - btoi(a.inside)
	})
	var out, around []source // around: those that contain the present one
	for _, s := range all {
		for len(around) > 0 && !contains(around[len(around)-1].prefix, s.prefix) {
			around = around[:len(around)-1]
		}
		wider := len(around) > 0 && around[len(around)-1].inside
		if len(around) > 0 && around[len(around)-1].prefix == s.prefix || wider == s.inside {
			continue
		}
		out, around = append(out, s), append(around, s)
	}
	return out
}

func familyOf(p netip.Prefix) int {
	if p.Addr().Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// families are those that the kernel has, in every namespace.
var families = sync.OnceValue(func() []int {
	if fileExists("/proc/sys/net/ipv6/conf") {
		return []int{unix.AF_INET, unix.AF_INET6}
	}
	return []int{unix.AF_INET}
})

// settleRulesLocked makes the rules of the namespace those that the tenant needs,
// whatever is there: new ones are added first, then others removed.
func (g *Gateway) settleRulesLocked() error {
	var errs []error
	for _, family := range g.families {
		have, err := g.ns.handle.RuleList(family)
		if err != nil {
			errs = append(errs, fmt.Errorf("netns: listing routing rules: %w", err))
			continue
		}
		list := g.rulesLocked(family)
		if err := g.changeRulesLocked(have, list); err != nil {
			errs = append(errs, err)
			delete(g.known.rules, family)
			continue
		}
		g.known.rules[family] = digest(list)
	}
	return errors.Join(errs...)
}

// changeRulesLocked makes of the rules that there are those of the list.
func (g *Gateway) changeRulesLocked(have []netlink.Rule, list []rule) error {
	there := make(map[rule]bool, len(have))
	for _, r := range have {
		there[ruleOf(r)] = true
	}
	wanted := make(map[rule]bool, len(list))
	var added, removed []rule
	var b batch // asks for these, in this order
	for _, r := range list {
		if !wanted[r] && !there[r] {
			b.addRule(r)
			added = append(added, r)
		}
		wanted[r] = true
	}
	for r := range there {
		if r.priority < prioEnd && !wanted[r] && !g.holding {
			b.deleteRule(r)
			removed = append(removed, r)
		}
	}
	g.mended.Rules += len(added) + len(removed)
	refused := g.ns.run(&b)
	var errs []error
	for i, r := range added {
		if err := refused[i]; err != nil && !errors.Is(err, unix.EEXIST) {
			errs = append(errs, fmt.Errorf("netns: adding routing rule %d: %w", r.priority, err))
		}
	}
	for i, r := range removed {
		if err := refused[len(added)+i]; err != nil && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, fmt.Errorf("netns: removing routing rule %d: %w", r.priority, err))
		}
	}
	return errors.Join(errs...)
}
