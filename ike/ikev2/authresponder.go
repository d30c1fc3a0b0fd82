package ikev2

import (
	"errors"
	"fmt"
	"time"

	"github.com/warrenvpn/warren/ike/auth"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/pki"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/secret"
)

// authResponder is IKE_AUTH as its responder sees it: who the peer says it is, what
// verifies that, and what it asks for, which waits until it has proven it and the
// AskSession is answered.
type authResponder struct {
	*responding
	id      wire.IDi
	wanted  identity.Identity // IDr; zero: does not care
	cp      wire.CP
	hasCP   bool
	child   childRequest
	contact bool           // INITIAL_CONTACT
	agreed  []wire.Payload // what is answered about extensions

	entry     *entry
	profile   *profile
	unserved  string // why entry is nil
	verifier  auth.Verifier
	challenge auth.Challenge // of a method of several rounds, from the first on
	eap       *eapAuth       // where an authority decides; nil: it does not
	rounds    int
	question  exchange.QuestionID
	proof     wire.Auth // ours, by certificate
}

// newAuthResponder finds the payloads of the first IKE_AUTH request (RFC 7296
// section 1.2), and who is to verify the peer.
func newAuthResponder(r *responding, ps wire.Payloads) (*authResponder, error) {
	if err := formAuthRequest.check(ps); err != nil {
		return nil, err
	}
	a := &authResponder{responding: r}
	a.id, _ = wire.Find[wire.IDi](ps)
	if idr, ok := wire.Find[wire.IDr](ps); ok {
		a.wanted = identity.FromWire(idr.ID)
	}
	a.cp, a.hasCP = wire.Find[wire.CP](ps)
	a.hasCP = a.hasCP && a.cp.Type == wire.CPRequest
	_, a.contact = ps.Notify(wire.InitialContact)
	a.child = findChild(ps)
	return a, nil
}

// decoy is verified against where there is no profile, so that an unknown
// identity takes the time of a wrong key.
var decoy auth.Verifier = auth.PSK{Key: secret.Copy([]byte("no profile has this"))}

// first takes the first request of the conversation.
func (a *authResponder) first(ps wire.Payloads) outcome {
	s := a.sa
	a.agreed = s.agreed.learn(s.host.Rules(), wire.IKEAuth, true, ps)
	s.remoteID = identity.FromWire(a.id.ID)
	if (moving{s}).on() && translated(ps, s.remote, s.local) {
		return refused(wire.UnexpectedNATDetected, "a NAT is between, which the peer does not want")
	}
	rules := s.host.Rules()
	s.certMap = rules.mapOf(ps, s.remoteID, a.wanted)
	a.profile, a.entry, a.unserved = rules.match(s.local.Addr(), s.remote.Addr(), s.remoteID, a.wanted, s.certMap)
	a.verifier = decoy
	if a.profile != nil {
		a.verifier = a.profile.verifier(s.remoteID)
	}
	proof, _ := wire.Find[wire.Auth](ps)
	if a.profile != nil {
		if c, ok := a.profile.remote(s.remoteID).(exchange.EAP); ok {
			return a.beginEAP(c, proof, ps)
		}
	}
	if x := a.examiner(); x != nil {
		return a.examine(x, proof, ps)
	}
	c, several := a.verifier.(auth.Challenger)
	switch {
	case !several || proof.Data != nil:
		return a.verify(proof)
	case a.entry == nil:
		return denied(a.unserved)
	}
	a.challenge = c.Challenge()
	a.verifier = a.challenge
	idr, own, err := a.prove()
	if err != nil {
		return denied(a.unproven())
	}
	return a.asked(nil, append([]wire.Payload{idr}, own...)...)
}

// next takes a further request: what the peer answers, or the proof that ends the
// conversation.
func (a *authResponder) next(ps wire.Payloads) outcome {
	if a.rounds++; a.rounds > maxAuthRounds {
		return denied(fmt.Sprintf("peer %v has not proven its identity after %d rounds", a.sa.remoteID, maxAuthRounds))
	}
	if a.eap != nil {
		return a.eap.next(ps)
	}
	if err := formAuthNextRequest.check(ps); err != nil {
		return refused(wire.InvalidSyntax, err.Error())
	}
	if proof, ok := wire.Find[wire.Auth](ps); ok {
		return a.verify(proof)
	}
	return a.asked(ps)
}

