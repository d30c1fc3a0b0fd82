package exchange

import "net/netip"

// Datagram is one IKE message on the wire, without the non-ESP marker: the
// driver strips and adds it where the local port is 4500 (RFC 7296 section
// 2.23). Whoever passes a Datagram on keeps Payload's memory unchanged until
// the call returns; Payloads in an Output belong to the caller.
type Datagram struct {
	Local, Remote netip.AddrPort
	Payload       []byte

	// Keepalive marks a NAT keepalive (RFC 3948 section 4): Payload is the one
	// byte 0xff and leaves without the non-ESP marker. Only in an Output.
	Keepalive bool
}
