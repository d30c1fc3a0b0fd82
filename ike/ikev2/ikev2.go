// Package ikev2 is one IKE SA of RFC 7296: its states, its exchanges, its children,
// its timers and its durable record. Package ike finds the SA of a message, and
// defends the table of SAs; this package never sees more than one SA at a time.
//
// What an SA does in one exchange is a type of its own, with the SA in it: initiating
// and responding (IKE_SA_INIT), authInitiator and authResponder (IKE_AUTH),
// createInitiator, createResponder and rekeying (CREATE_CHILD_SA), informational.
// Which messages there are and what each must hold is the table in form.go, what an
// SA agrees on with its peer the list in agreement.go.
//
// It does no I/O, reads no clock, starts no goroutine and takes no lock.
package ikev2
