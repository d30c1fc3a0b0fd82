package worker

import (
	"fmt"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/replica"
	"github.com/warrenvpn/warren/context/session"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/ike/exchange"
)

// handleOf is what the sessions call an IKE SA.
func handleOf(spi uint64) session.Handle {
	return session.Handle{Protocol: spec.IKEv2, Number: spi}
}

// subjectOf is a question of the engine in the words of the sessions.
func subjectOf(q exchange.AskSession) session.Subject {
	s := session.Subject{
		Handle: handleOf(q.Peer.SPI), Question: uint64(q.Question),
		User: q.Peer.Name(), Group: q.Peer.Profile, Public: q.Peer.Remote, Local: q.Peer.Local.Addr(),
		RemoteAccess: q.RemoteAccess,
		WantIPv4:     q.WantIPv4, WantIPv6: q.WantIPv6, WantedIPv4: q.WantedIPv4, WantedIPv6: q.WantedIPv6,
	}
	if said, ok := q.Accept.(spec.Attributes); ok {
		s.Said = &said
	}
	for _, spi := range q.Replaces {
		s.Replaces = append(s.Replaces, handleOf(spi))
	}
	return s
}

// engineSession is what was granted in the words of the engine, and grantOf the
// other way round.
func engineSession(g session.Grant) exchange.Session {
	return exchange.Session{
		GroupPolicy: g.GroupPolicy, Addresses: g.Addresses, Mask: g.Mask, DNS: g.DNS, WINS: g.WINS, Domain: g.Domain,
		SplitDNS: g.SplitDNS, Split: g.Split, Banner: g.Banner, Expires: g.Expires, Said: engineSaid(g.Said),
	}
}

// engineSaid is what of an authority's word outlasts the login, and saidOf the other way round.
func engineSaid(a *spec.Attributes) *exchange.Said {
	if a == nil {
		return nil
	}
	return &exchange.Said{GroupPolicy: a.GroupPolicy, Addresses: a.Addresses, Pools: a.Pools, Split: a.SplitTunnel,
		Idle: a.IdleTimeout, Class: a.Class}
}

func saidOf(s *exchange.Said) *spec.Attributes {
	if s == nil {
		return nil
	}
	return &spec.Attributes{GroupPolicy: s.GroupPolicy, Addresses: s.Addresses, Pools: s.Pools, SplitTunnel: s.Split,
		IdleTimeout: s.Idle, Class: s.Class}
}

func grantOf(s exchange.Session) session.Grant {
	return session.Grant{
		GroupPolicy: s.GroupPolicy, Addresses: s.Addresses, Mask: s.Mask, DNS: s.DNS, WINS: s.WINS, Domain: s.Domain,
		SplitDNS: s.SplitDNS, Split: s.Split, Banner: s.Banner, Expires: s.Expires, Said: saidOf(s.Said),
	}
}

// engineRefusals is what a peer is told of each cause.
var engineRefusals = map[session.Cause]exchange.Refusal{
	session.CauseProtocol: exchange.RefuseUnauthorised,
	session.CauseNoLogins: exchange.RefuseUnauthorised,
	session.CauseMemory:   exchange.RefuseLimit,
	session.CauseLogins:   exchange.RefuseLimit,
	session.CauseClass:    exchange.RefuseLimit,
	session.CauseShared:   exchange.RefuseLimit,
	session.CauseAddress:  exchange.RefuseNoAddress,
	session.CauseHours:    exchange.RefuseUnauthorised,
	session.CauseLock:     exchange.RefuseUnauthorised,
	session.CauseExpired:  exchange.RefuseUnauthorised,
}

// decide has the sessions say what a peer gets; final: the supervisor was asked
// already.
func (w *Worker) decide(now time.Time, s session.Subject, final bool) {
	var out session.Output
	w.sessions.Decide(now, s, session.Conditions{Final: final, Crowded: w.replica.Crowded(),
		Wall: w.clock.wall(now)}, &out)
	w.applySessions(now, &out)
}

