package worker

import (
	"net/netip"
	"slices"
	"time"

	"github.com/warrenvpn/warren/context/policy"
	"github.com/warrenvpn/warren/context/pool"
	"github.com/warrenvpn/warren/ike/exchange"
)

// authorise answers what a peer that has proven its identity gets. The session
// counts from here on; publish takes it back when the IKE SA ends.
func (w *Worker) authorise(now time.Time, q exchange.AskSession) { w.decide(now, q, true) }

// decide is authorise; where the supervisor has to be asked first, and may be,
// the answer comes later (granted).
func (w *Worker) decide(now time.Time, q exchange.AskSession, mayAsk bool) {
	reply := exchange.AnswerSession{Question: q.Question}
	attrs, ok := w.policies.Resolve(q.Peer.Profile)
	a := w.sessions.admissionOf(q.RemoteAccess)
	l := w.login(q, attrs)
	verdict := a.judge(int64(len(l.ending) + len(l.followed)))
	switch {
	case !ok || !slices.Contains(attrs.TunnelProtocols, "ikev2"):
		reply.Refuse = exchange.RefuseUnauthorised
		w.turnAway(now, q.Peer, reply.Refuse, "the group policy does not allow ikev2", "group_policy", attrs.GroupPolicy)
	case attrs.SimultaneousLogins == 0:
		reply.Refuse = exchange.RefuseUnauthorised
		w.turnAway(now, q.Peer, reply.Refuse, "nobody may log in: simultaneous_logins of the group policy is 0", "group_policy", attrs.GroupPolicy)
	case w.ledger.crowded() && verdict != refuse:
		reply.Refuse = exchange.RefuseLimit
		w.turnAway(now, q.Peer, reply.Refuse, "the memory of the journal is used up")
	case l.tooMany():
		reply.Refuse = exchange.RefuseLimit
		w.turnAway(now, q.Peer, reply.Refuse, "the identity has as many sessions as simultaneous_logins allows, and unique keeps them",
			"group_policy", attrs.GroupPolicy, "limit", attrs.SimultaneousLogins)
	case verdict == admit:
		w.makeRoom(now, l)
		reply = w.grant(now, q, attrs, l)
	case verdict == askFirst && mayAsk:
		a.waiting = append(a.waiting, q)
		w.claim(a)
		return
	default:
		reason := "the limit of the context's class is reached"
		if verdict == askFirst {
			reason = "nothing is left of what the contexts share"
		}
		name, limit := a.deny()
		reply.Refuse = exchange.RefuseLimit
		w.turnAway(now, q.Peer, reply.Refuse, reason, "class", w.tenant.Class, "resource", string(name), "limit", limit)
	}
	if reply.Refuse != 0 {
		w.told = q.Peer.SPI // the engine's own line would say the same
	}
	if err := w.engine.Answer(now, reply, &w.out); err != nil {
		w.log.Debug("nobody waits for the session any more", "peer", q.Peer.Remote, "reason", err)
		w.release(q.Peer.SPI)
	}
}

// grant leases addresses and opens the session. A client that gets no address gets
// none: its IKE SA will not last.
func (w *Worker) grant(now time.Time, q exchange.AskSession, attrs policy.Attributes, l login) exchange.AnswerSession {
	s := w.sessions.open(q.Peer, now)
	s.remoteAccess, s.idle = q.RemoteAccess, attrs.IdleTimeout
	reply := exchange.AnswerSession{Question: q.Question}
	if q.RemoteAccess {
		s.granted = exchange.Session{
			GroupPolicy: attrs.GroupPolicy,
			DNS:         attrs.DNSServers,
			Domain:      attrs.DefaultDomain,
			Split:       attrs.SplitTunnel,
			Banner:      attrs.Banner,
		}
		if attrs.SessionTimeout > 0 {
			s.granted.Expires = now.Add(attrs.SessionTimeout)
		}
		var err error
		if s.granted.Addresses, err = w.lease(q, attrs.AddressPools, s, l); err != nil {
			reply.Refuse = exchange.RefuseNoAddress
			w.turnAway(now, q.Peer, reply.Refuse, "no address is free", "pools", attrs.AddressPools, "detail", err)
		}
	}
	reply.Session = s.granted
	if q.RemoteAccess && len(s.granted.Addresses) == 0 {
		return reply
	}
	w.sessions.add(s)
	w.succession(now, s)
	return reply
}

