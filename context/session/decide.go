package session

import (
	"net/netip"
	"slices"
	"time"

	"github.com/warrenvpn/warren/context/policy"
	"github.com/warrenvpn/warren/context/pool"
	"github.com/warrenvpn/warren/context/spec"
)

// Conditions are what a decision depends on beside the sessions.
type Conditions struct {
	// Final: the supervisor was asked already. What it has not granted is refused.
	Final bool
	// Crowded: there is no memory for what another session has to keep.
	Crowded bool
	// Wall is the time of day; zero: that of the decision.
	Wall time.Time
}

// Decide says what a peer that has proven its identity gets. The session counts
// from here on, until Close. Where the supervisor has to be asked first, there
// is a Claim instead of an Answer, and the Subject comes back from Granted.
func (t *Table) Decide(now time.Time, s Subject, c Conditions, out *Output) {
	t.pools.Tick(now)
	attrs, ok := t.policies.Resolve(t.subject(&s))
	a := t.admissionOf(s.RemoteAccess)
	l := t.login(&s, attrs)
	if c.Wall.IsZero() {
		c.Wall = now
	}
	until, open := t.policies.Within(&attrs, c.Wall)
	if !attrs.Expires.IsZero() && (until.IsZero() || attrs.Expires.Before(until)) {
		until = attrs.Expires
	}
	if !until.IsZero() {
		l.until = now.Add(until.Sub(c.Wall))
	}
	outcome := a.judge(l.freed())
	var no *Refusal
	switch {
	case !ok || !slices.Contains(attrs.TunnelProtocols, s.Handle.Protocol):
		no = &Refusal{Cause: CauseProtocol, GroupPolicy: attrs.GroupPolicy}
	case attrs.SimultaneousLogins == 0:
		no = &Refusal{Cause: CauseNoLogins, GroupPolicy: attrs.GroupPolicy}
	case attrs.GroupLock != "" && attrs.GroupLock != s.Group:
		no = &Refusal{Cause: CauseLock, GroupPolicy: attrs.GroupPolicy}
	case !attrs.Expires.IsZero() && !c.Wall.Before(attrs.Expires):
		no = &Refusal{Cause: CauseExpired}
	case !open:
		no = &Refusal{Cause: CauseHours, GroupPolicy: attrs.GroupPolicy}
	case c.Crowded && outcome != refuse:
		no = &Refusal{Cause: CauseMemory}
	case l.tooMany():
		no = &Refusal{Cause: CauseLogins, GroupPolicy: attrs.GroupPolicy, Limit: int64(attrs.SimultaneousLogins)}
	case outcome == admit:
		l.makeRoom(out)
		t.grant(now, s, l, out)
		return
	case outcome == askFirst && !c.Final:
		a.waiting = append(a.waiting, s)
		a.claim(out)
		return
	default:
		no = &Refusal{Cause: CauseClass}
		if outcome == askFirst {
			no.Cause = CauseShared
		}
		name, limit := a.deny()
		no.Resource, no.Limit = string(name), limit
	}
	out.Answers = append(out.Answers, Answer{Subject: s, Refused: no})
}

// subject is a Subject in the words of the policies.
func (t *Table) subject(s *Subject) policy.Subject {
	return policy.Subject{Group: s.Group, User: s.User, Said: s.Said, Interface: policy.Interface(t.tenant, s.Local)}
}

// grant leases addresses and opens the session. A client that asks for no address
// opens none: its IKE SA will not last.
func (t *Table) grant(now time.Time, s Subject, l login, out *Output) {
	x := t.open(now, s)
	x.idle = l.attrs.IdleTimeout
	var missed []pool.Family
	if s.RemoteAccess {
		x.Granted = attributes(now, &s, &l)
		var err error
		if missed, err = t.lease(&s, x, &l); err != nil {
			no := &Refusal{Cause: CauseAddress, Pools: l.attrs.AddressPools, Err: err}
			out.Answers = append(out.Answers, Answer{Subject: s, Granted: x.Granted, Refused: no})
			return
		}
	}
	if !s.RemoteAccess || len(x.Granted.Addresses) > 0 {
		t.add(x)
		t.succeed(now, x, out)
	}
	for _, f := range missed {
		out.Missed = append(out.Missed, Missed{Subject: s, Family: f, Pools: l.attrs.AddressPools})
	}
	out.Answers = append(out.Answers, Answer{Subject: s, Granted: x.Granted})
}

// attributes is what a session of a group gets beside its addresses. It ends with its time
// or with the access hours, whichever is first.
func attributes(now time.Time, s *Subject, l *login) Grant {
	attrs := &l.attrs
	g := Grant{
		GroupPolicy: attrs.GroupPolicy,
		DNS:         attrs.DNSServers,
		WINS:        attrs.WINSServers,
		Domain:      attrs.DefaultDomain,
		SplitDNS:    attrs.SplitDNS,
		Split:       attrs.SplitTunnel,
		Banner:      attrs.Banner,
		Expires:     l.until,
		Said:        s.Said,
	}
	most := now.Add(attrs.SessionTimeout)
	if attrs.SessionTimeout > 0 && (g.Expires.IsZero() || most.Before(g.Expires)) {
		g.Expires = most
	}
	return g
}

