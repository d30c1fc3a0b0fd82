// Package auth proves and checks identities: what an AUTH payload signs, and the
// methods that sign it (RFC 7296 section 2.15). Pre-shared keys are a Prover and a
// Verifier, as others may be; certificates, whose arithmetic takes long, are a Signer and
// an Examiner (RFC 4754, RFC 7427, RFC 8420). It does no I/O.
package auth

import (
	"errors"
	"fmt"

	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/secret"
)

// ErrFailed is a proof that does not hold. The peer learns no more than
// AUTHENTICATION_FAILED.
var ErrFailed = errors.New("auth: authentication failed")

// Failure is an ErrFailed with a reason for the operator.
type Failure struct{ Reason string }

// Error implements error.
func (f *Failure) Error() string { return ErrFailed.Error() + ": " + f.Reason }

// Unwrap makes a Failure an ErrFailed.
func (f *Failure) Unwrap() error { return ErrFailed }

// failed returns a Failure.
func failed(format string, args ...any) error { return &Failure{fmt.Sprintf(format, args...)} }

// Prover makes the AUTH payload of our side from the octets to be signed.
type Prover interface {
	Prove(prf suite.PRF, octets []byte) (wire.Auth, error)
}

// Verifier checks the AUTH payload of the peer against the octets that it must
// have signed. Every error is or wraps ErrFailed.
type Verifier interface {
	// Method is the only one that is accepted.
	Method() wire.AuthMethod
	Verify(prf suite.PRF, octets []byte, proof wire.Auth) error
}

// Challenger is a Verifier that asks the peer something first, in rounds of
// IKE_AUTH before the one with the proof, as EAP does (RFC 7296 section 2.16).
type Challenger interface {
	Verifier
	// Challenge begins one conversation.
	Challenge() Challenge
}

// Challenge is one conversation of a Challenger. It verifies the proof that ends
// it.
type Challenge interface {
	Verifier
	// Next takes what the peer has answered, nil in the first round, and returns what
	// it is asked next. An error ends the conversation.
	Next(answer wire.Payloads) (ask []wire.Payload, err error)
}

// Challenged is a Prover for a peer that is a Challenger.
type Challenged interface {
	Prover
	// Reply begins one conversation.
	Reply() Reply
}

// Reply is one conversation of a Challenged. It makes the proof that ends it.
type Reply interface {
	Prover
	// Next takes what the peer asks, and returns the answer. With done it is the last
	// one, and the proof goes with it. An error ends the conversation.
	Next(ask wire.Payloads) (answer []wire.Payload, done bool, err error)
}

// Mutual is a Reply of a method that proves both sides: it verifies the last proof of the
// peer, in place of the peer's credential, which has verified the first one.
type Mutual interface {
	Reply
	VerifyLast(prf suite.PRF, octets []byte, proof wire.Auth) error
}

// InitiatorSignedOctets returns what the initiator signs: its IKE_SA_INIT
// request as it was sent, last one of several, the responder's nonce, and its
// identity under SK_pi (RFC 7296 section 2.15).
func InitiatorSignedOctets(prf suite.PRF, request, nr []byte, pi secret.Value, id wire.IDi) []byte {
	return signedOctets(prf, request, nr, pi, id.ID)
}

// ResponderSignedOctets returns what the responder signs: its IKE_SA_INIT
// response, the initiator's nonce, and its identity under SK_pr.
func ResponderSignedOctets(prf suite.PRF, response, ni []byte, pr secret.Value, id wire.IDr) []byte {
	return signedOctets(prf, response, ni, pr, id.ID)
}

// signedOctets returns RealMessage | Nonce | prf(SK_p, RestOfIDPayload).
func signedOctets(prf suite.PRF, message, nonce []byte, p secret.Value, id wire.ID) []byte {
	mac := prf.Sum(p.Reveal(), id.AppendBody(nil))
	b := make([]byte, 0, len(message)+len(nonce)+len(mac))
	return append(append(append(b, message...), nonce...), mac...)
}
