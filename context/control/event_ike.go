package control

import "net/netip"

// IKEUp tells that an IKE SA is established.
type IKEUp struct {
	Peer
	Profile   string // tunnel group
	Suite     string // negotiated algorithms
	NAT       bool   // there is one between
	Initiator bool   // we connected to the peer
	Assigned  []netip.Addr
}

// IKEDown tells that an IKE SA has ended, and why.
type IKEDown struct {
	Peer
	Reason string
}

// IKEsDown tells of IKE SAs that have ended together, beside those of which each
// has an IKEDown.
type IKEsDown struct {
	Count  uint64
	Reason string
}

// IKERekeyed tells that an IKE SA has taken the place of another one.
type IKERekeyed struct {
	Peer
	Old uint64 // our SPI of the one before
}

// IKEFault tells of an internal error that has ended an IKE SA.
type IKEFault struct {
	Peer
	Reason string
	Detail string // where it came from
}

// IKEGarbled tells that no message of the peer has passed the integrity check since
// the keys of the IKE SA are in use.
type IKEGarbled struct {
	Peer
	Count uint64 // messages so far
}

// IKELost tells that a record in the journal, or of the twin, cannot be used, which
// costs its IKE SA.
type IKELost struct {
	SA     uint64 // our SPI
	Reason string
	Count  uint64 // so far
}

// PeerMoved tells that a peer has another address.
type PeerMoved struct {
	Peer
	From netip.AddrPort // the address before
}

// AddressAssigned tells what a gateway gave us as its client.
type AddressAssigned struct {
	Peer
	Assigned []netip.Addr
	Entry    string // crypto map entry
}

// Restored tells of the IKE SAs that a worker goes on with.
type Restored struct{ Count uint64 }

// About implements Fact, as do all methods of this name.
func (*IKEUp) About() About { return About{1, "ike_up", LevelInfo, "IKE SA established"} }

// Fields implements Fact, as do all methods of this name.
func (e *IKEUp) Fields(f *Fields) {
	e.fields(f)
	f.Text(4, "profile", &e.Profile)
	f.Text(5, "suite", &e.Suite)
	f.Flag(6, "nat", &e.NAT)
	f.Flag(7, "initiator", &e.Initiator)
	f.Addrs(8, "assigned", &e.Assigned)
}

// About implements Fact.
func (*IKEDown) About() About { return About{2, "ike_down", LevelInfo, "IKE SA ended"} }

// Fields implements Fact.
func (e *IKEDown) Fields(f *Fields) {
	e.fields(f)
	f.Text(4, "reason", &e.Reason)
}

// About implements Fact.
func (*IKEsDown) About() About { return About{3, "ikes_down", LevelInfo, "more IKE SAs ended"} }

// Fields implements Fact.
func (e *IKEsDown) Fields(f *Fields) {
	f.Number(1, "count", &e.Count)
	f.Text(2, "reason", &e.Reason)
}

// About implements Fact.
func (*IKERekeyed) About() About { return About{4, "ike_rekeyed", LevelInfo, "IKE SA rekeyed"} }

// Fields implements Fact.
func (e *IKERekeyed) Fields(f *Fields) {
	e.fields(f)
	f.IKESPI(4, "old", &e.Old)
}

// About implements Fact.
func (*IKEFault) About() About {
	return About{5, "ike_fault", LevelError, "internal error, the IKE SA is ended"}
}

// Fields implements Fact.
func (e *IKEFault) Fields(f *Fields) {
	e.fields(f)
	f.Text(4, "reason", &e.Reason)
	f.Text(5, "detail", &e.Detail)
}

// About implements Fact.
func (*IKEGarbled) About() About {
	return About{6, "ike_garbled", LevelWarn, "no message of the peer passes the integrity check"}
}

// Fields implements Fact.
func (e *IKEGarbled) Fields(f *Fields) {
	e.fields(f)
	f.Number(4, "count", &e.Count)
}

// About implements Fact.
func (*IKELost) About() About {
	return About{7, "ike_lost", LevelError, "record cannot be used, its SA is given up"}
}

// Fields implements Fact.
func (e *IKELost) Fields(f *Fields) {
	f.IKESPI(1, "sa", &e.SA)
	f.Text(2, "reason", &e.Reason)
	f.Number(3, "count", &e.Count)
}

// About implements Fact.
func (*PeerMoved) About() About { return About{8, "peer_moved", LevelInfo, "peer has a new address"} }

// Fields implements Fact.
func (e *PeerMoved) Fields(f *Fields) {
	e.fields(f)
	f.AddrPort(4, "from", &e.From)
}

// About implements Fact.
func (*AddressAssigned) About() About {
	return About{9, "address_assigned", LevelInfo, "address assigned by the gateway"}
}

// Fields implements Fact.
func (e *AddressAssigned) Fields(f *Fields) {
	e.fields(f)
	f.Addrs(4, "assigned", &e.Assigned)
	f.Text(5, "entry", &e.Entry)
}

// About implements Fact.
func (*Restored) About() About {
	return About{10, "restored", LevelInfo, "security associations restored"}
}

// Fields implements Fact.
func (e *Restored) Fields(f *Fields) { f.Number(1, "count", &e.Count) }
