// Package aaa finds out who a client is whom IKE cannot verify by itself: it takes the EAP
// messages that the engine hands out (exchange.AskEAP, in the words of this package) to the
// authority of the client's tunnel group, and brings the answers back. Authorities are the
// users of the configuration, and servers.
//
// It does I/O and has goroutines; it knows neither IKE nor ESP.
package aaa

import (
	"context"
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/internal/secret"
)

// Authority knows users. Its methods may be called by any goroutine.
type Authority interface {
	// Begin begins a conversation with a client. It does not block: what takes time it does
	// in Conversation.Next.
	Begin(r *Request) Conversation
	// Run does what the conversations need, in goroutines that it waits for, until ctx ends.
	// Conversations that have no answer by then get none.
	Run(ctx context.Context) error
}

// Conversation is one login of one client, who is not authentic until it is accepted. One
// goroutine at a time calls its methods.
type Conversation interface {
	// Next takes what the client says next, an EAP packet whose Length is right, and which
	// may be anything apart from that. The first one is Request.Message. It does not block. done is
	// called once, by another goroutine than the caller's of Next, with the answer; not
	// at all after Abandon. Next is not called again before that, nor after an Answer that
	// ends the conversation.
	Next(now time.Time, message []byte, done func(Answer))
	// Abandon ends the conversation: the client is gone, or begins anew. It does not block.
	Abandon()
}

// Request is a client that wants to come in.
type Request struct {
	Group string // tunnel group
	EAP   spec.EAP
	// Identity is what the client says that it is called, as Message has it, and
	// Message an EAP-Response/Identity: the client's where it was asked, else one that was made
	// of its identity in IKE.
	Identity string
	Message  []byte
	// IKEIdentity is what the client says that it is called in IKE.
	IKEIdentity   string
	Local, Remote netip.AddrPort
}

// Outcome says how far a conversation is.
type Outcome uint8

// The outcomes.
const (
	More     Outcome = iota // the client has to answer Answer.Message
	Accepted                // Answer.Message is an EAP Success
	Rejected                // Answer.Message is an EAP Failure
)

// Answer is what an authority says.
type Answer struct {
	Outcome Outcome
	Message []byte // an EAP packet

	// The rest is for Accepted. MSK is what the method has derived (RFC 3748 section 7.10),
	// at most 64 bytes; empty: nothing. User is who the client is, not empty: the name
	// under which the authority knows it.
	MSK        secret.Value
	User       string
	Attributes spec.Attributes

	// Reason is why the client is Rejected, or will be whatever it answers to a Message that is
	// More, for the operator: never for the client.
	Reason string
}
