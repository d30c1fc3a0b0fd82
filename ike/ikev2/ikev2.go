// Package ikev2 is one IKE SA of RFC 7296: its states, its exchanges (one a
// file), its children, its timers and its durable record. Package ike finds the
// SA of a message, and defends the table of SAs; this package never sees more
// than one SA at a time.
//
// It does no I/O, reads no clock, starts no goroutine and takes no lock.
package ikev2
