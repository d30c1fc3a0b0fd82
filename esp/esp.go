// Package esp processes single ESP packets in tunnel mode (RFC 4303, RFC 4301
// section 5, RFC 6040): sealing and opening in place, sequence numbers and
// replay windows in memory that outlives the process, and the tables that find
// the SA of a packet. It does no I/O, reads no clock and takes no lock; package
// esp/plane moves the packets.
package esp
