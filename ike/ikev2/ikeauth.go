package ikev2

import (
	"errors"
	"fmt"
	"time"

	"github.com/warrenvpn/warren/ike/auth"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/secret"
)

// authRequest is what an IKE_AUTH request asks for, kept while AskSession waits.
type authRequest struct {
	id      wire.IDi
	wanted  auth.Identity // IDr; zero: does not care
	proof   wire.Auth
	cp      wire.CP
	hasCP   bool
	child   childRequest
	contact bool           // INITIAL_CONTACT
	agreed  []wire.Payload // what is answered about extensions
	entry   *entry
	profile *profile
}

// takeAuth finds the payloads of an IKE_AUTH request (RFC 7296 section 1.2).
func takeAuth(ps wire.Payloads) (*authRequest, error) {
	if err := exactly(ps, wire.TypeIDi, wire.TypeSA, wire.TypeTSi, wire.TypeTSr); err != nil {
		return nil, err
	}
	if ps.Count(wire.TypeAuth) > 1 || ps.Count(wire.TypeIDr) > 1 || ps.Count(wire.TypeCP) > 1 {
		return nil, exchange.ErrMalformed
	}
	a := &authRequest{}
	a.id, _ = wire.Find[wire.IDi](ps)
	a.proof, _ = wire.Find[wire.Auth](ps)
	if idr, ok := wire.Find[wire.IDr](ps); ok {
		a.wanted = auth.FromWire(idr.ID)
	}
	a.cp, a.hasCP = wire.Find[wire.CP](ps)
	a.hasCP = a.hasCP && a.cp.Type == wire.CPRequest
	_, a.contact = ps.Notify(wire.InitialContact)
	a.child = takeChild(ps)
	return a, nil
}

// authRequest serves IKE_AUTH: who is it, is it true, and what may it have?
func (s *SA) authRequest(now time.Time, d exchange.Datagram, m *wire.Message, out *exchange.Output) error {
	if s.opener == nil {
		shared, err := s.handshake.answer.Secret()
		if err == nil {
			err = s.deriveKeys(shared)
		}
		if err != nil {
			s.refuse("", "key exchange: "+err.Error(), out)
			s.die()
			return nil
		}
		s.handshake.answer.Clear()
	}
	ps, err := s.open(d, m)
	if err != nil && !authentic(err) {
		return err
	}
	s.local, s.remote = d.Local, d.Remote // a NAT made the initiator use port 4500
	if err != nil {
		return s.reject(now, errorNotify(err), err.Error(), out)
	}
	a, err := takeAuth(ps)
	if err != nil {
		return s.reject(now, wire.Notify{Type: wire.InvalidSyntax}, err.Error(), out)
	}
	a.agreed = s.agreed.learn(wire.IKEAuth, true, ps)
	if reason := s.authenticate(a); reason != "" {
		return s.reject(now, wire.Notify{Type: wire.AuthenticationFailed}, reason, out)
	}
	s.handshake.auth, s.handshake.question = a, s.host.Ask(s)
	s.transition(Asking)
	q := exchange.AskSession{Question: s.handshake.question, Peer: s.Peer(), RemoteAccess: s.remoteAccess}
	q.WantIPv4, q.WantedIPv4 = a.wants(wire.InternalIP4Address)
	q.WantIPv6, q.WantedIPv6 = a.wants(wire.InternalIP6Address)
	for _, o := range s.host.Others(s) {
		if s.succeeds(o) {
			q.Replaces = append(q.Replaces, o.SPI())
		}
	}
	out.Events = append(out.Events, q)
	return nil
}

// decoy is verified against where there is no profile, so that an unknown
// identity takes the time of a wrong key.
var decoy auth.Verifier = auth.PSK{Key: secret.Copy([]byte("no profile has this"))}