// lease takes an address of each family that the client wants: its own, or else one of the
// first pool that has any. It returns the families of which there was none; it is an error
// only if there is none at all. A device that has lost its SAs, and says so, gets the
// addresses that it had.
func (t *Table) lease(s *Subject, x *Session, l *login) (missed []pool.Family, failed error) {
	var out []netip.Addr
	for _, family := range []struct {
		wants  bool
		pool   pool.Family
		wanted netip.Addr
	}{{s.WantIPv4, pool.IPv4, s.WantedIPv4}, {s.WantIPv6, pool.IPv6, s.WantedIPv6}} {
		if !family.wants {
			continue
		}
		if !family.wanted.IsValid() {
			family.wanted = l.had(family.pool == pool.IPv4)
		}
		a, own := t.pools.LeaseOwn(family.pool, x.holder(), family.wanted)
		if !own {
			a, own = t.leaseSaid(s, x, family.pool, family.wanted)
		}
		if !own {
			var err error
			if a, err = t.pools.Lease(l.attrs.AddressPools, family.pool, x.holder(), family.wanted); err != nil {
				failed = err
				missed = append(missed, family.pool)
				continue
			}
		}
		out = append(out, a)
		if a.Is4() {
			x.Granted.Mask = t.pools.Mask(a)
		}
	}
	x.Granted.Addresses = out
	if len(out) > 0 {
		failed = nil
	}
	return missed, failed
}

// leaseSaid takes the address of a family that an authentication server names. false: it
// names none, or somebody else has it.
func (t *Table) leaseSaid(s *Subject, x *Session, f pool.Family, wanted netip.Addr) (netip.Addr, bool) {
	if s.Said == nil {
		return netip.Addr{}, false
	}
	for _, a := range s.Said.Addresses {
		if a.Is4() == (f == pool.IPv4) && t.pools.LeaseNamed(a, x.holder(), wanted) {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// Past is what a session has behind it when another worker goes on with it.
type Past struct {
	Since             time.Time
	BytesIn, BytesOut uint64
}

// Adopt opens the session of a peer that another worker has let in, with what it was
// granted. Nobody knows here when it had traffic last, so it is not idle from
// the beginning. Whether it is remote access, and when it is idle for too long, says
// the configuration of now.
func (t *Table) Adopt(now time.Time, s Subject, g Grant, past Past, out *Output) {
	s.Said = g.Said
	attrs, _ := t.policies.Resolve(t.subject(&s))
	if attrs.RemoteAccess && len(g.Addresses) == 0 {
		return // see grant
	}
	s.RemoteAccess = attrs.RemoteAccess
	x := t.open(now, s)
	x.Granted, x.Since, x.BytesIn, x.BytesOut = g, past.Since, past.BytesIn, past.BytesOut
	x.idle = attrs.IdleTimeout
	t.add(x)
	t.reserve(x, out)
	t.succeed(now, x, out)
}

// Unfit returns why a user of a tunnel group could not have under the
// configuration of now what it was granted; "" where it could. nil for a peer that we
// have connected to: it was granted nothing.
func (t *Table) Unfit(p spec.Protocol, user, group string, g *Grant) string {
	attrs, ok := t.policies.Resolve(policy.Subject{Group: group, User: user, Said: g.said()})
	pools := spec.AllPools(attrs.AddressPools, attrs.InterfacePools)
	switch {
	case !ok:
		return "its tunnel group was removed from the configuration"
	case g == nil:
		return ""
	case !slices.Contains(attrs.TunnelProtocols, p):
		return "its group policy does not allow " + string(p) + " any more"
	case !attrs.RemoteAccess:
		return ""
	case slices.ContainsFunc(g.Addresses, func(a netip.Addr) bool {
		return !t.pools.Has(pools, user, a) && (g.Said == nil || !slices.Contains(g.Said.Addresses, a))
	}):
		return "its address is in none of its pools any more"
	case !reaches(attrs, g.Split):
		return "its group policy gives it fewer networks now"
	}
	return ""
}

// said is what of a Grant an authentication server has said; nil: nothing. A nil Grant has none.
func (g *Grant) said() *spec.Attributes {
	if g == nil {
		return nil
	}
	return g.Said
}

// reaches reports whether a session that is opened now reaches all of these
// networks; none stand for all there are.
func reaches(attrs policy.Attributes, networks []netip.Prefix) bool {
	if len(attrs.SplitTunnel) == 0 {
		return true
	}
	for _, n := range networks {
		if !slices.ContainsFunc(attrs.SplitTunnel, func(p netip.Prefix) bool {
			return p.Bits() <= n.Bits() && p.Contains(n.Addr())
		}) {
			return false
		}
	}
	return len(networks) > 0
}
