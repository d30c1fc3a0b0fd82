package ikev2

import (
	"time"

	"github.com/warrenvpn/warren/ike/auth"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/wire"
)

// work is the arithmetic of one step of IKE_AUTH, which is done elsewhere: the signature of
// the peer is verified, and then ours is made. It implements exchange.Work.
//
//	IKE_AUTH request ---> Proving ---> AskWork ... AnswerWork ---> Asking, or Rejected
//
// Until the answer nothing has left that depends on it, and nothing is on record. Whoever
// goes on with the handshake after a kill gets the same request again, and has the work
// done again.
type work struct {
	examiner *auth.Examiner // nil: the peer proves itself otherwise
	claim    auth.Claim
	signer   *auth.Signer // nil: we prove ourselves otherwise, or have done so
	hashes   auth.Hashes  // that the peer understands
	octets   []byte       // that we sign

	// What comes of it.
	peer     identity.Identity // that the claim proves
	denied   error             // why it proves none
	proof    wire.Auth
	unproven error // why we have no proof
}

// Do implements exchange.Work. For a peer that is not authentic nothing is signed.
func (w *work) Do(now time.Time) {
	if w.examiner != nil {
		if w.peer, w.denied = w.examiner.Examine(now, &w.claim); w.denied != nil {
			return
		}
	}
	if w.signer != nil {
		w.proof, w.unproven = w.signer.Sign(w.hashes, w.octets)
	}
}

// reasonNotWorked is why a handshake ends whose work nobody has done.
const reasonNotWorked = "its signatures were not verified or made in time"

// await is the work that a handshake waits for, at most one; zero: for none.
type await struct {
	question exchange.QuestionID
	work     *work
}

// begin asks for w of an SA with peer. The answer goes to SA.Answer.
func (a *await) begin(id exchange.QuestionID, peer exchange.Peer, w *work, out *exchange.Output) {
	a.question, a.work = id, w
	out.Events = append(out.Events, exchange.AskWork{Question: id, Peer: peer, Work: w})
}

// end takes the answer, and returns nil where another one, or none, was waited for.
func (a *await) end(r exchange.AnswerWork) *work {
	w := a.work
	if w == nil || a.question != r.Question || r.Work != exchange.Work(w) {
		return nil
	}
	*a = await{}
	return w
}

// withdraw waits no longer.
func (a *await) withdraw(h *Version) {
	h.Withdraw(a.question)
	*a = await{}
}

// Answer implements exchange.SA.
func (s *SA) Answer(now time.Time, given exchange.Answer, out *exchange.Output) error {
	switch r := given.(type) {
	case exchange.AnswerSession:
		if s.state != Asking || s.responding.auth.question != r.Question {
			return exchange.ErrState
		}
		defer s.finish(now, out)
		return s.responding.auth.grant(now, r, out)
	case exchange.AnswerWork:
		switch s.state {
		case Proving:
			return s.responding.worked(now, r, out)
		case Authenticating:
			return s.initiating.worked(now, r, out)
		}
	case exchange.AnswerEAP:
		if s.state == Proving {
			return s.responding.consulted(now, r, out)
		}
		r.MSK.Clear()
	}
	return exchange.ErrState
}

// worked goes on when work is done.
func (r *responding) worked(now time.Time, a exchange.AnswerWork, out *exchange.Output) error {
	w := r.await.end(a)
	if w == nil {
		return exchange.ErrState
	}
	defer r.sa.finish(now, out)
	return r.proceed(now, r.auth.worked(w), out)
}

// worked goes on when work is done.
func (i *initiating) worked(now time.Time, a exchange.AnswerWork, out *exchange.Output) error {
	w := i.await.end(a)
	if w == nil {
		return exchange.ErrState
	}
	defer i.sa.finish(now, out)
	i.sa.endAt = time.Time{}
	return i.auth.worked(now, w, out)
}
