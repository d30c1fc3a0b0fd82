package exchange

import (
	"net/netip"
	"time"
)

// QuestionID names a question. All kinds of questions of one Engine share one
// space of IDs; 0 names none.
type QuestionID uint64

// Question is an Event that an exchange waits for: the SA goes on when the Engine
// is given an Answer of the kind that belongs to it, with the same ID. Drivers
// switch over the types below; a question that nobody answers ends with the SA.
type Question interface {
	Event
	QuestionID() QuestionID
	question()
}

// Answer answers a Question.
type Answer interface {
	QuestionID() QuestionID
	answer()
}

// AskSession asks for what a peer that has proven its identity gets. The
// exchange waits for an AnswerSession; until then the engine goes on with
// everything else.
type AskSession struct {
	Question QuestionID
	Peer     Peer
	// RemoteAccess is the Profile's. A site-to-site peer is asked about, too:
	// the driver counts it and answers with an empty Session.
	RemoteAccess bool
	WantIPv4     bool
	WantIPv6     bool
	// WantedIPv4 and WantedIPv6 are the addresses that the client asks for;
	// invalid: any. Nobody has checked them.
	WantedIPv4, WantedIPv6 netip.Addr
	// Replaces are our SPIs of the IKE SAs that end when this one is granted: the
	// peer has said INITIAL_CONTACT, and they are of the same device.
	Replaces []uint64

	Accept any // AnswerEAP's
}

// AnswerSession answers an AskSession. Refuse other than RefuseNone tells the peer no.
type AnswerSession struct {
	Question QuestionID
	Refuse   Refusal
	Session  Session
}

// AskWork has arithmetic done that takes too long for the goroutine of an Engine:
// signatures. The driver calls Work.Do once, in whichever goroutine it likes, and gives
// AnswerWork when that has returned. The peer is not authentic yet, so that whoever likes
// causes such work; each IKE SA has at most one that is not answered.
type AskWork struct {
	Question QuestionID
	Peer     Peer
	Work     Work
}

// Work is arithmetic: what it is done with, and what comes of it. It is the driver's from
// its AskWork to its AnswerWork.
type Work interface {
	// Do does it. now is the time of day, which the clock of the Engine need not show:
	// certificates are valid by the calendar.
	Do(now time.Time)
}

// AnswerWork answers an AskWork: the same Work, done.
type AnswerWork struct {
	Question QuestionID
	Work     Work
}

// Refusal is why a session is not granted; each is sent to the peer as the
// notify named here, and logged.
type Refusal uint8

// The refusals.
const (
	RefuseNone         Refusal = iota
	RefuseNoAddress            // INTERNAL_ADDRESS_FAILURE: the IKE SA stands, no child SA is made
	RefuseLimit                // NO_ADDITIONAL_SAS: the class limit is reached
	RefuseUnauthorised         // AUTHENTICATION_FAILED
)

// QuestionID implements Question.
func (q AskSession) QuestionID() QuestionID { return q.Question }

// QuestionID implements Answer.
func (a AnswerSession) QuestionID() QuestionID { return a.Question }

// QuestionID implements Question.
func (q AskWork) QuestionID() QuestionID { return q.Question }

// QuestionID implements Answer.
func (a AnswerWork) QuestionID() QuestionID { return a.Question }

func (AskSession) event()     {}
func (AskSession) question()  {}
func (AnswerSession) answer() {}
func (AskWork) event()        {}
func (AskWork) question()     {}
func (AnswerWork) answer()    {}
