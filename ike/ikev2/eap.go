package ikev2

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/warrenvpn/warren/ike/auth"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/secret"
)

// eapAuth is what of IKE_AUTH an authority decides (RFC 7296 section 2.16): we prove who
// we are, carry messages to and fro, and last both sides prove that they have the key that
// came of it.
//
//	IKE_AUTH request ---> Proving ---> AskEAP ... AnswerEAP ---> HalfOpen, or Rejected
//
// Of the conversation nothing is on record but that there is one. Whoever goes on with the
// SA tells the peer so: see halfOpen.
type eapAuth struct {
	*authResponder
	only     bool // the peer wants no other proof of ours (RFC 5998)
	question exchange.QuestionID
	began    time.Time // the conversation

	said   bool // the peer knows who we are
	told   bool // the operator knows why the peer is not let in
	ended  bool // the authority has said Success
	msk    secret.Value
	user   string
	accept any
}

// beginEAP has the peer, whose first request has the payloads ps, authenticated by an
// authority.
func (a *authResponder) beginEAP(c exchange.EAP, proof wire.Auth, ps wire.Payloads) outcome {
	switch {
	case proof.Data != nil:
		return denied(fmt.Sprintf("peer %v authenticates with %v; tunnel group %s has EAP", a.sa.remoteID, proof.Method,
			a.profile.Name))
	case a.entry == nil:
		return denied(a.unserved)
	}
	_, content := ps.Notify(wire.EAPOnlyAuthentication)
	a.eap = &eapAuth{authResponder: a, only: content && c.Only}
	if !a.eap.only {
		if w := a.sign(&work{}); w.signer != nil {
			return outcome{work: w}
		}
	}
	return a.eap.consult(nil)
}

// consult asks the authority what to say to message; nil: at first.
func (e *eapAuth) consult(message []byte) outcome {
	peer := e.sa.Peer()
	peer.Profile = e.profile.Name
	return outcome{consult: &exchange.AskEAP{Peer: peer, Message: bytes.Clone(message)}}
}

// next takes a further request of the peer.
func (e *eapAuth) next(ps wire.Payloads) outcome {
	if err := formEAPRequest.check(ps); err != nil {
		return refused(wire.InvalidSyntax, err.Error())
	}
	proof, proves := wire.Find[wire.Auth](ps)
	message, says := wire.Find[wire.EAP](ps)
	switch {
	case e.ended && proves:
		return e.verify(proof)
	case e.ended || proves || !says:
		return refused(wire.InvalidSyntax, fmt.Sprintf("peer %v does not go on with EAP", e.sa.remoteID))
	}
	return e.consult(message.Message)
}

// consulted goes on with what the authority says.
func (e *eapAuth) consulted(r exchange.AnswerEAP) outcome {
	e.question = 0
	tell := func() string {
		return fmt.Sprintf("peer %v is not let in by EAP (tunnel group %s): %s", e.sa.remoteID, e.profile.Name,
			r.Reason)
	}
	valid := eapPacket(r.Message)
	switch {
	case r.Outcome == exchange.EAPRejected && valid && e.said:
		o := denied(tell())
		o.more = []wire.Payload{wire.EAP{Message: r.Message}}
		return o
	case r.Outcome == exchange.EAPRejected:
		return denied(tell())
	case !valid || r.Outcome == exchange.EAPAccepted && r.User == "":
		r.MSK.Clear()
		r.Reason = "its authority says nothing that can be told"
		return denied(tell())
	}
	var before []wire.Payload
	if !e.said {
		e.said = true
		idr, own, err := e.introduce()
		if err != nil {
			return denied(e.unproven())
		}
		before = append([]wire.Payload{idr}, own...)
	}
	if r.Outcome == exchange.EAPAccepted {
		e.ended, e.msk, e.user, e.accept = true, r.MSK, r.User, r.Accept
	}
	o := outcome{more: append(before, wire.EAP{Message: r.Message})}
	if r.Outcome == exchange.EAPMore && r.Reason != "" {
		o.doubt = tell()
	}
	return o
}

