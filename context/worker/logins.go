package worker

import (
	"net/netip"
	"slices"
	"time"

	"github.com/warrenvpn/warren/context/policy"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/ike/exchange"
)

// followedLife is how long two sessions may have one address. A client that logs
// in before it logs out (make before break) ends the earlier one within seconds.
const followedLife = time.Minute

const (
	reasonFollowed = "a later login of the same device has taken its address"
	reasonReplaced = "the same user has logged in again, and simultaneous_logins allows no more"
)

// login is what one more session of an identity means for those that it has.
type login struct {
	attrs policy.Attributes
	// ending are the sessions that the engine ends when this one is granted
	// (INITIAL_CONTACT), and followed those whose address the peer asks for: the
	// same device logs in again before it logs out. others are the rest: other
	// devices.
	ending, followed, others []*session
}

// login sorts the sessions of the peer. Those that were told to end, and those
// that another one has followed already, are none any more.
func (w *Worker) login(q exchange.AskSession, attrs policy.Attributes) login {
	l := login{attrs: attrs}
	for _, s := range w.sessions.of(q.Peer) {
		switch {
		case s.ending != "" || s.peer.SPI == q.Peer.SPI:
		case slices.Contains(q.Replaces, s.peer.SPI):
			l.ending = append(l.ending, s)
		case !s.followed.IsZero():
		case s.has(q.WantedIPv4) || s.has(q.WantedIPv6):
			l.followed = append(l.followed, s)
		default:
			l.others = append(l.others, s)
		}
	}
	return l
}

// has reports whether the session was given the address a.
func (x *session) has(a netip.Addr) bool {
	return a.IsValid() && slices.Contains(x.granted.Addresses, a)
}

// had returns an address of the sessions that end, of one family; invalid: none.
func (l *login) had(v4 bool) netip.Addr {
	for _, s := range slices.Backward(l.ending) {
		for _, a := range s.granted.Addresses {
			if a.Is4() == v4 {
				return a
			}
		}
	}
	return netip.Addr{}
}

// full reports whether the identity has all the sessions that it may have.
func (l *login) full() bool {
	return l.attrs.SimultaneousLogins != spec.UnlimitedLogins && len(l.others) >= l.attrs.SimultaneousLogins
}

// tooMany reports whether the login is refused because nothing gives way for it.
func (l *login) tooMany() bool {
	return l.full() && (l.attrs.Unique == spec.UniqueKeep || l.attrs.Unique == spec.UniqueNever)
}

// makeRoom ends the sessions that were idle longest, with a DELETE to each, until
// there is room for one more.
func (w *Worker) makeRoom(now time.Time, l login) {
	for l.full() {
		i := 0
		for j, s := range l.others {
			if s.active.Before(l.others[i].active) {
				i = j
			}
		}
		w.end(now, l.others[i], reasonReplaced)
		l.others = slices.Delete(slices.Clone(l.others), i, i+1)
	}
}

// end tells the peer of a session that it ends.
func (w *Worker) end(now time.Time, s *session, reason string) {
	s.ending = reason
	w.command(now, exchange.DeleteIKE{SPI: s.peer.SPI, Reason: reason})
}

// succession notes which sessions the session s has followed: those of the same
// identity with the same address. There are never three: the one before goes.
func (w *Worker) succession(now time.Time, s *session) {
	for _, o := range w.sessions.of(s.peer) {
		if o == s || !slices.ContainsFunc(s.granted.Addresses, o.has) {
			continue
		}
		earlier := o
		if s.since.Before(o.since) {
			earlier = s // they come from the journal, in any order
		}
		switch {
		case earlier.followed.IsZero():
			earlier.followed = now
		case earlier.ending == "" && w.twin.speaks():
			w.end(now, earlier, reasonFollowed)
		}
	}
}