// asked returns what the peer is asked next, behind the payloads before.
func (a *authResponder) asked(answer wire.Payloads, before ...wire.Payload) outcome {
	ask, err := a.challenge.Next(answer)
	if err != nil {
		return denied(fmt.Sprintf("peer %v does not prove its identity (tunnel group %s): %v", a.sa.remoteID,
			a.profile.Name, err))
	}
	return outcome{more: append(before, ask...)}
}

// verify checks the proof of the peer; the reason says why it is not let in, for
// the operator.
func (a *authResponder) verify(proof wire.Auth) outcome {
	s := a.sa
	id, prf := s.remoteID, s.suite.PRF()
	err := a.verifier.Verify(prf, a.initiatorOctets(prf, &s.keys, a.id), proof)
	switch {
	case a.profile == nil && !a.wanted.IsZero():
		return denied(fmt.Sprintf("no tunnel group is for peer %v that wants to reach %v%s", id, a.wanted,
			a.unmapped()))
	case a.profile == nil:
		return denied(fmt.Sprintf("no tunnel group is for peer %v%s", id, a.unmapped()))
	case proof.Data == nil:
		return denied(fmt.Sprintf("peer %v wants EAP, which tunnel group %s does not have", id, a.profile.Name))
	case proof.Method != a.verifier.Method():
		return denied(fmt.Sprintf("peer %v authenticates with %v; tunnel group %s has %s",
			id, proof.Method, a.profile.Name, nounOf(a.verifier)))
	case lacks(a.profile.remote(id)):
		return denied(fmt.Sprintf("tunnel group %s has no pre-shared key for peer %v", a.profile.Name, id))
	case err != nil:
		return denied(fmt.Sprintf("wrong %s or identity of peer %v (tunnel group %s)", noun(a.verifier), id,
			a.profile.Name))
	case a.entry == nil:
		return denied(a.unserved)
	}
	if w := a.sign(&work{}); w.signer != nil {
		return outcome{work: w}
	}
	return a.authentic()
}

// unmapped ends why no tunnel group is for a peer, where its certificate might have chosen
// one.
func (a *authResponder) unmapped() string {
	if len(a.sa.host.Rules().CertificateMaps) == 0 {
		return ""
	}
	return ", and no certificate map holds for its certificate"
}

// authentic notes what a peer that has proven who it is is let in by.
func (a *authResponder) authentic() outcome {
	s := a.sa
	s.profile, s.remoteAccess, s.dpd = a.profile.Name, a.profile.RemoteAccess, a.profile.DPD
	s.localID = a.profile.identityOf(s.local.Addr())
	s.entry = a.entry.Name
	return outcome{proven: true}
}

// examiner verifies proofs by certificate of the peer; nil: it has another method.
func (a *authResponder) examiner() *auth.Examiner {
	if a.profile == nil {
		return nil
	}
	end := pki.AnyEnd
	if a.profile.RemoteAccess {
		end = pki.Client
	}
	return a.profile.examiner(a.sa.remoteID, end)
}

// examine has the proof by certificate of the peer verified, and ours made.
func (a *authResponder) examine(x *auth.Examiner, proof wire.Auth, ps wire.Payloads) outcome {
	s := a.sa
	switch {
	case proof.Data == nil:
		return denied(fmt.Sprintf("peer %v wants EAP, which tunnel group %s does not have", s.remoteID, a.profile.Name))
	case !proof.Method.IsSignature():
		return denied(fmt.Sprintf("peer %v authenticates with %v; tunnel group %s has certificates", s.remoteID,
			proof.Method, a.profile.Name))
	case a.entry == nil:
		return denied(a.unserved)
	}
	claim, err := auth.ClaimOf(s.remoteID, a.initiatorOctets(s.suite.PRF(), &s.keys, a.id), ps)
	if err != nil {
		return a.disproven(err)
	}
	return outcome{work: a.sign(&work{examiner: x, claim: claim})}
}

// sign adds our signature to what is to be done, where we have a certificate.
func (a *authResponder) sign(w *work) *work {
	if w.signer = a.profile.signer(); w.signer != nil {
		prf := a.sa.suite.PRF()
		w.hashes, w.octets = a.hashes(a.request, a.response), a.responderOctets(prf, &a.sa.keys, a.ourID())
	}
	return w
}

