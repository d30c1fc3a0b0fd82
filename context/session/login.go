package session

import (
	"net/netip"
	"slices"
	"time"

	"github.com/warrenvpn/warren/context/policy"
	"github.com/warrenvpn/warren/context/spec"
)

// login is what one more session of an identity means for those that it has.
type login struct {
	attrs policy.Attributes
	until time.Time // when the access hours end; zero: never
	// ending are the sessions that the source ends when this one is granted
	// (INITIAL_CONTACT), and followed those whose address the peer asks for: the
	// same device logs in again before it logs out. others are the rest: other
	// devices.
	ending, followed, others []*Session
}

// login sorts the sessions of the peer. Those that were told to end, and those
// that another one has followed already, are none any more.
func (t *Table) login(s *Subject, attrs policy.Attributes) login {
	l := login{attrs: attrs}
	for _, x := range t.of(s.User, s.Group) {
		switch {
		case x.ending != "" || x.Handle == s.Handle:
		case slices.Contains(s.Replaces, x.Handle):
			l.ending = append(l.ending, x)
		case !x.followed.IsZero():
		case x.has(s.WantedIPv4) || x.has(s.WantedIPv6):
			l.followed = append(l.followed, x)
		default:
			l.others = append(l.others, x)
		}
	}
	return l
}

// freed is how many sessions the new one takes the place of.
func (l *login) freed() int64 { return int64(len(l.ending) + len(l.followed)) }

// had returns an address of the sessions that end, of one family; invalid: none.
func (l *login) had(v4 bool) netip.Addr {
	for _, x := range slices.Backward(l.ending) {
		for _, a := range x.Granted.Addresses {
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

// makeRoom ends the sessions that were idle longest until there is room for one
// more.
func (l *login) makeRoom(out *Output) {
	for l.full() {
		i := 0
		for j, x := range l.others {
			if x.active.Before(l.others[i].active) {
				i = j
			}
		}
		l.others[i].end(reasonReplaced, out)
		l.others = slices.Delete(slices.Clone(l.others), i, i+1)
	}
}

// succeed notes which sessions x has followed: those of the same identity with the
// same address. There are never three: the one before goes.
func (t *Table) succeed(now time.Time, x *Session, out *Output) {
	for _, o := range t.of(x.User, x.Group) {
		if o == x || !slices.ContainsFunc(x.Granted.Addresses, o.has) {
			continue
		}
		earlier := o
		if x.Since.Before(o.Since) {
			earlier = x // they come from the journal, in any order
		}
		switch {
		case earlier.followed.IsZero():
			earlier.followed = now
		case earlier.ending == "":
			earlier.end(reasonFollowed, out)
		}
	}
}
