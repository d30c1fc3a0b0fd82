package ikev2

import (
	"net/netip"
	"slices"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
)

// reconsideration is what another configuration does to an SA.
type reconsideration struct{ sa *SA }

// Reconsider implements exchange.SA. The SA obeys the Rules that its Version has
// now, instead of those before:
//
//   - An SA whose peer would not get in any more, or by another tunnel group, entry
//     or key, ends with a DELETE.
//
//   - A child SA that has more than its entry or tunnel group allows now is rekeyed
//     with what is left (RFC 7296 section 2.9), or ends where nothing is.
//
//   - The child SA of a static entry that has got other networks is rekeyed with
//     those, where it is the only one.
//
//   - An SA that we have dialled moves where our address is another one: see
//     moving.relocate.
//
// Everything else, such as proposals and lifetimes, holds from the next rekeying.
func (s *SA) Reconsider(now time.Time, out *exchange.Output) {
	old := s.host.before
	if s.state != Established || old == nil {
		return
	}
	x := reconsideration{s}
	if reason := x.unwanted(old); reason != "" {
		if s.window.busyWith(taskRekeyIKE) {
			s.End(now, reason, out) // its successor must not be born
			return
		}
		_ = s.delete(now, reason, out) // it stands
		return
	}
	defer s.finish(now, out)
	moving{s}.relocate(now, old, out)
	was, is := old.entry(s.entry, s.local.Addr()), s.host.Rules().entry(s.entry, s.local.Addr())
	if was == nil || is == nil {
		return
	}
	oldLocal, oldRemote := allowance{s, old}.allowed(was)
	local, remote := s.allowance().allowed(is)
	if slices.Equal(oldLocal, local) && slices.Equal(oldRemote, remote) {
		return
	}
	only := s.children.current() == 1 && !is.Dynamic
	for _, c := range s.children {
		if !c.isCurrent() {
			continue
		}
		if only {
			x.markAnew(c, true)
			s.enqueue(task{kind: taskRekeyChild, child: c.ID})
			continue
		}
		x.conform(c)
	}
	s.pump(now, out)
}

// markAnew notes whether the successor of c is to have all networks that its entry
// has now. Whoever goes on with the SA, a new worker or the standby, knows it from
// a record: that c moves to where it is.
func (x reconsideration) markAnew(c *child, anew bool) {
	s := x.sa
	if c.anew != anew {
		c.anew = anew
		s.changes = append(s.changes, c.record(s.spi, sa.Change{Op: sa.OpMove, Child: c.Child}))
	}
}

// inherit notes whether c, which the peer has asked for in the place of old, nil: of
// none, lacks the networks that the successor of old is to have.
func (x reconsideration) inherit(c, old *child) {
	s := x.sa
	e := s.host.Rules().entry(s.entry, s.local.Addr())
	if old == nil || !old.anew || e == nil {
		return
	}
	local, remote := s.allowance().successor(e, old)
	c.anew = !slices.Equal(local, c.Local) || !slices.Equal(remote, c.Remote)
}

// resume does what Reconsider had begun before a takeover or a restart, and what
// the Rules of this node ask for.
func (x reconsideration) resume() {
	s := x.sa
	for _, c := range s.children {
		switch {
		case !c.isCurrent():
		case c.anew:
			s.enqueue(task{kind: taskRekeyChild, child: c.ID})
		default:
			x.conform(c)
		}
	}
}

// isCurrent reports whether c is neither replaced nor about to end.
func (c *child) isCurrent() bool { return c.replaced.IsZero() && !c.ending }

// conform has a child SA rekeyed that has more than is allowed, or ended where
// nothing is left of it.
func (x reconsideration) conform(c *child) {
	s := x.sa
	e := s.host.Rules().entry(s.entry, s.local.Addr())
	if e == nil || s.allowance().conforms(e, c) {
		return
	}
	if local, remote := s.allowance().successor(e, c); len(local) == 0 || len(remote) == 0 {
		s.enqueue(task{kind: taskDeleteChild, child: c.ID, reason: reasonNetworks})
		return
	}
	s.enqueue(task{kind: taskRekeyChild, child: c.ID})
}

// conformNew looks at the child SA c that came of the request r of ours in place
// of old: the rules may have changed meanwhile.
func (x reconsideration) conformNew(r *request, c, old *child) {
	s := x.sa
	e := s.host.Rules().entry(s.entry, s.local.Addr())
	if e == nil {
		return
	}
	if old != nil && old.anew {
		local, remote := s.allowance().successor(e, old)
		if !slices.Equal(local, r.local) || !slices.Equal(remote, r.remote) {
			x.markAnew(c, true)
			s.enqueue(task{kind: taskRekeyChild, child: c.ID})
			return
		}
	}
	x.conform(c)
}

// reasonNetworks is why a child SA ends that has too much.
const reasonNetworks = "its networks are no longer those of the configuration"

// unwanted returns why the SA would not come about under the present Rules
// although it would under old, "" where that is not so.
func (x reconsideration) unwanted(old *Rules) string {
	s := x.sa
	rules := s.host.Rules()
	was, is := old.profileByName(s.profile), rules.profileByName(s.profile)
	switch {
	case is == nil:
		return "its tunnel group was removed from the configuration"
	case was == nil:
		return ""
	case was.RemoteAccess != is.RemoteAccess:
		return "its tunnel group is of another type now"
	case !exchange.SameCredential(was.Local, is.Local) ||
		!exchange.SameCredential(was.remote(s.remoteID), is.remote(s.remoteID)):
		return changedCredential(is.remote(s.remoteID))
	case was.identityOf(s.local.Addr()).Equal(s.localID) && !is.identityOf(s.local.Addr()).Equal(s.localID):
		return "the identity of this gateway was changed"
	}
	before, after := old.entry(s.entry, s.local.Addr()), rules.entry(s.entry, s.local.Addr())
	switch {
	case before == nil:
		return ""
	case after == nil:
		return "its crypto map entry was removed from the configuration"
	case before.Dynamic != after.Dynamic || before.Profile != after.Profile || before.Peer != after.Peer ||
		before.RequestAddress != after.RequestAddress:
		return "its crypto map entry is for another peer now"
	case !s.dialled && byCertificate(is.remote(s.remoteID)) && !old.sameMaps(rules, s.certMap):
		return "the certificate maps that decide about its peer were changed"
	case s.dialled && was.accepts(s.remoteID, s.localID) && !is.accepts(s.remoteID, s.localID):
		return "its tunnel group does not take its identity any more"
	case !s.dialled && x.matches(old) && !x.matches(rules):
		return "its tunnel group or crypto map entry does not take its peer any more"
	}
	return ""
}

// changedCredential says why an SA ends whose ends would prove themselves otherwise now,
// the peer with c.
func changedCredential(c exchange.Credential) string {
	if _, eap := c.(exchange.EAP); eap || byCertificate(c) {
		return "its authorities were changed, or what it proves itself with"
	}
	return "its pre-shared key was changed"
}

// matches reports whether a peer like that of the SA would get what it has.
func (x reconsideration) matches(r *Rules) bool {
	return x.matchesAt(r, x.sa.local.Addr(), x.sa.remote.Addr())
}

// matchesAt reports it for a peer at remote that reaches us at local.
func (x reconsideration) matchesAt(r *Rules, local, remote netip.Addr) bool {
	s := x.sa
	p, e, _ := r.match(local, remote, s.remoteID, s.localID, s.certMap)
	return p != nil && e != nil && p.Name == s.profile && e.Name == s.entry
}