// worked goes on when signatures are verified and made.
func (a *authResponder) worked(w *work) outcome {
	switch {
	case w.denied != nil:
		return a.disproven(w.denied)
	case w.unproven != nil:
		return denied(unsigned(a.profile.Name, a.sa.remoteID, w.unproven))
	}
	if w.examiner != nil {
		a.sa.remoteID = w.peer
	}
	a.proof = w.proof
	if a.eap != nil {
		return a.eap.consult(nil)
	}
	return a.authentic()
}

// disproven is what is said of a proof by certificate that does not hold.
func (a *authResponder) disproven(err error) outcome {
	return denied(disproven(a.profile.Name, a.sa.remoteID, err))
}

// ourID is who we are.
func (a *authResponder) ourID() wire.IDr {
	return wire.IDr{ID: a.profile.identityOf(a.sa.local.Addr()).Wire()}
}

// prove returns who we are, and the proof: with certificates, one that was made before.
func (a *authResponder) prove() (idr wire.Payload, proof []wire.Payload, err error) {
	s, id := a.sa, a.ourID()
	if x := a.profile.signer(); x != nil && a.proof.Data != nil {
		return id, append(x.Certificates(), a.proof), nil
	}
	p, err := a.profile.prover().Prove(s.suite.PRF(), a.responderOctets(s.suite.PRF(), &s.keys, id))
	return id, []wire.Payload{p}, err
}

// lastProof returns what ends the conversation on our side.
func (a *authResponder) lastProof() (idr wire.Payload, proof []wire.Payload, err error) {
	if a.eap == nil {
		return a.prove()
	}
	defer a.eap.clear()
	proof, err = a.eap.prove()
	return nil, proof, err
}

// unproven says that we have nothing to prove our identity with.
func (a *authResponder) unproven() string {
	return fmt.Sprintf("tunnel group %s has no pre-shared key for this gateway", a.profile.Name)
}

// ask asks what the peer, which has proven its identity, gets.
func (a *authResponder) ask(out *exchange.Output) {
	s := a.sa
	a.question = s.host.Ask(s)
	s.transition(Asking)
	q := exchange.AskSession{Question: a.question, Peer: s.Peer(), RemoteAccess: s.remoteAccess}
	if a.eap != nil {
		q.Accept = a.eap.accept
	}
	q.WantIPv4, q.WantedIPv4 = a.wants(wire.InternalIP4Address)
	q.WantIPv6, q.WantedIPv6 = a.wants(wire.InternalIP6Address)
	for _, o := range a.succeeded() {
		q.Replaces = append(q.Replaces, o.SPI())
	}
	out.Events = append(out.Events, q)
}

// grant ends the conversation with the answer to ask. An error says that what is
// granted is not used.
func (a *authResponder) grant(now time.Time, r exchange.AnswerSession, out *exchange.Output) error {
	a.question = 0
	switch r.Refuse {
	case exchange.RefuseLimit:
		return a.reject(now, refused(wire.NoAdditionalSAs, "limit of sessions is reached"), out)
	case exchange.RefuseUnauthorised:
		return a.reject(now, denied("session is not authorised"), out)
	case exchange.RefuseNone, exchange.RefuseNoAddress:
	}
	s := a.sa
	s.session = r.Session
	idr, proof, err := a.lastProof()
	if err != nil {
		_ = a.reject(now, denied(a.unproven()), out)
		return errors.New("ikev2: " + a.unproven())
	}
	var ps []wire.Payload
	if a.challenge == nil && a.eap == nil { // else it was said in the first round
		ps = append(ps, idr)
	}
	ps = append(append(ps, proof...), a.agreed...)
	if (moving{s}).on() {
		ps = append(ps, moving{s}.addresses()...)
	}
	respond := func(more ...wire.Payload) {
		s.respond(wire.IKEAuth, s.window.expect, append(ps, more...), out)
		s.establish(now, out)
	}
	if n, reason := a.unaddressed(r); reason != "" {
		s.session.Addresses = nil
		respond(n)
		s.refuse(n.Type.String(), reason, out)
		return nil
	}
	for _, o := range a.succeeded() {
		s.host.Replace(now, o, out)
	}
	if a.hasCP {
		if reply, ok := configReply(a.cp, &s.session); ok {
			ps = append(ps, reply)
		}
	}
	c, answer, refusal := createResponder{s}.accept(now, &a.child, a.keying(), true)
	respond(answer...)
	if refusal != "" {
		s.refuse(answer[0].(wire.Notify).Type.String(), refusal, out)
		return nil
	}
	s.addChild(now, c, nil, out)
	return nil
}
