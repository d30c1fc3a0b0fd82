package policy

import (
	"slices"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/ike/identity"
)

// GroupOf returns the tunnel group of type remote-access that a peer of this identity gets,
// wherever it comes from: the one whose pattern names most of it, DefaultRAGroup after all
// others. Text that is no identity, such as the name of a user of EAP, goes where everybody
// does. false: there is none.
func (s *Set) GroupOf(user string) (string, bool) {
	id, err := identity.Parse(user)
	best, rank, fallback := "", -1, false
	for _, g := range s.list {
		for _, p := range patternsOf(g) {
			switch {
			case g.Type != spec.RemoteAccess || !p.Everybody() && (err != nil || !p.Matches(id)):
			case g.Name == spec.DefaultRAGroup:
				fallback = true
			case p.Rank() > rank:
				best, rank = g.Name, p.Rank()
			}
		}
	}
	if rank < 0 && fallback {
		return spec.DefaultRAGroup, true
	}
	return best, rank >= 0
}

// Groups returns the names of the tunnel groups of type remote-access, in alphabetical order.
func (s *Set) Groups() (names []string) {
	for _, g := range s.list {
		if g.Type == spec.RemoteAccess {
			names = append(names, g.Name)
		}
	}
	slices.Sort(names)
	return names
}

// patternsOf returns those of a tunnel group; without one it takes everybody.
func patternsOf(g *spec.TunnelGroup) []identity.Pattern {
	if len(g.RemoteIdentities) > 0 {
		return g.RemoteIdentities
	}
	return []identity.Pattern{identity.MustParsePattern("*")}
}
