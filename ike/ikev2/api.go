package ikev2

import (
	"io"
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/internal/secret"
)

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

// Config is what an Engine works from. It is not changed after New or
// Configure.
type Config struct {
	// Rand is read for SPIs, nonces, private keys, IVs and cookies; nil means
	// crypto/rand.
	Rand io.Reader

	// Known is told of each SPI of ours when its IKE SA begins, half-open ones
	// too, and when it is gone, from within the methods of the Engine, which it must
	// not call; nil: nobody is told. Configure does not change it.
	Known func(spi uint64, there bool)

	Policies []Policy  // IKE proposals, in order of preference
	Profiles []Profile // tunnel groups; see Profile.RemoteIdentities for which is chosen
	Entries  []Entry   // what may be protected, static ones first

	// Own are the networks behind us: no gateway, when we are its client, may
	// assign us an address of them.
	Own []netip.Prefix

	// Pools are the addresses that are leased to clients. No site may bring a
	// network that takes one of them.
	Pools []sa.Selector

	CookieThreshold  int           // half-open IKE SAs above which cookies are demanded
	AlwaysCookie     bool          // they are demanded, however few there are
	MaxHalfOpen      int           // half-open IKE SAs above which the oldest of the largest source gives way
	SetupRate        float64       // IKE SAs that peers may begin, per second; 0: any number
	HalfOpenTimeout  time.Duration // from IKE_SA_INIT to the end of IKE_AUTH; shorter while there are many
	RetransmitBase   time.Duration
	RetransmitFactor float64
	RetransmitTries  int
	NATKeepalive     time.Duration
	ReplayWindow     uint32
	ForceUDP         bool // answer NAT detection so that the peer encapsulates in UDP
}

// Policy is one acceptable proposal for an IKE SA.
type Policy struct {
	Name     string
	Proposal sa.Proposal
	Lifetime time.Duration
}

// Profile says who may connect and how both sides prove who they are: one
// tunnel group.
type Profile struct {
	Name          string
	RemoteAccess  bool
	LocalIdentity string // notation of ike/auth; "": our address

	// RemoteIdentities are patterns of ike/auth; empty: "*". An identity that
	// several profiles accept is for the one whose pattern has the highest
	// auth.Rank, Fallback ones after all others; among equals, for the first one
	// that an entry serves at the peer's address.
	RemoteIdentities []string
	Fallback         bool

	LocalPSK secret.Value
	// RemotePSK is the key of every peer. RemotePSKs, where there are any, take
	// its place: an identity that is not among them has no key.
	RemotePSK  secret.Value
	RemotePSKs []IdentityPSK

	// RemoteNetworks bound what a site may bring that a dynamic entry serves;
	// empty: nothing, so that it gets no child SA.
	RemoteNetworks []sa.Selector

	DPD time.Duration // 0: never ask

	// IgnoreContact: an INITIAL_CONTACT of a peer ends nothing.
	IgnoreContact bool
}

// IdentityPSK is the pre-shared key of one identity, in the notation of
// ike/auth.
type IdentityPSK struct {
	Identity string
	PSK      secret.Value
}

// Entry is one crypto map entry. A profile that a static entry names is served
// by static entries alone: what its peers may have follows from who they are, and
// not from where they come from (RFC 4301 section 4.4.3).
type Entry struct {
	Name      string
	Local     netip.Addr // our address on the interface of the map
	Dynamic   bool       // serves every peer whose profile has no static entry
	Proposals []ChildProposal

	// The rest is for static entries.
	Peer           netip.Addr
	AnyAddress     bool // serves peers of the profile from other addresses than Peer, too
	Profile        string
	Initiate       bool
	RequestAddress bool
	LocalTS        []sa.Selector
	RemoteTS       []sa.Selector
}

// ChildProposal is one acceptable proposal for a child SA.
type ChildProposal struct {
	Name          string
	Proposal      sa.Proposal
	Lifetime      time.Duration
	LifetimeBytes uint64
}

// Output is what the caller must do, in this order: make Changes durable
// (journalled, and acknowledged by the standby when there is one) and install
// the child SAs in them, then Send, then publish Events. The slices are
// appended to; the caller empties the Output between calls.
type Output struct {
	Changes []Record
	Send    []Datagram
	Events  []Event
}

