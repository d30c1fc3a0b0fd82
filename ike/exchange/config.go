package exchange

import (
	"crypto/rand"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/pki"
)

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

	// CertificateMaps choose the profile of a peer by its certificate, the first one that
	// holds, before its identity does. A profile that one of them names is for nobody
	// else, unless it is a Fallback.
	CertificateMaps []CertificateMap

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

	// NoFragmentation: no message is sent in fragments, and none is put together of
	// them (RFC 7383). FragmentSize is the size in bytes of the largest IP packet that
	// brings a message to a peer whose messages may be fragmented; a longer one is
	// fragmented.
	NoFragmentation bool
	FragmentSize    int

	// NoMOBIKE: peers cannot move with MOBIKE (RFC 4555). With ReturnRoutability, one
	// that has moved gets its traffic at its new address only when it has answered there.
	NoMOBIKE          bool
	ReturnRoutability bool
}

// What a Config of zeros means.
const (
	DefaultCookieThreshold  = 100
	DefaultMaxHalfOpen      = 10_000
	DefaultHalfOpenTimeout  = 30 * time.Second
	DefaultRetransmitBase   = 500 * time.Millisecond
	DefaultRetransmitFactor = 1.8
	DefaultRetransmitTries  = 7

	// DefaultFragmentSize is what every IPv6 path carries (RFC 8200 section 5), and in
	// practice every IPv4 path on which there is a VPN.
	DefaultFragmentSize = 1280
)

// WithDefaults returns c with a value for what was left zero. It shares the lists
// of c.
func (c Config) WithDefaults() Config {
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	c.CookieThreshold = orDefault(c.CookieThreshold, DefaultCookieThreshold)
	c.MaxHalfOpen = orDefault(c.MaxHalfOpen, DefaultMaxHalfOpen)
	c.HalfOpenTimeout = orDefault(c.HalfOpenTimeout, DefaultHalfOpenTimeout)
	c.RetransmitBase = orDefault(c.RetransmitBase, DefaultRetransmitBase)
	c.RetransmitFactor = orDefault(c.RetransmitFactor, DefaultRetransmitFactor)
	c.RetransmitTries = orDefault(c.RetransmitTries, DefaultRetransmitTries)
	c.FragmentSize = orDefault(c.FragmentSize, DefaultFragmentSize)
	return c
}

func orDefault[T int | float64 | time.Duration](v, d T) T {
	if v <= 0 {
		return d
	}
	return v
}

// Static returns the static entry called name that can be dialled: where it stands
// on several addresses, the first one of its peer's family.
func (c *Config) Static(name string) (Entry, bool) {
	for _, e := range c.Entries {
		if e.Name == name && !e.Dynamic && (!e.Local.IsValid() || e.Local.BitLen() == e.Peer.BitLen()) {
			return e, true
		}
	}
	return Entry{}, false
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
	LocalIdentity identity.Identity // zero: the subject of our certificate, or else our address

	// RemoteIdentities may be those of peers; empty: "*". An identity that several profiles accept is for the one
	// whose pattern has the highest identity.Rank, Fallback ones after all others; among equals, for the first one
	// that an entry serves at the peer's address.
	RemoteIdentities []identity.Pattern
	Fallback         bool

	Local Credential // ours
	// Remote is the credential of every peer. Remotes, where there are any, take
	// its place: an identity that is not among them has no key.
	Remote  Credential
	Remotes []IdentityCredential

	// RemoteNetworks bound what a site may bring that a dynamic entry serves;
	// empty: nothing, so that it gets no child SA.
	RemoteNetworks []sa.Selector

	DPD time.Duration // 0: never ask

	// IgnoreContact: an INITIAL_CONTACT of a peer ends nothing.
	IgnoreContact bool
}

// CertificateMap has a profile for peers whose certificate keeps all of its rules, and whose
// identity the profile takes.
type CertificateMap struct {
	Name    string
	Rules   []pki.Rule
	Profile string
}

// Equal reports whether both choose the same profile for the same certificates.
func (m CertificateMap) Equal(o CertificateMap) bool {
	return m.Name == o.Name && m.Profile == o.Profile && slices.EqualFunc(m.Rules, o.Rules, pki.Rule.Equal)
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
