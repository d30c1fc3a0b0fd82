package worker

import (
	"net/netip"
	"slices"
	"time"

	"github.com/warrenvpn/warren/context/policy"
	"github.com/warrenvpn/warren/context/pool"
	"github.com/warrenvpn/warren/ike"
)

// authorise answers what a peer that has proven its identity gets. The session
// counts from here on; publish takes it back when the IKE SA ends.
func (w *Worker) authorise(now time.Time, q ike.AskSession) { w.decide(now, q, true) }

// decide is authorise; where the supervisor has to be asked first, and may be,
// the answer comes later (granted).
func (w *Worker) decide(now time.Time, q ike.AskSession, mayAsk bool) {
	reply := ike.Reply{Question: q.Question}
	attrs, ok := w.policies.Resolve(q.Peer.Profile)
	a := w.sessions.admissionOf(q.RemoteAccess)
	allowed := ok && slices.Contains(attrs.TunnelProtocols, "ikev2")
	verdict := a.judge()
	switch {
	case !allowed:
		w.refused(now, q.Peer, "the group policy does not allow ikev2", "group_policy", attrs.GroupPolicy)
		reply.Refuse = ike.RefuseUnauthorised
	case w.ledger.crowded() && verdict != refuse:
		w.refused(now, q.Peer, "the memory of the journal is used up")
		reply.Refuse = ike.RefuseLimit
	case verdict == admit:
		w.makeRoom(now, q.Peer, attrs)
		reply = w.grant(now, q, attrs)
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
		w.refused(now, q.Peer, reason, "class", w.tenant.Class, "resource", string(name), "limit", limit)
		reply.Refuse = ike.RefuseLimit
	}
	if err := w.engine.Answer(now, reply, &w.out); err != nil {
		w.log.Debug("nobody waits for the session any more", "peer", q.Peer.Remote, "reason", err)
		w.release(q.Peer.SPI)
	}
}

// grant leases addresses and opens the session.
func (w *Worker) grant(now time.Time, q ike.AskSession, attrs policy.Attributes) ike.Reply {
	s := &session{
		peer:         q.Peer,
		remoteAccess: q.RemoteAccess,
		since:        now,
		idle:         attrs.IdleTimeout,
		active:       now,
	}
	reply := ike.Reply{Question: q.Question}
	if q.RemoteAccess {
		s.granted = ike.Session{
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
		if s.granted.Addresses, err = w.lease(q, attrs.AddressPools); err != nil {
			w.refused(now, q.Peer, "no address is free", "pools", attrs.AddressPools, "detail", err)
			reply.Refuse = ike.RefuseNoAddress
		}
	}
	w.sessions.add(s)
	reply.Session = s.granted
	return reply
}

// lease takes an address of each family that the client wants from the first
// pool that has one. It is an error only if there is none at all.
func (w *Worker) lease(q ike.AskSession, pools []string) ([]netip.Addr, error) {
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
		a, err := w.pools.Lease(pools, family.pool, q.Peer.RemoteID, family.wanted)
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

// makeRoom ends the oldest sessions of an identity that would have more than
// its group policy allows.
func (w *Worker) makeRoom(now time.Time, peer ike.Peer, attrs policy.Attributes) {
	if attrs.SimultaneousLogins <= 0 {
		return
	}
	mine := w.sessions.of(peer.RemoteID)
	for len(mine) >= attrs.SimultaneousLogins {
		w.command(now, ike.DeleteIKE{SPI: mine[0].peer.SPI, Reason: "the same user has logged in again, and simultaneous_logins allows no more"})
		mine = mine[1:]
	}
}

// release closes a session and gives its addresses back.
func (w *Worker) release(spi uint64) {
	s := w.sessions.remove(spi)
	if s == nil {
		return
	}
	for _, a := range s.granted.Addresses {
		w.pools.Release(a)
	}
}

// adoptSession opens the session of an IKE SA that came from the journal. Nobody
// knows here when it had traffic last, so it is not idle from the beginning.
func (w *Worker) adoptSession(now time.Time, s ike.Status) {
	x := &session{peer: s.Peer, granted: s.Session, since: s.Established, active: now}
	if past, ok := w.past[s.Peer.SPI]; ok {
		x.since, x.bytesIn, x.bytesOut = past.since, past.bytesIn, past.bytesOut
	}
	attrs, _ := w.policies.Resolve(s.Peer.Profile)
	x.idle, x.remoteAccess = attrs.IdleTimeout, attrs.RemoteAccess
	w.sessions.add(x)
	w.hold(x)
}

// hold takes the addresses of a session out of the pools.
func (w *Worker) hold(s *session) {
	for _, a := range s.granted.Addresses {
		if err := w.pools.Reserve(a, s.peer.RemoteID); err != nil {
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
			w.command(now, ike.Alive{ID: id})
		}
		if s := w.sessions.bySPI[p.owner]; s != nil {
			s.active = now
		}
	}
	for spi, s := range w.sessions.bySPI {
		if s.idle > 0 && now.Sub(s.active) > s.idle {
			w.command(now, ike.DeleteIKE{SPI: spi, Reason: "idle timeout of the group policy"})
		}
	}
	w.carry(now)
}
