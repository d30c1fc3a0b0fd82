package exchange

import (
	"net/netip"

	"github.com/warrenvpn/warren/esp/sa"
)

// Event is something the driver should know: a question to answer, or a fact
// to log. Drivers switch over the types below.
type Event interface{ event() }

// IKEUp tells that an IKE SA is established; IKEDown that one has ended.
type IKEUp struct {
	Peer      Peer
	Initiator bool // we connected to the peer
	Suite     sa.Proposal
	NAT       bool
	Session   Session
}

// IKEDown tells that an established IKE SA has ended, and why.
type IKEDown struct {
	Peer    Peer
	Reason  string
	Session Session
}

// IKERekeyed tells that an IKE SA has followed another one (RFC 7296 section
// 2.18): Peer.SPI takes the place of Old, with the session and the children of
// it. Neither IKEDown for Old nor IKEUp for Peer is told.
type IKERekeyed struct {
	Peer Peer
	Old  uint64 // our SPI of the IKE SA that was replaced
}

// ChildUp tells that a child SA is established.
type ChildUp struct {
	Peer  Peer
	Child sa.Child
}

// Cut tells that child SA ID has no room for all the traffic selectors that both
// sides have in common: Lost are the networks, of either side, that packets do not
// reach through it.
type Cut struct {
	Peer Peer
	ID   uint64
	Lost []sa.Selector // not empty; of many, the first ones
}

// ChildDown tells that a child SA has ended, and why.
type ChildDown struct {
	Peer   Peer
	ID     uint64
	Reason string
}

// Moved tells that the peer's address has changed.
type Moved struct {
	Peer Peer
	From netip.AddrPort
}

// Refused tells that a peer was turned away: Notify is the name of what it was
// told ("" for silence), Reason is for the operator. With Dialled it is a peer that
// we connect to, or are connected to, and Notify what either side has said.
type Refused struct {
	Peer    Peer
	Dialled bool
	Notify  string
	Reason  string
}

// Garbled tells, once for an IKE SA, that no message of the peer has passed the
// integrity check since its keys are in use: the peer has derived others, or
// somebody else sends. The peer is asked whether it lives; without an answer the
// SA ends.
type Garbled struct {
	Peer     Peer
	Messages int // so far
}

// Narrowed tells that the peer has answered our request for a child SA, a first
// one, another one or a successor, with less than was asked for (RFC 7296 section
// 2.9). Pairs of networks that it has left out of the first one as a whole are
// asked for one by one.
type Narrowed struct {
	Peer                    Peer
	Local, Remote           []sa.Selector // of the child SA that the peer has made
	AskedLocal, AskedRemote []sa.Selector
	// Lost is what Local and Remote do not carry of it, both sides together.
	Lost []sa.Selector
}

// Fault tells of a panic that ended the IKE SA of Peer; a zero Peer.SPI: it met
// none. It holds no secrets. See ike's Isolate.
type Fault struct {
	Peer   Peer
	Reason string
	Where  []string // functions and lines, the innermost first
}

// AddressAssigned tells a client what its gateway gave it.
type AddressAssigned struct {
	Peer    Peer
	Entry   string
	Session Session
}

// SkipNumbers tells that the peer is a cluster that has taken over: our outbound
// sequence numbers of child SA ID must move on by Numbers (RFC 6311 section 5.2).
type SkipNumbers struct{ ID, Numbers uint64 }

// PeerSkipped tells that the peer has moved its outbound sequence numbers of
// child SA ID on by Numbers, because we have taken over: what it had sent before
// that is known of need not be accepted any more.
type PeerSkipped struct{ ID, Numbers uint64 }

func (SkipNumbers) event()     {}
func (PeerSkipped) event()     {}
func (IKEUp) event()           {}
func (IKEDown) event()         {}
func (IKERekeyed) event()      {}
func (ChildUp) event()         {}
func (Cut) event()             {}
func (ChildDown) event()       {}
func (Moved) event()           {}
func (Refused) event()         {}
func (Garbled) event()         {}
func (Fault) event()           {}
func (Narrowed) event()        {}
func (AddressAssigned) event() {}