// authenticate chooses the profile and verifies the peer; the result is why it
// is not let in, for the operator.
func (s *SA) authenticate(a *authRequest) string {
	id := auth.FromWire(a.id.ID)
	s.remoteID = id
	var unserved string
	a.profile, a.entry, unserved = s.host.Rules().match(s.local.Addr(), s.remote.Addr(), id, a.wanted)
	verifier := decoy
	if a.profile != nil {
		verifier = a.profile.verifier(id)
	}
	h, prf := s.handshake, s.suite.PRF()
	octets := auth.InitiatorSignedOctets(prf, h.request, h.nr, s.keys.Pi, a.id)
	err := verifier.Verify(prf, octets, a.proof)
	switch {
	case a.profile == nil && !a.wanted.IsZero():
		return fmt.Sprintf("no tunnel group is for peer %v that wants to reach %v", id, a.wanted)
	case a.profile == nil:
		return fmt.Sprintf("no tunnel group is for peer %v", id)
	case a.proof.Data == nil:
		return fmt.Sprintf("peer %v wants EAP, which tunnel group %s does not have", id, a.profile.Name)
	case a.proof.Method != verifier.Method():
		return fmt.Sprintf("peer %v authenticates with %v; tunnel group %s has a %s", id, a.proof.Method, a.profile.Name, noun(verifier))
	case lacks(a.profile.remote(id)):
		return fmt.Sprintf("tunnel group %s has no pre-shared key for peer %v", a.profile.Name, id)
	case err != nil:
		return fmt.Sprintf("wrong %s or identity of peer %v (tunnel group %s)", noun(verifier), id, a.profile.Name)
	case a.entry == nil:
		return unserved
	}
	s.profile, s.remoteAccess, s.dpd = a.profile.Name, a.profile.RemoteAccess, a.profile.DPD
	s.localID = a.profile.identityOf(s.local.Addr())
	s.entry = a.entry.Name
	return ""
}

// reject answers IKE_AUTH with nothing but n and keeps the SA only to answer
// repeats (RFC 7296 section 2.21.2). A handshake that is on record ends there
// first: who comes after us would answer the same request otherwise, with the
// same keys and the same initialisation vector.
func (s *SA) reject(now time.Time, n wire.Notify, reason string, out *exchange.Output) error {
	if s.handshake.recorded {
		s.handshake.recorded = false
		out.Changes = append(out.Changes, exchange.Record{Kind: exchange.RecordIKEDown, SPI: s.spi})
	}
	s.respond(wire.IKEAuth, 1, []wire.Payload{n}, out)
	s.refuse(n.Type.String(), reason, out)
	s.transition(Rejected)
	s.endAt = now.Add(s.host.HalfOpenLife())
	s.handshake.auth, s.handshake.question = nil, 0
	return nil
}

// refuse publishes why a peer was turned away.
func (s *SA) refuse(notify, reason string, out *exchange.Output) {
	out.Events = append(out.Events, exchange.Refused{Peer: s.Peer(), Dialled: s.dialled, Notify: notify, Reason: clip(reason)})
}

// Answer implements exchange.SA: the second half of authRequest.
func (s *SA) Answer(now time.Time, given exchange.Answer, out *exchange.Output) error {
	r, ok := given.(exchange.AnswerSession)
	if !ok || s.state != Asking || s.handshake.question != r.Question {
		return exchange.ErrState
	}
	defer s.finish(now, out)
	s.handshake.question = 0
	a := s.handshake.auth
	switch r.Refuse {
	case exchange.RefuseLimit:
		return s.reject(now, wire.Notify{Type: wire.NoAdditionalSAs}, "limit of sessions is reached", out)
	case exchange.RefuseUnauthorised:
		return s.reject(now, wire.Notify{Type: wire.AuthenticationFailed}, "session is not authorised", out)
	case exchange.RefuseNone, exchange.RefuseNoAddress:
	}
	s.session = r.Session
	idr := wire.IDr{ID: s.localID.Wire()}
	octets := auth.ResponderSignedOctets(s.suite.PRF(), s.handshake.response, s.handshake.ni, s.keys.Pr, idr)
	proof, err := a.profile.prover().Prove(s.suite.PRF(), octets)
	if err != nil {
		reason := fmt.Sprintf("tunnel group %s has no pre-shared key for this gateway", a.profile.Name)
		_ = s.reject(now, wire.Notify{Type: wire.AuthenticationFailed}, reason, out)
		return errors.New("ikev2: " + reason)
	}
	ps := append([]wire.Payload{idr, proof}, a.agreed...)

	if n, reason := s.unaddressed(r); reason != "" {
		s.session.Addresses = nil
		s.respond(wire.IKEAuth, 1, append(ps, n), out)
		s.establish(now, out)
		s.refuse(n.Type.String(), reason, out)
		return nil
	}
	for _, o := range s.host.Others(s) {
		if s.succeeds(o) {
			s.host.Replace(now, o, out)
		}
	}
	if a.hasCP {
		if reply, ok := configReply(a.cp, &s.session); ok {
			ps = append(ps, reply)
		}
	}
	h := s.handshake
	c, answer, refusal := s.acceptChild(now, &a.child, childKeying{ni: h.ni, nr: h.nr}, true)
	s.respond(wire.IKEAuth, 1, append(ps, answer...), out)
	s.establish(now, out)
	if refusal != "" {
		s.refuse(answer[0].(wire.Notify).Type.String(), refusal, out)
		return nil
	}
	s.addChild(now, c, nil, out)
	return nil
}

