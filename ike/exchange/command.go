package exchange

import "net/netip"

// Command is something the operator or the driver wants done.
type Command interface{ command() }

// Initiate brings up the static Entry called Entry, if it is not up.
type Initiate struct{ Entry string }

// DeleteIKE ends one IKE SA with a DELETE to the peer.
type DeleteIKE struct {
	SPI    uint64 // our SPI
	Reason string // for the log
}

// DeleteChild ends one child SA with a DELETE to the peer.
type DeleteChild struct {
	ID     uint64
	Reason string
}

// PeerMoved tells that an authentic ESP packet of child SA ID came from Remote:
// a NAT has a new mapping (RFC 7296 section 2.23).
type PeerMoved struct {
	ID     uint64
	Remote netip.AddrPort
}

// Alive tells that an authentic ESP packet of child SA ID has come in: the peer
// lives, there is no need to ask (RFC 7296 section 2.4).
type Alive struct{ ID uint64 }

// RekeyChild replaces child SA ID by a new one now: its volume or its sequence
// numbers come to an end.
type RekeyChild struct{ ID uint64 }

// RekeyIKE replaces the keys of an IKE SA now.
type RekeyIKE struct{ SPI uint64 } // our SPI

func (Initiate) command()    {}
func (DeleteIKE) command()   {}
func (DeleteChild) command() {}
func (PeerMoved) command()   {}
func (Alive) command()       {}
func (RekeyChild) command()  {}
func (RekeyIKE) command()    {}
