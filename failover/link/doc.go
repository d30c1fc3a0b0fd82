// Package link carries failover over the network: heartbeats between the two
// supervisors (UDP over links, Ethernet over data interfaces), the connections that they make for their workers
// (Dial, Listener), and the mutually authenticated TLS 1.3 session between the
// two workers of a context (Session) with pacing for bulk copies (Pacer).
//
// It does I/O and decides nothing: roles are decided by package failover, what
// travels is made by package failover/journal. Every goroutine belongs to the
// Run, or to the Session, that started it, and ends before that returns.
package link