// applySessions does what the sessions ask for. The standby tells no peer anything.
func (w *Worker) applySessions(now time.Time, out *session.Output) {
	_ = w.replica.Serve(func() {
		for _, e := range out.End {
			w.command(now, exchange.DeleteIKE{SPI: e.Handle.Number, Reason: e.Reason})
		}
	})
	for _, c := range out.Claims {
		if !w.supervisor.claim(control.Claim(c)) {
			w.sessions.Postpone(c)
		}
	}
	for i := range out.Answers {
		w.answer(now, &out.Answers[i])
	}
	for _, m := range out.Missed {
		if w.limits.refusals.mayTell(now) {
			s := &m.Subject
			w.tell(&control.SessionOneFamily{Peer: s.Public, Identity: s.User, Profile: s.Group,
				Family: fmt.Sprintf("IPv%d", m.Family), Pools: m.Pools})
		}
	}
	for _, o := range out.Outside {
		w.tell(&control.ForeignAddress{Address: o.Address, Identity: o.User})
	}
}

// answer gives the engine the answer to its question.
func (w *Worker) answer(now time.Time, a *session.Answer) {
	reply := exchange.AnswerSession{Question: exchange.QuestionID(a.Subject.Question),
		Session: engineSession(a.Granted)}
	if a.Refused != nil {
		reply.Refuse = engineRefusals[a.Refused.Cause]
		w.limits.refusals.session(now, a, w.tenant.Class)
	}
	if err := w.engine.Answer(now, reply, &w.out); err != nil {
		w.log.Debug("nobody waits for the session any more", "peer", a.Subject.Public, "reason", err)
		w.closeSession(a.Subject.Handle)
	}
}

// granted goes on with the peers that waited for the answer to a claim.
func (w *Worker) granted(now time.Time, c control.Claim, g control.Grant) {
	waiting := w.sessions.Granted(session.Claim(c), g.Most)
	_ = w.replica.Serve(func() {
		for i, s := range waiting {
			w.decide(now, s, int64(i) < c.More)
		}
		w.flush(now)
	})
}

// closeSession ends a session, writes down which addresses came back, and returns the
// session; nil: there was none.
func (w *Worker) closeSession(h session.Handle) *session.Session {
	x, free := w.sessions.Close(h)
	for _, a := range free {
		w.replica.Returned(a, x.User)
	}
	return x
}

// keepSession makes durable what the IKE SA of a session does not say. nil: there
// is no session.
func keepSession(r *replica.Replica, x *session.Session) {
	if x != nil {
		r.SetAccount(x.Handle.Number, replica.Account{Since: x.Since, BytesIn: x.BytesIn, BytesOut: x.BytesOut})
	}
}

// adoptSessions opens the sessions of IKE SAs that came from the journal. One has a
// session where we let the peer in, and no other IKE SA has followed it.
func (w *Worker) adoptSessions(now time.Time) {
	var out session.Output
	for _, s := range w.engine.Status() {
		if s.Dialled || s.Established.IsZero() || s.Followed {
			continue
		}
		past := session.Past{Since: s.Established}
		if a, ok := w.replica.Account(s.Peer.SPI); ok {
			past = session.Past(a)
		}
		w.sessions.Adopt(now, subjectOf(exchange.AskSession{Peer: s.Peer}), grantOf(s.Session), past, &out)
	}
	w.applySessions(now, &out)
}

// tick is what is done every second.
func (w *Worker) tick(now time.Time) {
	_ = w.replica.Serve(func() {
		w.replica.TellCounters(now)
		w.limits.refusals.ebb(now)
		w.expireSessions(now)
	})
	var out session.Output
	w.sessions.Balance(&out)
	w.applySessions(now, &out)
	w.tellRoutes(now)
	w.limits.watch(now, w.usage())
}

// usage is what the tenant uses of what its class rations.
func (w *Worker) usage() usage {
	return usage{tenant: w.tenant, engine: w.engine.Usage(), sessions: w.sessions.Usage()}
}

// expireSessions looks at every session: traffic proves that its peer lives, and a
// session without traffic may have been idle for too long.
func (w *Worker) expireSessions(now time.Time) {
	for x := range w.replica.Traffic {
		if x.Heard {
			w.command(now, exchange.Alive{ID: x.Child})
		}
		w.sessions.Active(now, handleOf(x.IKE))
	}
	var out session.Output
	w.sessions.Expire(now, &out)
	w.applySessions(now, &out)
	w.flush(now)
}
