package exchange

import (
	"cmp"
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/internal/record"
)

// Session is what a remote-access client gets (RFC 7296 section 3.15.1).
type Session struct {
	GroupPolicy string
	Addresses   []netip.Addr
	// Mask is the length of the netmask that is told with the IPv4 address; 0: none is, and
	// the address stands alone.
	Mask   int
	DNS    []netip.Addr
	WINS   []netip.Addr // IPv4
	Domain string
	// SplitDNS are the domains that DNS is asked about, where the client can tell them apart
	// (RFC 8598); empty: all.
	SplitDNS []string
	// Split are the networks behind this gateway that the client may reach;
	// empty: everything.
	Split   []netip.Prefix
	Banner  string
	Expires time.Time // zero: never
	// Said is what whoever has let the peer in has said of it; nil: nothing. The Engine keeps
	// it.
	Said *Said

	// Unknown is what a newer version wrote into its record beyond it; no keys.
	Unknown record.Unknown
}

// Said is what an authority has said of a peer, as far as it counts for as long as the session
// lasts.
type Said struct {
	GroupPolicy string
	Addresses   []netip.Addr
	Pools       []string
	Split       []netip.Prefix
	Idle        time.Duration // 0: it has not said so
	Class       [][]byte      // opaque, for accounting
}

// Peer identifies an IKE SA in events and answers.
type Peer struct {
	SPI               uint64 // our SPI
	Local, Remote     netip.AddrPort
	LocalID, RemoteID string // as ike/auth prints them; RemoteID is unproven before EventUp
	Profile           string
	// User is who EAP says that the peer is; "": it proved itself otherwise, or has not done so
	// yet. Name returns what a session goes by.
	User string
}

// Name returns who the peer is: its User, or else its RemoteID.
func (p Peer) Name() string { return cmp.Or(p.User, p.RemoteID) }

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
	MOBIKE      bool // the peer may move (RFC 4555)
	Session     Session
	Established time.Time
	// IntegrityFailed counts messages whose integrity check failed, since the
	// Engine has had the SA.
	IntegrityFailed uint64
	// Excess counts requests that were dropped unread because the peer sends too
	// many, since the Engine has had the SA.
	Excess   uint64
	Children []sa.Child
}
