package ike

import "github.com/warrenvpn/warren/ike/ikev2"

// The values that go into and come out of an Engine. They are declared beside
// the state machine that makes them, in package ikev2, because imports run one
// way; drivers use these names.
type (
	// Datagram is one IKE message on the wire, without the non-ESP marker.
	Datagram = ikev2.Datagram

	// Config is what an Engine works from.
	Config = ikev2.Config
	// Policy is one acceptable proposal for an IKE SA.
	Policy = ikev2.Policy
	// Profile says who may connect and how both sides prove who they are.
	Profile = ikev2.Profile
	// IdentityPSK is the pre-shared key of one identity.
	IdentityPSK = ikev2.IdentityPSK
	// Entry is one crypto map entry.
	Entry = ikev2.Entry
	// ChildProposal is one acceptable proposal for a child SA.
	ChildProposal = ikev2.ChildProposal

	// Output is what the caller must do: Changes, then Send, then Events.
	Output = ikev2.Output
	// Record is one durable step.
	Record = ikev2.Record
	// RecordKind says what a Record does.
	RecordKind = ikev2.RecordKind

	// Command is something the operator or the driver wants done.
	Command = ikev2.Command
	// Initiate brings up a static Entry.
	Initiate = ikev2.Initiate
	// DeleteIKE ends one IKE SA.
	DeleteIKE = ikev2.DeleteIKE
	// DeleteChild ends one child SA.
	DeleteChild = ikev2.DeleteChild
	// PeerMoved tells that authentic ESP came from a new address.
	PeerMoved = ikev2.PeerMoved
	// Alive tells that authentic ESP has come in.
	Alive = ikev2.Alive
	// RekeyChild replaces a child SA now.
	RekeyChild = ikev2.RekeyChild
	// RekeyIKE replaces the keys of an IKE SA now.
	RekeyIKE = ikev2.RekeyIKE

	// Reply answers an AskSession.
	Reply = ikev2.Reply
	// Refusal is why a session is not granted.
	Refusal = ikev2.Refusal
	// Session is what a remote-access client gets.
	Session = ikev2.Session
	// Peer identifies an IKE SA in events and answers.
	Peer = ikev2.Peer

	// Event is something the driver should know.
	Event = ikev2.Event
	// AskSession asks for what a peer gets.
	AskSession = ikev2.AskSession
	// IKEUp tells that an IKE SA is established.
	IKEUp = ikev2.IKEUp
	// IKEDown tells that an established IKE SA has ended.
	IKEDown = ikev2.IKEDown
	// IKERekeyed tells that an IKE SA has followed another one.
	IKERekeyed = ikev2.IKERekeyed
	// ChildUp tells that a child SA is established.
	ChildUp = ikev2.ChildUp
	// Cut tells that a child SA has no room for all networks.
	Cut = ikev2.Cut
	// ChildDown tells that a child SA has ended.
	ChildDown = ikev2.ChildDown
	// Moved tells that the peer's address has changed.
	Moved = ikev2.Moved
	// Refused tells that a peer was turned away.
	Refused = ikev2.Refused
	// Garbled tells that no message of a peer passes the integrity check.
	Garbled = ikev2.Garbled
	// Narrowed tells that a peer protects less than was asked for.
	Narrowed = ikev2.Narrowed
	// Fault tells of an internal error that ended an IKE SA.
	Fault = ikev2.Fault
	// AddressAssigned tells a client what its gateway gave it.
	AddressAssigned = ikev2.AddressAssigned

	// SkipNumbers tells that outbound sequence numbers must move on.
	SkipNumbers = ikev2.SkipNumbers
	// PeerSkipped tells that the peer has moved its sequence numbers on.
	PeerSkipped = ikev2.PeerSkipped
	// Status describes one IKE SA for `show crypto ikev2 sa`.
	Status = ikev2.Status
)

// The kinds of records.
const (
	RecordIKE     = ikev2.RecordIKE
	RecordWindow  = ikev2.RecordWindow
	RecordIKEDown = ikev2.RecordIKEDown
	RecordChild   = ikev2.RecordChild
	// RecordHalfOpen is a responder that waits for IKE_AUTH.
	RecordHalfOpen = ikev2.RecordHalfOpen
)

// The refusals.
const (
	RefuseNone         = ikev2.RefuseNone
	RefuseNoAddress    = ikev2.RefuseNoAddress
	RefuseLimit        = ikev2.RefuseLimit
	RefuseUnauthorised = ikev2.RefuseUnauthorised
)

// ParseRecord reads what Record.Append wrote. Records of another version, cut
// short or with bytes left over are errors.
func ParseRecord(b []byte) (Record, error) { return ikev2.ParseRecord(b) }
