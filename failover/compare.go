package failover

import (
	"fmt"
	"slices"
	"time"
)

// compareConfiguration says once whether both nodes have the same, and which contexts of
// a group differ where others do not.
func (n *Node) compareConfiguration(now time.Time, g *group, out *Output) {
	theirs, word := n.theirs(now, g)
	if word != wordKnown {
		return
	}
	result, kind, text := comparedSame, EventConfiguration, "a standby that is in step can take over"
	differing := n.differing(g, &theirs)
	switch {
	case len(differing) == 0:
	case len(differing) == len(g.tenants) || len(g.cfg.TenantHashes) == 0:
		result, kind, text = comparedDifferent, EventConfigurationDiffers, "the standby will not become ready"
	default:
		result, kind = comparedPartly, EventConfigurationDiffers
		text = fmt.Sprintf("%d of %d contexts will not become ready: %s", len(differing), len(g.tenants), differing[0])
	}
	for _, t := range g.tenants {
		t.differs = result == comparedPartly && slices.Contains(differing, t.name)
	}
	if g.compared != result || g.comparedText != text {
		g.compared, g.comparedText = result, text
		out.event(Event{At: now, Kind: kind, Group: g.cfg.Name, Text: text})
	}
}

// differing returns the contexts that have another configuration on the peer, or are not
// there; of a peer that tells nothing of single ones, all or none.
func (n *Node) differing(g *group, theirs *GroupState) (names []string) {
	if theirs.sameConfiguration(g.cfg.Hashes) || slices.ContainsFunc(g.cfg.Tolerated, theirs.sameConfiguration) {
		return nil
	}
	for i, t := range g.tenants {
		there, known := n.peer.tenants[t.name]
		if len(g.cfg.TenantHashes) == 0 || !known || !sameHashes(there.Hash, there.Hash2, g.cfg.TenantHashes[i]) {
			names = append(names, t.name)
		}
	}
	if len(g.tenants) == 0 || len(names) == 0 { // it has contexts that this node does not have
		return []string{g.cfg.Name}
	}
	return names
}

// sameConfiguration reports whether the group has the configuration with these hashes.
func (s *GroupState) sameConfiguration(hashes [MaxKeys][16]byte) bool {
	return sameHashes(s.Hash, s.Hash2, hashes)
}

// sameHashes reports whether two nodes have a hash in common: one that both know is enough.
func sameHashes(hash, hash2 [16]byte, hashes [MaxKeys][16]byte) bool {
	none := [16]byte{}
	return hash == hashes[0] || hash == hashes[1] && hash != none || hash2 != none &&
		slices.Contains(hashes[:], hash2)
}

// tellTenants tells the peer of the contexts of groups that have several.
func (n *Node) tellTenants() {
	told := map[string]bool{}
	for _, g := range n.groups {
		for i, hashes := range g.cfg.TenantHashes {
			name := g.cfg.Tenants[i]
			told[name] = true
			n.outbox.set(Entry{Kind: EntryTenant, Name: name, Tenant: TenantState{hashes[0], hashes[1]}})
		}
	}
	for _, p := range n.outbox.entries {
		if p.Kind == EntryTenant && !p.Gone && !told[p.Name] {
			n.outbox.set(Entry{Kind: EntryTenant, Name: p.Name, Gone: true})
		}
	}
}
