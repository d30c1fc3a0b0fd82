package ikev2

import (
	"fmt"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/auth"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/pki"
	"github.com/warrenvpn/warren/ike/wire"
)

// authInitiator is IKE_AUTH as its initiator sees it: who we say we are, what
// proves it, and what we ask for.
type authInitiator struct {
	*initiating
	id    wire.IDi
	spi   sa.SPI // of the first child
	first terms  // of it

	prover auth.Prover
	reply  auth.Reply    // of a method of several rounds
	rounds int           // requests after the first, until our proof is among them
	ready  bool          // our proof has been sent
	peer   *wire.IDr     // who the peer says it is, once that is verified
	answer wire.Payloads // while its proof by certificate is being verified
}

// start sends the first IKE_AUTH request.
func (a *authInitiator) start(now time.Time, out *exchange.Output) error {
	s := a.sa
	p := s.host.Rules().profileByName(s.profile)
	if p == nil {
		return a.fail(out, "", "tunnel group "+s.profile+" has vanished")
	}
	a.id, a.prover = wire.IDi{ID: s.localID.Wire()}, p.prover()
	if x := p.signer(); x != nil {
		prf := s.suite.PRF()
		a.wait(now, &work{signer: x, hashes: a.hashes(a.response, a.request),
			octets: a.initiatorOctets(prf, &s.keys, a.id)}, out)
		return nil
	}
	if c, several := a.prover.(auth.Challenged); several {
		a.reply = c.Reply()
		a.prover = a.reply
		return a.introduce(now, p, nil, out)
	}
	proof, err := a.prove()
	if err != nil {
		return a.fail(out, "", "tunnel group "+s.profile+" has no pre-shared key for this side")
	}
	return a.introduce(now, p, []wire.Payload{proof}, out)
}

// wait has work done.
func (a *authInitiator) wait(now time.Time, w *work, out *exchange.Output) {
	s := a.sa
	s.endAt = now.Add(s.host.HalfOpenLife())
	a.await.begin(s.host.Ask(s), s.Peer(), w, out)
}

// worked goes on when our signature is made, or that of the peer is verified.
func (a *authInitiator) worked(now time.Time, w *work, out *exchange.Output) error {
	s := a.sa
	p := s.host.Rules().profileByName(s.profile)
	switch {
	case p == nil:
		return a.fail(out, "", "tunnel group "+s.profile+" has vanished")
	case w.unproven != nil:
		return a.fail(out, "", unsigned(s.profile, identity.Identity{}, w.unproven))
	case w.signer != nil:
		a.ready = true
		return a.introduce(now, p, append(w.signer.Certificates(), w.proof), out)
	}
	if w.denied != nil {
		return a.proceed(now, denied(disproven(s.profile, s.remoteID, w.denied)), nil, out)
	}
	s.remoteID = w.peer
	if a.reply != nil && !a.ready {
		return a.proceed(now, a.converse(a.answer), a.answer, out)
	}
	return a.proceed(now, outcome{proven: true}, a.answer, out)
}

// introduce sends the first IKE_AUTH request, with our proof where that is ready.
func (a *authInitiator) introduce(now time.Time, p *profile, proof []wire.Payload, out *exchange.Output) error {
	s := a.sa
	ps := []wire.Payload{a.id}
	if len(p.RemoteIdentities) == 1 {
		if id, one := p.RemoteIdentities[0].Identity(); one {
			ps = append(ps, wire.IDr{ID: id.Wire()})
		}
	}
	if x := p.examiners(); len(x) > 0 {
		ps = append(ps, wire.CertReq{Encoding: wire.CertX509, Authorities: auth.Authorities(x, maxAuthorities)})
	}
	ps = append(ps, proof...)
	if s.host.OnlyContact(s) {
		ps = append(ps, wire.Notify{Type: wire.InitialContact})
	}
	ps = append(ps, s.agreed.offer(s.host.Rules(), wire.IKEAuth)...)
	if !s.host.Rules().NoMOBIKE {
		ps = append(ps, moving{s}.addresses()...)
	}
	if a.entry.RequestAddress {
		ps = append(ps, configRequest(a.entry))
	}
	a.spi = s.host.NewESPSPI()
	a.first = a.entry.on(a.entry.first)
	tsi, tsr := a.entry.selectors()
	ps = append(ps, offerChild(a.first, a.spi), wire.TSi{TS: wire.TS{Selectors: tsi}},
		wire.TSr{TS: wire.TS{Selectors: tsr}})
	s.send(now, request{task: task{kind: taskAuth}}, wire.IKEAuth, ps, out)
	return nil
}

// prove returns our proof.
func (a *authInitiator) prove() (wire.Auth, error) {
	prf := a.sa.suite.PRF()
	a.ready = true
	return a.prover.Prove(prf, a.initiatorOctets(prf, &a.sa.keys, a.id))
}

// receive takes a response of the conversation.
func (a *authInitiator) receive(now time.Time, ps wire.Payloads, out *exchange.Output) error {
	a.sa.answered()
	return a.proceed(now, a.step(ps), ps, out)
}

// proceed does what a step has come to, that had the payloads ps.
func (a *authInitiator) proceed(now time.Time, o outcome, ps wire.Payloads, out *exchange.Output) error {
	s := a.sa
	switch {
	case o.reason != "" && o.notify.Type != 0: // the peer does not know that it is over
		s.post(s.seal(wire.Informational, s.window.next, false, []wire.Payload{o.notify}), out)
		return a.fail(out, o.notify.Type.String(), o.reason)
	case o.reason != "":
		return a.fail(out, o.told, o.reason)
	case o.work != nil:
		a.answer = ps
		a.wait(now, o.work, out)
		return nil
	case o.proven:
		a.complete(now, ps, out)
		return nil
	default:
		s.send(now, request{task: task{kind: taskAuth}}, wire.IKEAuth, o.more, out)
		return nil
	}
}