// RecordKind says what a Record does.
type RecordKind uint8

// The kinds of records.
const (
	RecordIKE      RecordKind = iota + 1 // the whole state of one IKE SA: new or replaced
	RecordWindow                         // message IDs and cached last response of one IKE SA
	RecordIKEDown                        // the IKE SA and all its children are gone
	RecordChild                          // one step of one child SA
	RecordHalfOpen                       // a responder that waits for IKE_AUTH
)

// Record is one durable step. Applying the records of a tenant in order to an
// empty Engine (Replay) gives the state that wrote them; applying one twice in
// a row changes nothing. It holds key material.
type Record struct {
	Kind  RecordKind
	SPI   uint64     // our SPI of the IKE SA
	Child *sa.Change // RecordChild

	// Replaces, in a RecordIKE, is our SPI of the IKE SA whose children now
	// belong to SPI (RFC 7296 section 2.18); 0: none.
	Replaces uint64

	soft  time.Time // RecordChild that installs: when it is rekeyed
	group uint16    // and the key exchange that it had
	anew  bool      // RecordChild that installs or moves: see child

	body secret.Value // RecordIKE, RecordWindow: see record.go
}

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

// Reply answers an AskSession. Refuse other than RefuseNone tells the peer no.
type Reply struct {
	Question uint64
	Refuse   Refusal
	Session  Session
}

// Refusal is why a session is not granted; each is sent to the peer as the
// notify named here, and logged.
type Refusal uint8

// The refusals.
const (
	RefuseNone         Refusal = iota
	RefuseNoAddress            // INTERNAL_ADDRESS_FAILURE: the IKE SA stands, no child SA is made
	RefuseLimit                // NO_ADDITIONAL_SAS: the class limit is reached
	RefuseUnauthorised         // AUTHENTICATION_FAILED
)

// Session is what a remote-access client gets (RFC 7296 section 3.15.1).
type Session struct {
	GroupPolicy string
	Addresses   []netip.Addr
	DNS         []netip.Addr
	Domain      string
	// Split are the networks behind this gateway that the client may reach;
	// empty: everything.
	Split   []netip.Prefix
	Banner  string
	Expires time.Time // zero: never
}

// Peer identifies an IKE SA in events and answers.
type Peer struct {
	SPI               uint64 // our SPI
	Local, Remote     netip.AddrPort
	LocalID, RemoteID string // as ike/auth prints them; RemoteID is unproven before EventUp
	Profile           string
}

// Event is something the driver should know: a question to answer, or a fact
// to log. Drivers switch over the types below.
type Event interface{ event() }

// AskSession asks for what a peer that has proven its identity gets. The
// exchange waits for Answer with the same Question; until then the engine goes
// on with everything else.
type AskSession struct {
	Question uint64
	Peer     Peer
	// RemoteAccess is the Profile's. A site-to-site peer is asked about, too:
	// the driver counts it and answers with an empty Session.
	RemoteAccess bool
	WantIPv4     bool
	WantIPv6     bool
	// WantedIPv4 and WantedIPv6 are the addresses that the client asks for;
	// invalid: any. Nobody has checked them.
	WantedIPv4, WantedIPv6 netip.Addr
	// Replaces are our SPIs of the IKE SAs that end when this one is granted: the
	// peer has said INITIAL_CONTACT, and they are of the same device.
	Replaces []uint64
}

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
func (AskSession) event()      {}
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

// Status describes one IKE SA for `show crypto ikev2 sa`.
type Status struct {
	Peer        Peer
	PeerSPI     uint64
	Initiator   bool // of this IKE SA: SPIi is ours
	Dialled     bool // we connected to the peer; stays through rekeyings
	State       string
	Rejected    bool // told no: no SA, but an answer that is kept to be repeated
	Followed    bool // rekeyed: another IKE SA has its session and its children
	Suite       sa.Proposal
	NAT         bool
	Session     Session
	Established time.Time
	// IntegrityFailed counts messages whose integrity check failed, since the
	// Engine has had the SA.
	IntegrityFailed uint64
	Children        []sa.Child
}