// establish ends the handshake on either side.
func (s *SA) establish(now time.Time, out *exchange.Output) {
	s.transition(Established)
	s.endAt, s.endReason = time.Time{}, ""
	s.host.Bury(s.handshake.seed)
	s.handshake = nil
	s.heard, s.creates = now, newCreates()
	s.age(now)
	s.armKeepalive(now)
	s.fresh = true
	s.checkChildless(now)
	s.announce(out)
}

// announce publishes IKEUp.
func (s *SA) announce(out *exchange.Output) {
	out.Events = append(out.Events, exchange.IKEUp{
		Peer: s.Peer(), Initiator: s.initiator, Suite: s.suite.Proposal(), NAT: s.natLocal || s.natRemote, Session: s.session,
	})
}

// age sets the instants of rekeying and end.
func (s *SA) age(now time.Time) {
	if s.lifetime <= 0 {
		s.lifetime = DefaultIKELifetime
	}
	s.established = now
	s.hard = now.Add(s.lifetime)
	if e := s.session.Expires; !e.IsZero() && e.Before(s.hard) {
		s.hard = e
	}
	s.soft = now.Add(s.softAfter(s.lifetime))
}

// softAfter returns how long after its birth an SA with a lifetime of d is
// rekeyed.
func (s *SA) softAfter(d time.Duration) time.Duration {
	share := softResponder
	if s.initiator {
		share = softInitiator
	}
	d = time.Duration(float64(d) * share)
	return s.jittered(d, softJitter)
}

// startAuth sends IKE_AUTH.
func (s *SA) startAuth(now time.Time, out *exchange.Output) error {
	h, rules := s.handshake, s.host.Rules()
	p := rules.profileByName(s.profile)
	if p == nil {
		return s.fail(out, "", "tunnel group "+s.profile+" has vanished")
	}
	idi := wire.IDi{ID: s.localID.Wire()}
	octets := auth.InitiatorSignedOctets(s.suite.PRF(), h.request, h.nr, s.keys.Pi, idi)
	proof, err := p.prover().Prove(s.suite.PRF(), octets)
	if err != nil {
		return s.fail(out, "", "tunnel group "+s.profile+" has no pre-shared key for this side")
	}
	ps := []wire.Payload{idi}
	if len(p.remotes) == 1 {
		if id, one := p.remotes[0].Identity(); one {
			ps = append(ps, wire.IDr{ID: id.Wire()})
		}
	}
	ps = append(ps, proof)
	if s.host.OnlyContact(s) {
		ps = append(ps, wire.Notify{Type: wire.InitialContact})
	}
	ps = append(ps, s.agreed.offer(wire.IKEAuth)...)
	if h.entry.RequestAddress {
		ps = append(ps, configRequest(h.entry))
	}
	h.spi = s.host.NewESPSPI()
	h.first = h.entry.on(h.entry.first)
	ps = append(ps, offerChild(h.first, h.spi))
	tsi, tsr := h.entry.selectors()
	ps = append(ps, wire.TSi{TS: wire.TS{Selectors: tsi}}, wire.TSr{TS: wire.TS{Selectors: tsr}})
	s.send(now, request{task: task{kind: taskAuth}}, wire.IKEAuth, ps, out)
	return nil
}