// step takes the next message of the peer.
func (a *authInitiator) step(ps wire.Payloads) outcome {
	first := a.peer == nil
	if first || a.ready {
		if o := a.verify(ps); !o.proven || a.ready {
			return o
		}
	}
	return a.converse(ps)
}

// converse answers what the peer, which has proven who it is, asks.
func (a *authInitiator) converse(ps wire.Payloads) outcome {
	if a.rounds++; a.rounds > maxAuthRounds {
		return denied(fmt.Sprintf("peer %v still asks after %d rounds (tunnel group %s)", a.sa.remoteID, maxAuthRounds,
			a.sa.profile))
	}
	answer, done, err := a.reply.Next(ps)
	if err != nil {
		return denied(fmt.Sprintf("peer %v is not answered (tunnel group %s): %v", a.sa.remoteID, a.sa.profile, err))
	}
	if done {
		proof, err := a.prove()
		if err != nil {
			return denied("tunnel group " + a.sa.profile + " has no proof for this side")
		}
		answer = append(answer, proof)
	}
	return outcome{more: answer}
}

// verify checks who the peer is.
func (a *authInitiator) verify(ps wire.Payloads) outcome {
	s := a.sa
	f := &formAuthResponse
	if a.peer != nil {
		f = &formAuthLastResponse
	}
	if f.check(ps) != nil {
		for _, p := range ps {
			if n, ok := p.(wire.Notify); ok && n.Type.IsError() {
				return outcome{told: n.Type.String(), reason: "peer refuses IKE_AUTH: " + hint(n.Type)}
			}
		}
		return outcome{reason: "peer did not authenticate itself"}
	}
	p := s.host.Rules().profileByName(s.profile)
	if p == nil {
		return outcome{reason: "tunnel group " + s.profile + " has vanished"}
	}
	if a.peer == nil {
		idr, _ := wire.Find[wire.IDr](ps)
		a.peer, s.remoteID = &idr, identity.FromWire(idr.ID)
	}
	mutual, last := a.reply.(auth.Mutual)
	last = last && a.ready
	if x := p.examiner(s.remoteID, a.peerEnd()); x != nil && !last {
		return a.examine(x, p, ps)
	}
	proof, _ := wire.Find[wire.Auth](ps)
	verifier, prf := p.verifier(s.remoteID), s.suite.PRF()
	verify := verifier.Verify
	if last {
		verify = mutual.VerifyLast
	}
	err := verify(prf, a.responderOctets(prf, &s.keys, *a.peer), proof)
	if err != nil || !p.accepts(s.remoteID, identity.Identity{}) {
		return denied(fmt.Sprintf("wrong %s or identity of peer %v (tunnel group %s)", noun(verifier),
			s.remoteID, s.profile))
	}
	return outcome{proven: true}
}

// peerEnd is what the peer is: the gateway of a client, or a site.
func (a *authInitiator) peerEnd() pki.End {
	if a.entry.RequestAddress {
		return pki.Gateway
	}
	return pki.AnyEnd
}

// examine has the proof by certificate of the peer verified.
func (a *authInitiator) examine(x *auth.Examiner, p *profile, ps wire.Payloads) outcome {
	s := a.sa
	if !p.accepts(s.remoteID, identity.Identity{}) {
		return denied(fmt.Sprintf("peer is %v, which tunnel group %s does not take", s.remoteID, s.profile))
	}
	claim, err := auth.ClaimOf(s.remoteID, a.responderOctets(s.suite.PRF(), &s.keys, *a.peer), ps)
	if err != nil {
		return denied(disproven(s.profile, s.remoteID, err))
	}
	return outcome{work: &work{examiner: x, claim: claim}}
}

// complete takes what the peer, which is authentic, gives us.
func (a *authInitiator) complete(now time.Time, ps wire.Payloads, out *exchange.Output) {
	s, e := a.sa, a.entry
	s.agreed.learn(s.host.Rules(), wire.IKEAuth, false, ps)
	if cp, ok := wire.Find[wire.CP](ps); ok && e.RequestAddress && cp.Type == wire.CPReply {
		s.session = configSession(cp)
	}
	tsi, tsr := e.selectors()
	c, reason := createInitiator{s}.accept(now, childAnswer{
		ps: ps, terms: a.first, spi: a.spi, keying: a.keying(), local: tsi, remote: tsr, own: s.allowance().own(e),
	})
	s.establish(now, out)
	if reason == "" && e.RequestAddress && len(s.session.Addresses) == 0 {
		reason = "peer assigned no address"
	}
	if c == nil && singlePair(ps) && !e.RequestAddress {
		s.askRest(e)
		return
	}
	if foreign := s.host.Rules().foreign(&s.session); reason == "" && foreign != "" {
		s.session = exchange.Session{}
		reason = foreign
	}
	if reason != "" {
		s.refuse("", reason, out)
		s.failure = reason
		s.enqueue(task{kind: taskDeleteIKE, reason: reason})
		return
	}
	if e.RequestAddress {
		out.Events = append(out.Events, exchange.AddressAssigned{Peer: s.Peer(), Entry: e.Name, Session: s.session})
	}
	s.addChild(now, c, nil, out)
	if !e.RequestAddress { // with an address of the peer, it narrows what was asked for to that
		s.tellNarrowed(c, tsi, tsr, out)
	}
	s.askRest(e)
}
