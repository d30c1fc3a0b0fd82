package ikev2

import (
	"fmt"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
)

// What a peer may bring follows from its identity, and no peer may bring what is
// somebody else's: an address that is leased to clients, a network of a static
// entry, or one that the SAs of another peer carry. Packets follow the longest
// prefix, and among equals the newest child SA, so that each of these would turn
// another's packets to it. Two pairs of selectors meet only where both their
// local and their remote halves do: the same network behind two peers is fine
// where it is reached from different networks of ours.

// contested returns whose the selectors are that this SA would get on entry e,
// for the operator; "": nobody's. Clients have addresses of pools, and as a
// client we offer what we like.
func (a allowance) contested(e *entry, local, remote []sa.Selector) string {
	s := a.sa
	if e == nil || s.remoteAccess || e.RequestAddress {
		return ""
	}
	for _, r := range remote {
		for _, p := range a.rules.Pools {
			// An entry of the operator's may cover a pool as a whole, as 0.0.0.0/0
			// does: each leased address goes before it.
			if _, meet := r.Intersect(p); meet && (e.Dynamic || !r.Covers(p)) {
				return fmt.Sprintf("network %v of the peer overlaps an address pool (%v)", r, p)
			}
		}
	}
	if e.Dynamic {
		if reason := a.contestsEntry(local, remote); reason != "" {
			return reason
		}
	}
	for c, o := range s.host.Children {
		// There may be very many: who it is costs more than what it has.
		if o == s || !meet(remote, c.Remote) || !meet(local, c.Local) || s.samePeer(o) {
			continue
		}
		if r, t, clash := a.clash(e, remote, o, c.Remote); clash {
			return fmt.Sprintf("network %v of the peer overlaps %v of peer %v, which is connected", r, t,
				o.Peer().Name())
		}
	}
	return ""
}

// contestsEntry returns what of remote is a static entry's, whether that is up or
// not. Where the entry covers all that the profile names, the operator has cut
// that out of it.
func (a allowance) contestsEntry(local, remote []sa.Selector) string {
	for _, x := range a.rules.Entries {
		if x.Dynamic || x.RequestAddress || !meet(local, x.LocalTS) {
			continue
		}
		for _, t := range x.RemoteTS {
			for _, r := range remote {
				if _, meet := r.Intersect(t); meet && !a.cutOut(r, t) {
					return fmt.Sprintf("network %v of the peer overlaps %v of the static entry %s", r, t, x.Name)
				}
			}
		}
	}
	return ""
}

// clash returns which of the selectors remote, that this SA would get on entry e,
// would take packets of the selectors theirs of another peer.
func (a allowance) clash(e *entry, remote []sa.Selector, o exchange.SA, theirs []sa.Selector) (r, t sa.Selector,
	found bool) {
	x := a.rules.entry(o.Entry(), o.Peer().Local.Addr())
	static := x != nil && !x.Dynamic
	if !e.Dynamic && static && x.Name != e.Name {
		return r, t, false // both are the operator's word
	}
	for _, r = range remote {
		for _, t = range theirs {
			if _, meet := r.Intersect(t); !meet {
				continue
			}
			switch wider := r.Covers(t) && r != t; {
			case !e.Dynamic && (o.RemoteAccess() || !static) && wider:
			case e.Dynamic && static && a.cutOut(r, t):
			default:
				return r, t, true
			}
		}
	}
	return r, t, false
}

// cutOut reports whether the selector t of the operator's is wider than the
// network of the profile that r lies in: both were written, and the longer prefix
// goes first.
func (a allowance) cutOut(r, t sa.Selector) bool {
	p := a.rules.profileByName(a.sa.profile)
	if p == nil {
		return false
	}
	for _, b := range p.RemoteNetworks {
		if b.Covers(r) && t.Covers(b) && t != b {
			return true
		}
	}
	return false
}

// meet reports whether one selector of each list cover a packet in common.
func meet(a, b []sa.Selector) bool {
	for _, x := range a {
		for _, y := range b {
			if _, ok := x.Intersect(y); ok {
				return true
			}
		}
	}
	return false
}