// authResponse takes the answer to our IKE_AUTH.
func (s *SA) authResponse(now time.Time, ps wire.Payloads, out *exchange.Output) error {
	s.settled()
	if ps.Count(wire.TypeAuth) == 0 || ps.Count(wire.TypeIDr) == 0 {
		for _, p := range ps {
			if n, ok := p.(wire.Notify); ok && n.Type.IsError() {
				return s.fail(out, n.Type.String(), "peer refuses IKE_AUTH: "+hint(n.Type))
			}
		}
		return s.fail(out, "", "peer did not authenticate itself")
	}
	idr, _ := wire.Find[wire.IDr](ps)
	proof, _ := wire.Find[wire.Auth](ps)
	h, p := s.handshake, s.host.Rules().profileByName(s.profile)
	if p == nil {
		return s.fail(out, "", "tunnel group "+s.profile+" has vanished")
	}
	s.remoteID = auth.FromWire(idr.ID)
	octets := auth.ResponderSignedOctets(s.suite.PRF(), h.response, h.ni, s.keys.Pr, idr)
	verifier := p.verifier(s.remoteID)
	err := verifier.Verify(s.suite.PRF(), octets, proof)
	if err != nil || !p.accepts(s.remoteID, auth.Identity{}) {
		n := wire.Notify{Type: wire.AuthenticationFailed}
		s.post(s.seal(wire.Informational, s.window.next, false, []wire.Payload{n}), out)
		return s.fail(out, n.Type.String(), fmt.Sprintf("wrong %s or identity of peer %v (tunnel group %s)", noun(verifier), s.remoteID, s.profile))
	}
	e := h.entry
	s.agreed.learn(wire.IKEAuth, false, ps)
	if cp, ok := wire.Find[wire.CP](ps); ok && e.RequestAddress && cp.Type == wire.CPReply {
		s.session = configSession(cp)
	}
	keying := childKeying{ni: h.ni, nr: h.nr}
	tsi, tsr := e.selectors()
	c, reason := s.takeAnswer(now, childAnswer{
		ps: ps, terms: h.first, spi: h.spi, keying: keying, local: tsi, remote: tsr, own: s.own(e),
	})
	s.establish(now, out)
	if reason == "" && e.RequestAddress && len(s.session.Addresses) == 0 {
		reason = "peer assigned no address"
	}
	if c == nil && singlePair(ps) && !e.RequestAddress {
		s.askRest(e)
		return nil
	}
	if foreign := s.host.Rules().foreign(&s.session); reason == "" && foreign != "" {
		s.session = exchange.Session{}
		reason = foreign
	}
	if reason != "" {
		s.refuse("", reason, out)
		s.failure = reason
		s.enqueue(task{kind: taskDeleteIKE, reason: reason})
		return nil
	}
	if e.RequestAddress {
		out.Events = append(out.Events, exchange.AddressAssigned{Peer: s.Peer(), Entry: e.Name, Session: s.session})
	}
	s.addChild(now, c, nil, out)
	if !e.RequestAddress { // with an address of the peer, it narrows what was asked for to that
		s.tellNarrowed(c, tsi, tsr, out)
	}
	s.askRest(e)
	return nil
}

// fail ends an attempt of ours that did not get as far as Established.
func (s *SA) fail(out *exchange.Output, notify, reason string) error {
	s.failure = reason
	s.refuse(notify, reason, out)
	s.die()
	return nil
}

// hint says what an operator should look at.
func hint(t wire.NotifyType) string {
	switch t {
	case wire.AuthenticationFailed:
		return t.String() + ": check pre-shared keys and identities on both sides"
	case wire.NoAdditionalSAs:
		return t.String() + ": its limit of sessions is reached"
	case wire.NoProposalChosen:
		return t.String() + ": no proposal in common"
	}
	return t.String()
}

// errorNotify returns the notification for a message that was authentic but
// cannot be understood.
func errorNotify(err error) wire.Notify {
	var e *wire.Error
	if errors.As(err, &e) {
		return e.Response()
	}
	return wire.Notify{Type: wire.InvalidSyntax}
}
