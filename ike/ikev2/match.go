package ikev2

import (
	"fmt"
	"net/netip"

	"github.com/warrenvpn/warren/ike/identity"
)

// everybody is what a profile without RemoteIdentities accepts.
var everybody = identity.MustParsePattern("*")

// accepts reports whether p is for a peer called remote that wants to talk to
// wanted; a zero wanted says that it does not care.
func (p *profile) accepts(remote, wanted identity.Identity) bool { return p.rank(remote, wanted) >= 0 }

// rank returns the highest auth.Rank of the patterns that accept a peer called
// remote which wants to talk to wanted, below 0 for none.
func (p *profile) rank(remote, wanted identity.Identity) int {
	best := -1
	if ours := p.LocalIdentity; !wanted.IsZero() && !ours.IsZero() && !ours.Equal(wanted) {
		return best
	}
	if len(p.RemoteIdentities) == 0 && !remote.IsZero() {
		return everybody.Rank()
	}
	for _, m := range p.RemoteIdentities {
		if m.Matches(remote) {
			best = max(best, m.Rank())
		}
	}
	return best
}

// candidate is a profile that accepts a peer.
type candidate struct {
	profile *profile
	rank    int
}

// before reports whether c is for the peer rather than o.
func (c candidate) before(o candidate) bool {
	if c.profile.Fallback != o.profile.Fallback {
		return !c.profile.Fallback
	}
	if c.rank != o.rank {
		return c.rank > o.rank
	}
	return c.rank == 0 && c.profile.static && !o.profile.static // "*": the address chooses first
}

// equal reports whether neither is before the other.
func (c candidate) equal(o candidate) bool { return !c.before(o) && !o.before(c) }

// candidates returns the profiles that accept the peer, in the order of
// Profile.RemoteIdentities.
func (r *Rules) candidates(id, wanted identity.Identity) []candidate {
	var out []candidate
	for i := range r.profiles {
		c := candidate{profile: &r.profiles[i]}
		if c.profile.mapped && !c.profile.Fallback {
			continue
		}
		if c.rank = c.profile.rank(id, wanted); c.rank < 0 {
			continue
		}
		at := len(out)
		for at > 0 && c.before(out[at-1]) {
			at--
		}
		out = append(out, candidate{})
		copy(out[at+1:], out[at:])
		out[at] = c
	}
	return out
}

// match finds profile and entry for a peer: the peer authorization database of
// RFC 4301 section 4.4.3, which is keyed by identity. Only where an identity says
// nothing, because the pattern is "*" or because several profiles take it with
// the same rank, does the address of the peer choose among profiles with static
// entries. The entry is nil where the profile has none that serves the peer, and
// the text says why. A certificate map called chosen, where there is one, has chosen the
// profile before.
func (r *Rules) match(local, remote netip.Addr, id, wanted identity.Identity, chosen string) (p *profile, e *entry,
	unserved string) {
	if p := r.mapped(chosen, id, wanted); p != nil {
		if e := r.entryFor(p, local, remote); e != nil {
			return p, e, ""
		}
		return p, nil, r.unserved(p, local, remote)
	}
	all := r.candidates(id, wanted)
	for i := 0; i < len(all); {
		first := all[i]
		for ; i < len(all) && all[i].equal(first); i++ {
			if e := r.entryFor(all[i].profile, local, remote); e != nil {
				return all[i].profile, e, ""
			}
		}
		// A static profile for everybody is chosen by address alone.
		if p := first.profile; !p.static || first.rank > 0 {
			return p, nil, r.unserved(p, local, remote)
		}
	}
	return nil, nil, ""
}

// entryFor returns the entry that serves peers of p at the address remote, nil
// for none.
func (r *Rules) entryFor(p *profile, local, remote netip.Addr) *entry {
	var other *entry
	for _, e := range r.Entries {
		switch {
		case e.Local.IsValid() && e.Local != local:
		case e.Dynamic:
			if !p.static {
				return r.entry(e.Name, local)
			}
		case e.Profile != p.Name:
		case e.Peer == remote:
			return r.entry(e.Name, local)
		case e.AnyAddress && other == nil:
			other = r.entry(e.Name, local)
		}
	}
	return other
}

// unserved says why no entry serves a peer of p.
func (r *Rules) unserved(p *profile, local, remote netip.Addr) string {
	if p.static {
		return fmt.Sprintf("tunnel group %s is that of a static entry, whose peer is not at %v: any_address = true "+
			"would serve it from there", p.Name, remote)
	}
	return fmt.Sprintf("no crypto map entry serves the peer on %v", local)
}
