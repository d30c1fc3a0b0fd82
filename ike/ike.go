// Package ike is the key exchange of one tenant: an Engine that holds all its
// IKE SAs, finds the SA of a message by SPI, defends against floods (cookies,
// bounded half-open table) and speaks IKEv2 (RFC 7296) through package ikev2.
//
// It does no I/O, reads no clock, starts no goroutine and takes no lock: time
// and randomness are arguments, and everything the world must do comes back in
// one Output. An Engine is not safe for concurrent use; one goroutine owns it.
package ike