// eapPacket reports whether b is an EAP packet as far as IKE sees, and not longer than a
// peer should be sent.
func eapPacket(b []byte) bool {
	return len(b) >= 4 && len(b) <= maxEAPPacket && int(binary.BigEndian.Uint16(b[2:])) == len(b)
}

// introduce returns who we are, and what proves it, where the peer wants that.
func (e *eapAuth) introduce() (idr wire.Payload, proof []wire.Payload, err error) {
	if e.only {
		return e.ourID(), nil, nil
	}
	return e.authResponder.prove()
}

// key returns what both sides prove themselves with last: the MSK, or the key of one side
// where the method has none.
func (e *eapAuth) key(own secret.Value) auth.PSK {
	if e.msk.Len() > 0 {
		return auth.PSK{Key: e.msk}
	}
	return auth.PSK{Key: own}
}

// verify checks the last proof of the peer.
func (e *eapAuth) verify(proof wire.Auth) outcome {
	s := e.sa
	prf := s.suite.PRF()
	if e.key(s.keys.Pi).Verify(prf, e.initiatorOctets(prf, &s.keys, e.id), proof) != nil {
		return denied(fmt.Sprintf("peer %v, user %s, has not the key that came of EAP (tunnel group %s)", s.remoteID,
			e.user, e.profile.Name))
	}
	s.user = e.user
	return e.authentic()
}

// prove makes the last proof of ours.
func (e *eapAuth) prove() ([]wire.Payload, error) {
	s := e.sa
	prf := s.suite.PRF()
	p, err := e.key(s.keys.Pr).Prove(prf, e.responderOctets(prf, &s.keys, e.ourID()))
	return []wire.Payload{p}, err
}

// clear forgets what is secret, and what is waited for.
func (e *eapAuth) clear() {
	e.sa.host.Withdraw(e.question)
	e.sa.host.Bury(e.msk)
}

// consult asks q of the authority.
func (r *responding) consult(now time.Time, q exchange.AskEAP, out *exchange.Output) {
	s, e := r.sa, r.auth.eap
	if s.state != Proving {
		s.transition(Proving)
	}
	if e.began.IsZero() {
		e.began = now
	}
	if until := now.Add(s.host.HalfOpenLife()); until.Before(e.began.Add(maxEAPTime)) {
		s.endAt = until
	}
	e.question = s.host.Ask(s)
	q.Question = e.question
	out.Events = append(out.Events, q)
}

// consulted takes the answer of the authority.
func (r *responding) consulted(now time.Time, a exchange.AnswerEAP, out *exchange.Output) error {
	if r.auth == nil || !r.auth.isConsulting() || r.auth.eap.question != a.Question {
		a.MSK.Clear()
		return exchange.ErrState
	}
	defer r.sa.finish(now, out)
	return r.proceed(now, r.auth.eap.consulted(a), out)
}

// isConsulting reports whether an authority is asked.
func (a *authResponder) isConsulting() bool { return a.eap != nil && a.eap.question != 0 }

// isTold reports whether the operator knows why the peer is not let in.
func (a *authResponder) isTold() bool { return a.eap != nil && a.eap.told }

// unanswered ends a handshake for which nobody has answered in time: the peer, which waits,
// is told.
func (r *responding) unanswered(now time.Time, out *exchange.Output) {
	e := r.auth.eap
	r.sa.host.Withdraw(e.question)
	reason := fmt.Sprintf("nobody has said in time whether peer %v is let in (tunnel group %s)", r.sa.remoteID,
		e.profile.Name)
	_ = r.reject(now, denied(reason), out)
}

// abandoned ends a handshake whose peer does not like what it was told (RFC 7296 section
// 2.21.2).
func (r *responding) abandoned(now time.Time, ps wire.Payloads, out *exchange.Output) error {
	s := r.sa
	said := "DELETE"
	for _, p := range ps {
		if n, ok := p.(wire.Notify); ok && n.Type.IsError() {
			said = n.Type.String()
		}
	}
	told := r.auth != nil && r.auth.isTold()
	r.end(now, wire.Informational, nil, out)
	if told {
		return nil
	}
	s.refuse("", fmt.Sprintf("peer %v gives up before it has proven its identity: it says %s", s.remoteID, said), out)
	return nil
}