// lease takes an address of each family that the client wants from the first
// pool that has one. It is an error only if there is none at all. A device that
// has lost its SAs, and says so, gets the addresses that it had.
func (w *Worker) lease(q exchange.AskSession, pools []string, s *session, l login) ([]netip.Addr, error) {
	var out []netip.Addr
	var failed error
	for _, family := range []struct {
		wants  bool
		pool   pool.Family
		wanted netip.Addr
	}{{q.WantIPv4, pool.IPv4, q.WantedIPv4}, {q.WantIPv6, pool.IPv6, q.WantedIPv6}} {
		if !family.wants {
			continue
		}
		if !family.wanted.IsValid() {
			family.wanted = l.had(family.pool == pool.IPv4)
		}
		a, err := w.pools.Lease(pools, family.pool, s.holder(), family.wanted)
		if err != nil {
			failed = err
			continue
		}
		out = append(out, a)
	}
	if len(out) > 0 {
		failed = nil
	}
	return out, failed
}

// release closes a session and gives its addresses back.
func (w *Worker) release(spi uint64) {
	s := w.sessions.remove(spi)
	if s == nil {
		return
	}
	for _, a := range s.granted.Addresses {
		if w.pools.Release(a, s.id) {
			w.record(appendHabit(nil, habitEntry{addr: a, identity: s.peer.RemoteID}))
		}
	}
}

// adoptSession opens the session of an IKE SA that came from the journal, where it
// has one: a peer let it in, and no other IKE SA has followed it. Nobody knows here
// when it had traffic last, so it is not idle from the beginning.
func (w *Worker) adoptSession(now time.Time, s exchange.Status) {
	if s.Dialled || s.Established.IsZero() || s.Followed {
		return
	}
	attrs, _ := w.policies.Resolve(s.Peer.Profile)
	if attrs.RemoteAccess && len(s.Session.Addresses) == 0 {
		return // see grant
	}
	x := w.sessions.open(s.Peer, now)
	x.granted, x.since = s.Session, s.Established
	if past, ok := w.past[s.Peer.SPI]; ok {
		x.since, x.bytesIn, x.bytesOut = past.since, past.bytesIn, past.bytesOut
	}
	x.idle, x.remoteAccess = attrs.IdleTimeout, attrs.RemoteAccess
	w.sessions.add(x)
	w.hold(x)
	w.succession(now, x)
}

// hold takes the addresses of a session out of the pools.
func (w *Worker) hold(s *session) {
	for _, a := range s.granted.Addresses {
		if err := w.pools.Reserve(a, s.holder()); err != nil {
			w.log.Warn("a session holds an address of no pool", "address", a, "identity", s.peer.RemoteID)
		}
	}
}

// keepHouse looks at every session: traffic proves that its peer lives, and a
// session without traffic may have been idle for too long.
func (w *Worker) keepHouse(now time.Time) {
	if !w.twin.speaks() {
		return
	}
	w.tellCounters(now)
	w.tellRefusals(now)
	for id, p := range w.children.byID {
		facts := w.counters.Slot(p.slot).Facts()
		heard, moved := facts.LastIn != p.heard, facts.LastIn != p.heard || facts.LastOut != p.sent
		if !moved {
			continue
		}
		p.heard, p.sent = facts.LastIn, facts.LastOut
		w.children.byID[id] = p
		if heard {
			w.command(now, exchange.Alive{ID: id})
		}
		if s := w.sessions.bySPI[p.owner]; s != nil {
			s.active = now
		}
	}
	for _, s := range w.sessions.bySPI {
		switch {
		case s.ending != "":
			w.end(now, s, s.ending) // in case that a rekeying came between
		case s.idle > 0 && now.Sub(s.active) > s.idle:
			w.end(now, s, "idle timeout of the group policy")
		case !s.followed.IsZero() && now.Sub(s.followed) > followedLife:
			w.end(now, s, reasonFollowed)
		}
	}
	w.carry(now)
}
