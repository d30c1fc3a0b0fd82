package configs

import (
	"net/netip"
	"slices"

	"github.com/hashicorp/hcl/v2"
)

// wireUse is what a context answers for on a shared interface of the system: an
// address of its own, or a part of a pool within one of its subnets there.
type wireUse struct {
	owner      *node // the block "context"
	what       string
	start, end netip.Addr
	at         hcl.Range
}

// String names the addresses in messages.
func (u wireUse) String() string {
	if u.start == u.end {
		return u.start.String()
	}
	return u.start.String() + "-" + u.end.String()
}

// used notes that the context answers for an address on an interface of its own.
func (t *tenantReader) used(n *node, what string, a netip.Addr, at hcl.Range) {
	t.uses[n.label.text] = append(t.uses[n.label.text], wireUse{t.owner, what + " of " + n.String(), a, a, at})
}

// usePools notes what of the pools the context answers for, because it lies within
// a subnet of an interface, and tells of what it must not.
func (t *tenantReader) usePools() {
	for _, i := range t.t.Interfaces {
		for _, subnet := range i.Addresses {
			for _, p := range t.t.Pools {
				if !meetsPool(subnet.Masked(), p) {
					continue
				}
				n, at := t.poolAt(p)
				u := wireUse{t.owner, n.String(), later(p.Start, subnet.Masked().Addr()),
					earlier(p.End, lastOf(subnet)), at}
				t.uses[i.Name] = append(t.uses[i.Name], u)
				allowed := t.allowedOn(i.Name)
				if free, ok := firstOutside(u, allowed); ok {
					n.problem(u.at, "Address not allowed",
						"%s lies within %s of interface %q, so that the context would answer for its addresses "+
							"there; %s (%s) allows %s on it, and %s is not among these.", n, subnet.Masked(), i.Name,
						t.owner, place(t.owner.at), networkList(allowed), free)
				}
			}
		}
	}
}

// allowedOn returns what the system lets the context use on one of its
// interfaces; empty: any address.
func (t *tenantReader) allowedOn(name string) []netip.Prefix {
	for _, a := range t.tenant.Allocations {
		if a.Name == name {
			return a.Addresses
		}
	}
	return nil
}

// firstOutside returns the first address of u that is in none of the networks, and
// false where there is none, or no network at all.
func firstOutside(u wireUse, networks []netip.Prefix) (netip.Addr, bool) {
	if len(networks) == 0 {
		return netip.Addr{}, false
	}
	for a := u.start; a.IsValid() && a.Compare(u.end) <= 0; {
		i := slices.IndexFunc(networks, func(p netip.Prefix) bool { return p.Contains(a) })
		if i < 0 {
			return a, true
		}
		a = lastOf(networks[i]).Next()
	}
	return netip.Addr{}, false
}

func later(a, b netip.Addr) netip.Addr {
	if a.Less(b) {
		return b
	}
	return a
}

func earlier(a, b netip.Addr) netip.Addr {
	if a.Less(b) {
		return a
	}
	return b
}

// noteWires adds what a context uses to the interfaces of the system that it
// shares with others.
func (s *systemReader) noteWires(c Tenant, uses map[string][]wireUse) {
	if c.Suspended {
		return
	}
	for _, a := range c.Allocations {
		if i, ok := s.sys.Interface(a.Interface); ok && i.Shared {
			s.wires[i.Name] = append(s.wires[i.Name], uses[a.Name]...)
		}
	}
}

// checkWires tells of contexts that would answer for the same address on the same
// wire. Both are told: either of them may be the one that took what is another's.
func (s *systemReader) checkWires() {
	for _, i := range s.sys.Interfaces {
		uses := s.wires[i.Name]
		slices.SortStableFunc(uses, func(a, b wireUse) int { return a.start.Compare(b.start) })
		for k, u := range uses {
			for _, other := range uses[k+1:] {
				if u.end.Less(other.start) || u.end.BitLen() != other.start.BitLen() {
					break
				}
				if u.owner != other.owner {
					s.tellWire(i, u, other)
					s.tellWire(i, other, u)
					break
				}
			}
		}
	}
}

func (s *systemReader) tellWire(i Interface, u, other wireUse) {
	s.context = u.owner.label.text
	defer func() { s.context = "" }()
	s.problem(u.at, "Address of another context",
		"%s (%s of %s) and %s (%s of %s, %s) are on one wire, interface %q of the system: both contexts would "+
			"answer. What each may use there can be set with addresses in allocate_interface.",
		u, u.what, u.owner, other, other.what, other.owner, place(other.at), i.Name)
}
