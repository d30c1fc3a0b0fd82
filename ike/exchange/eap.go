package exchange

import "github.com/warrenvpn/warren/internal/secret"

// EAP (RFC 7296 section 2.16): the Engine carries the messages of a peer that asks for it,
// and of EAP itself it knows no more than where a message ends. Whoever knows users answers
// each message as a Question.
//
//	peer                           gateway                      authority
//	IDi, SA, TS, CP ------------>  AskEAP, Message nil ------->
//	            <-- IDr, AUTH, EAP request <------- AnswerEAP, EAPMore
//	EAP response --------------->  AskEAP --------------------> ...
//	            <-- EAP Success <---------------- AnswerEAP, EAPAccepted, with the MSK
//	AUTH by the MSK ------------>  AskSession, with User and Accept
//	            <-- AUTH by the MSK, SA, TS, CP

// EAP is the credential of peers that an authority outside of IKE lets in.
type EAP struct {
	// Only: a peer that asks for EAP_ONLY_AUTHENTICATION (RFC 5998) gets no AUTH of ours
	// beside the one by the MSK. Nothing but a method that proves the authority to the
	// peer, and has an MSK, is good for that.
	Only bool
}

// Same implements Credential. Whether the authority would let a user in once more, it alone
// knows.
func (EAP) Same(o Credential) bool {
	_, ok := o.(EAP)
	return ok
}

// AskEAP has one EAP message of a peer answered. Each IKE SA has at most one question that
// is not answered, and one conversation, which ends with the SA: Config.Known says when
// that is gone. The peer is not authentic: whoever likes begins a conversation.
type AskEAP struct {
	Question QuestionID
	// Peer.SPI names the conversation, and Peer.Profile the tunnel group; Peer.RemoteID is
	// what the peer says that it is called, in IKE.
	Peer Peer
	// Message is an EAP packet whose Length is right; nil: the conversation begins.
	Message []byte
}

// EAPOutcome says how far a conversation is.
type EAPOutcome uint8

// The outcomes.
const (
	EAPMore     EAPOutcome = iota // Message is a request
	EAPAccepted                   // Message is a Success
	EAPRejected                   // Message is a Failure, or nil: the peer is told AUTHENTICATION_FAILED
)

// AnswerEAP answers an AskEAP.
type AnswerEAP struct {
	Question QuestionID
	Outcome  EAPOutcome
	Message  []byte // an EAP packet

	// The rest is for EAPAccepted. MSK is what the method has derived: of 64 bytes, padded
	// with zeros where it has fewer; empty: it has none. It belongs to the Engine.
	MSK secret.Value
	// User is who the peer is: the session, INITIAL_CONTACT and logins go by that. It is
	// not empty.
	User string
	// Accept comes back in AskSession; the Engine does not look at it.
	Accept any

	// Reason is why the peer is rejected, or will be whatever it answers to EAPMore, for the
	// operator. It is told once, at once: peers may not wait for their rejection.
	Reason string
}

// QuestionID implements Question.
func (q AskEAP) QuestionID() QuestionID { return q.Question }

// QuestionID implements Answer.
func (a AnswerEAP) QuestionID() QuestionID { return a.Question }

func (AskEAP) event()     {}
func (AskEAP) question()  {}
func (AnswerEAP) answer() {}
