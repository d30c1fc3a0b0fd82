package configs

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"

	"github.com/hashicorp/hcl/v2"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/internal/secret"
)

// What is valid and rarely meant is a warning.

// maxCompared bounds with how many static entries of the same network one is
// compared: whoever has more of them has been told.
const maxCompared = 64

// staticEntry is a static entry and its block.
type staticEntry struct {
	*node
	spec.CryptoEntry
}

// checkOverlaps tells of static entries of different peers whose traffic selectors
// meet. Packets follow the longest prefix and, among equals, the newest child SA
// (RFC 4301 section 4.4.1 leaves it to an order): while one tunnel is down its
// packets go to the other's peer. A default route is meant to be wider.
func (t *tenantReader) checkOverlaps() {
	byNetwork := map[netip.Prefix][]int{}
	for i, e := range t.statics {
		for _, p := range e.Remote {
			if !e.RequestAddress && p.Bits() > 0 && len(byNetwork[p]) < maxCompared {
				byNetwork[p] = append(byNetwork[p], i)
			}
		}
	}
	for i, e := range t.statics {
		for _, p := range e.Remote {
			if !e.RequestAddress && t.tellOverlap(i, p, byNetwork) {
				break
			}
		}
	}
}

// tellOverlap tells of the first entry of another peer that has the network p of
// entry i, or one around it, and returns whether there is one.
func (t *tenantReader) tellOverlap(i int, p netip.Prefix, byNetwork map[netip.Prefix][]int) bool {
	e := t.statics[i]
	for bits := p.Bits(); bits > 0; bits-- {
		wider := netip.PrefixFrom(p.Addr(), bits).Masked()
		for _, k := range byNetwork[wider] {
			o := t.statics[k]
			if o.TunnelGroup == e.TunnelGroup || wider == p && k >= i || !meetNetworks(o.Local, e.Local) {
				continue
			}
			goes := "packets go to the peer that has connected last"
			if wider != p {
				goes = "while the tunnel of " + e.node.String() + " is down its packets go to the other peer"
			}
			e.warning(e.where("remote_networks"), "Network of two peers",
				"%s overlaps %s, a remote network of %s (%s), which is another peer's: %s.", p, wider, o.node,
				place(o.at), goes)
			return true
		}
	}
	return false
}

// meetNetworks reports whether a network of a and one of b have an address in
// common.
func meetNetworks(a, b []netip.Prefix) bool {
	return slices.ContainsFunc(a, func(p netip.Prefix) bool { return slices.ContainsFunc(b, p.Overlaps) })
}

// checkFamilies tells of an entry whose two sides have no address family in common:
// no packet can have both a source and a destination.
func (t *tenantReader) checkFamilies(n *node, e *spec.CryptoEntry) {
	if len(e.Local) == 0 || len(e.Remote) == 0 {
		return
	}
	for _, l := range e.Local {
		if slices.ContainsFunc(e.Remote, func(r netip.Prefix) bool { return r.Addr().Is4() == l.Addr().Is4() }) {
			return
		}
	}
	n.warning(n.where("remote_networks"), "Families mixed",
		"local_networks (%s) and remote_networks of %s have no address family in common: no packet fits.",
		place(n.where("local_networks")), n)
}

// keyHolder is who proves an identity with a key: one identity, or the peers of a
// tunnel group.
type keyHolder struct {
	name       string
	identities []identity.Pattern // empty: any, or the name is that of one
	at         hcl.Range
}

// noteKey notes who proves an identity with a key.
func (t *tenantReader) noteKey(key secret.Value, h keyHolder) {
	if key.Len() == 0 {
		return // it could not be used, which was told
	}
	digest := sha256.Sum256(key.Reveal())
	if _, seen := t.holders[digest]; !seen {
		t.keys = append(t.keys, digest)
	}
	t.holders[digest] = append(t.holders[digest], h)
}

// checkKeys tells, once for each, of keys that prove several identities.
func (t *tenantReader) checkKeys() {
	for _, key := range t.keys {
		first := t.holders[key][0]
		others := slices.DeleteFunc(t.holders[key][1:], func(h keyHolder) bool { // one peer in two places
			return len(h.identities) > 0 && slices.EqualFunc(h.identities, first.identities, identity.Pattern.Equal)
		})
		if len(others) == 0 {
			continue
		}
		more := ""
		if n := len(others) - 1; n > 0 {
			more = fmt.Sprintf(" and %d more", n)
		}
		t.warning(others[0].at, "One key for two identities",
			"%s%s: the same key as %s (%s), so that who holds it can claim to be any of them. Give each a key of "+
				"its own.",
			others[0].name, more, first.name, place(first.at))
	}
}
