package configs

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/ike/identity"
)

// identityForms and patternForms end a message about an identity.
const (
	identityForms = `An identity is written "gw.example", "user@example", "198.51.100.1", "keyid:text", "keyid:#0a0b" or "asn1dn:CN=gw,O=Example".`
	patternForms  = `A pattern is an identity, "*.example", "*@example", "asn1dn:CN=*,O=Example" or "*".`
)

// maxDNPatterns bounds how many patterns with free parts of a distinguished name
// a context has: each is compared with each.
const maxDNPatterns = 512

// localIdentity reads who this gateway says to be; none: its address.
func (n *node) localIdentity() identity.Identity {
	it, ok := n.textItem("local_identity")
	if !ok {
		return identity.Identity{}
	}
	if hasFreeStar(it.text) || strings.Contains(it.text, "?") {
		n.problem(it.at, "Unusable identity", "local_identity is one identity, not a pattern. "+identityForms)
		return identity.Identity{}
	}
	id, _ := n.identity(it)
	return id
}

// identity reads an exact identity, and tells what is wrong with it.
func (n *node) identity(it item) (identity.Identity, bool) {
	id, err := identity.Parse(it.text)
	if err != nil {
		n.problem(it.at, "Unusable identity", "%s. %s", sentence(trimPackage(err)), identityForms)
	}
	return id, err == nil
}

// peerPattern is one pattern of remote_identity.
type peerPattern struct {
	identity.Pattern
	at hcl.Range
}

// remoteIdentities reads who may connect. Without the attribute it is everybody,
// in the place of the tunnel group.
func (n *node) remoteIdentities(group hcl.Range) (out []peerPattern) {
	for _, it := range n.texts("remote_identity") {
		p, err := identity.ParsePattern(it.text)
		switch _, exact := p.Identity(); {
		case err != nil:
			n.problem(it.at, "Unusable identity", "%s. %s", sentence(trimPackage(err)), patternForms)
			continue
		case exact && hasFreeStar(it.text):
			n.problem(it.at, "Unusable identity",
				`In %q the star would be a letter like any other: it stands for all of what is before a domain. %s`,
				it.text, patternForms)
			continue
		}
		out = append(out, peerPattern{p, it.at})
	}
	if !n.written("remote_identity") {
		out = append(out, peerPattern{identity.MustParsePattern("*"), group})
	}
	return out
}

// hasFreeStar reports whether a name, of which nothing says what it is, has a
// star in it.
func hasFreeStar(text string) bool {
	for _, prefix := range []string{"keyid:", "asn1dn:", "fqdn:", "email:"} {
		if strings.HasPrefix(text, prefix) {
			return false
		}
	}
	return strings.Contains(text, "*")
}

// sentence begins with a capital letter.
func sentence(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

// contender is a tunnel group as a peer that says who it is meets it.
type contender struct {
	group    spec.TunnelGroup
	at       *node
	patterns []peerPattern
	entries  []*node      // static ones that name the group
	peers    []netip.Addr // theirs
	any      bool         // one of them serves every address
	mapped   bool         // a certificate map names it
}

// isFallback reports whether a group is asked after all others.
func (c *contender) isFallback() bool {
	return c.group.Name == spec.DefaultRAGroup || c.group.Name == spec.DefaultL2LGroup
}

// byAddress reports whether the address of a peer decides that it is one of c
// rather than one of o, though both take its identity.
func (c *contender) byAddress(o *contender, p peerPattern) bool {
	switch {
	case c.any || o.any:
		return false
	case len(c.entries) > 0 && len(o.entries) > 0:
		return !slices.ContainsFunc(c.peers, func(a netip.Addr) bool { return slices.Contains(o.peers, a) })
	}
	// Where the identity says nothing, the peers of static entries are found by
	// their address, and all others are the other group's.
	return p.Everybody() && len(c.entries)+len(o.entries) > 0
}

// checkSelection tells of tunnel groups that could take the same peer with equal
// right: which of them it gets would depend on their order in the file.
func (t *tenantReader) checkSelection() {
	type claim struct {
		*contender
		pattern peerPattern
	}
	claims := map[string][]claim{}
	free := 0
	for _, c := range t.contenders {
		if c.mapped && !c.isFallback() {
			continue // no identity leads to it
		}
		told := map[*contender]bool{}
		for _, p := range c.patterns {
			key := selectionKey(p)
			if key == freeDN {
				if free++; free > maxDNPatterns {
					t.problem(p.at, "Too many patterns",
						"A context has at most %d patterns with free parts of a distinguished name.", maxDNPatterns)
					return
				}
			}
			for _, other := range claims[key] {
				o := other.contender
				if o == c || told[o] || o.isFallback() != c.isFallback() || !p.Ambiguous(other.pattern.Pattern) ||
					c.byAddress(o, p) {
					continue
				}
				told[o] = true
				t.tellAmbiguous(c, p, o, other.pattern)
				break
			}
			claims[key] = append(claims[key], claim{c, p})
		}
	}
}

// tellAmbiguous tells of the patterns p of c and q of o. A peer that says whom it
// wants chooses by that; not every peer does.
func (t *tenantReader) tellAmbiguous(c *contender, p peerPattern, o *contender, q peerPattern) {
	const summary = "Two tunnel groups for one identity"
	if a, b := c.group.LocalIdentity, o.group.LocalIdentity; !a.IsZero() && !b.IsZero() && !a.Equal(b) {
		t.warning(p.at, summary,
			"%q of %s and %q of %s (%s) may be the same peer. It gets the one whose local_identity it asks for; a "+
				"peer that asks for none gets %s.", p.String(), c.at, q.String(), o.at, place(q.at), o.at)
		return
	}
	t.problem(p.at, summary, "%q of %s and %q of %s (%s) may be the same peer, and nothing says which of the two it "+
		"gets. Give one of them a longer pattern or an exact identity in remote_identity.", p.String(), c.at,
		q.String(), o.at, place(q.at))
}

// freeDN is the key of patterns with free parts of a distinguished name.
const freeDN = "asn1dn:*"

// selectionKey is equal for all patterns that may be ambiguous.
func selectionKey(p peerPattern) string {
	id, exact := p.Identity()
	switch {
	case exact:
		return "=" + strings.ToLower(id.String())
	case strings.HasPrefix(p.String(), "asn1dn:"):
		return freeDN
	}
	return strconv.Itoa(p.Rank()) + strings.ToLower(p.String())
}
