package ikev2

import (
	"net/netip"
	"slices"

	"github.com/warrenvpn/warren/esp/sa"
)

// narrow returns what both lists cover (RFC 7296 section 2.9): every pair's
// intersection, in the order of what the peer offered, without those that an
// earlier one covers. It stops at maxSelectors.
func narrow(offered, allowed []sa.Selector) []sa.Selector {
	var out []sa.Selector
	for _, o := range offered {
		for _, a := range allowed {
			s, ok := o.Intersect(a)
			if !ok || covered(out, s) {
				continue
			}
			if len(out) == maxSelectors {
				return out
			}
			out = append(out, s)
		}
	}
	return out
}

// cutOff returns what of allowed the peer wants and list, the result of narrowing,
// has no room for; nil: nothing was cut.
func cutOff(offered, allowed, list []sa.Selector) []sa.Selector {
	if len(list) < maxSelectors {
		return nil
	}
	var wanted []sa.Selector
	for _, a := range allowed {
		for _, o := range offered {
			if s, ok := o.Intersect(a); ok {
				wanted = append(wanted, s)
				break
			}
		}
	}
	return uncovered(wanted, list)
}

// uncovered returns the parts of want that no selector of have covers: at most
// maxSelectors of them.
func uncovered(want, have []sa.Selector) []sa.Selector {
	var out []sa.Selector
	for _, w := range want {
		var pieces []sa.Selector
		for _, h := range have {
			same := w
			same.Start, same.End = h.Start, h.End
			if p, ok := w.Intersect(h); ok && h.Covers(same) {
				pieces = append(pieces, p)
			}
		}
		slices.SortFunc(pieces, func(a, b sa.Selector) int { return a.Start.Compare(b.Start) })
		next := w.Start // the lowest address that may be uncovered; invalid: none is left
		gap := func(end netip.Addr) {
			g := w
			g.Start, g.End = next, end
			out = append(out, g)
		}
		for _, p := range pieces {
			if next.IsValid() && next.Less(p.Start) {
				gap(p.Start.Prev())
			}
			if next.IsValid() && !p.End.Less(next) {
				next = p.End.Next()
			}
		}
		if next.IsValid() && !w.End.Less(next) {
			gap(w.End)
		}
		if len(out) >= maxSelectors {
			return out[:maxSelectors]
		}
	}
	return out
}

// covered reports whether one of list covers s.
func covered(list []sa.Selector, s sa.Selector) bool {
	for _, l := range list {
		if l.Covers(s) {
			return true
		}
	}
	return false
}

// within reports whether each of list is covered by one of bounds, and that
// there is at least one: the check of a responder's narrowing.
func within(list, bounds []sa.Selector) bool {
	for _, s := range list {
		if !covered(bounds, s) {
			return false
		}
	}
	return len(list) > 0
}

// anywhere covers all packets of both families.
var anywhere = []sa.Selector{
	sa.SelectorOf(netip.PrefixFrom(netip.IPv4Unspecified(), 0)),
	sa.SelectorOf(netip.PrefixFrom(netip.IPv6Unspecified(), 0)),
}

// hosts returns a selector for each address.
func hosts(addrs []netip.Addr) []sa.Selector {
	out := make([]sa.Selector, 0, len(addrs))
	for _, a := range addrs {
		out = append(out, sa.SelectorOf(netip.PrefixFrom(a, a.BitLen())))
	}
	return out
}

// networks returns a selector for each prefix.
func networks(list []netip.Prefix) []sa.Selector {
	out := make([]sa.Selector, 0, len(list))
	for _, p := range list {
		out = append(out, sa.SelectorOf(p))
	}
	return out
}
