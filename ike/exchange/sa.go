package exchange

import (
	"net/netip"
	"time"
)

// Phase is where an IKE SA stands, as far as an Engine needs to know; each
// version has states of its own.
type Phase uint8

// The phases of an IKE SA.
const (
	PhaseDialling    Phase = iota + 1 // we have begun it; the peer is not authentic yet
	PhaseHalfOpen                     // a peer has begun it, and is not authentic yet
	PhaseAsking                       // the peer is authentic; a Question waits for its Answer
	PhaseRejected                     // told no; kept to answer repeats of its request
	PhaseEstablished                  //
	PhaseEnding                       // replaced, or being deleted: its keys are alive
	PhaseDead                         // keys are gone; the Engine forgets it
)

// HalfOpen reports whether an SA in this phase counts as half-open: made by a
// peer that has not been let in.
func (p Phase) HalfOpen() bool { return p == PhaseHalfOpen || p == PhaseAsking || p == PhaseRejected }

// PeerKey is an authenticated peer and its profile. It is comparable, and two are
// compared without memory: many devices may have one identity.
type PeerKey struct {
	Profile string
	Type    uint8  // of the identity: RFC 7296 section 3.5; 0: Data is the name of a user
	Data    string // of the identity, as the payload has it
}

// Index is where an Engine's tables have an SA. It stands in the SA, which leaves it alone: with many
// SAs a map for it would be slower, and larger.
type Index struct {
	Peer  PeerKey // under which the SA is known; zero: it is not
	Timer int     // its place in the heap of deadlines, from 1 on; 0: it has none
}

// SA is one IKE SA of any version. Each method that takes an Output leaves it
// complete: what is in Changes says all that Send makes known.
type SA interface {
	// SPI returns our SPI, the name of the SA, and PeerSPI the peer's, 0 before it
	// is known. InitiatorSPI is the one of the end that began this SA.
	SPI() uint64
	PeerSPI() uint64
	InitiatorSPI() uint64
	Phase() Phase
	// Index returns what is the Engine's. It is zero when the SA is made.
	Index() *Index
	// Remote returns the peer's address.
	Remote() netip.AddrPort
	// Peer returns what events and answers call the SA.
	Peer() Peer
	// PeerKey names the authenticated peer and its profile: what INITIAL_CONTACT is
	// about. It is zero for an SA that neither stands nor asks.
	PeerKey() PeerKey
	// Entry returns the name of the crypto map entry, "" before one is chosen.
	Entry() string
	// Dialled reports whether we connected to the peer; rekeying does not change it.
	Dialled() bool
	// RemoteAccess reports whether the peer is a remote-access client.
	RemoteAccess() bool
	// Assigned returns the addresses that the session has. Callers do not change it.
	Assigned() []netip.Addr
	// Children returns how many child SAs the SA has; Served reports whether it has
	// had one.
	Children() int
	Served() bool
	Status() Status
	// ExportKeys returns the lines of Wireshark's ikev2_decryption_table and esp_sa
	// files; none before there are keys.
	ExportKeys() (ike, esp []string)

	// Receive takes a message whose SPI is ours. An error means that it changed
	// nothing.
	Receive(now time.Time, d Datagram, out *Output) error
	// RepeatFirst answers a repeat of the message that made the SA, a bounded number
	// of times, and reports false for any other message.
	RepeatFirst(d Datagram, out *Output) bool
	// Command does what is wanted of this SA or of its child SA that c names.
	Command(now time.Time, c Command, out *Output) error
	// Answer ends the wait for a Question. An error says that what the Answer
	// grants is not used.
	Answer(now time.Time, a Answer, out *Output) error
	// Deadline returns when Expire has something to do; zero: never.
	Deadline() time.Time
	Expire(now time.Time, out *Output)
	// Reconsider makes the SA obey the configuration that its Version has now.
	Reconsider(now time.Time, out *Output)
	// Retire ends an established SA, whose work another one does already, with a
	// DELETE a little later.
	Retire(now time.Time, reason string)
	// End ends the SA without a word to the peer.
	End(now time.Time, reason string, out *Output)
	// Wipe forgets all keys, those of the children too.
	Wipe()

	// Snapshot yields the records that bring the SA and its children back, also
	// while it is half-open, and reports whether to go on.
	Snapshot(yield func(Record) bool) bool
	// ReplayWindow applies a RecordWindow, ReplayChild a RecordChild. Repeating
	// one changes nothing.
	ReplayWindow(r Record) error
	ReplayChild(now time.Time, r Record)
	// Inherit takes the children of old, whose successor the SA is, or which it is
	// itself in an earlier state.
	Inherit(old SA)
	// Drop forgets the SA as RecordIKEDown says.
	Drop(now time.Time)
	// Activate starts the timers of an SA that Replay brought.
	Activate(now time.Time, out *Output)
}

// Version is one version of IKE, for one Engine. Its SAs are those that it made.
type Version interface {
	// Configure makes cfg, which has its defaults, what all SAs work from. On an
	// error nothing has changed.
	Configure(cfg *Config) error
	// Dial begins to bring up the static entry called name.
	Dial(now time.Time, name string, out *Output) (SA, error)
	// Restore returns the SA of a RecordIKE, silent until Activate.
	Restore(r Record) (SA, error)
	// RestoreHalfOpen makes the responder of a RecordHalfOpen anew. An error says
	// that it cannot go on where it stood.
	RestoreHalfOpen(now time.Time, r Record) (SA, error)
}

// First is a message by which a peer begins an IKE SA, parsed. Nothing of it is
// authentic, and nothing is kept of it yet.
type First interface {
	// Respond answers it with an SA, or a Rejection. With record the handshake
	// survives us: out.Changes says so.
	Respond(now time.Time, record bool, out *Output) (SA, error)
}

// Rejection is the error of a first message whose sender is told about it.
type Rejection struct {
	Message []byte // the unprotected answer
	Notify  string // what it says
	Reason  string // for the operator; "": not worth a line
	Err     error  // what is wrong with the message
}

// Error implements error.
func (r *Rejection) Error() string { return r.Err.Error() }

// Unwrap returns what is wrong with the message.
func (r *Rejection) Unwrap() error { return r.Err }
