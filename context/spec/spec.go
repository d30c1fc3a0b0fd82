// Package spec is what one tenant is: the validated, immutable values that the
// configuration (package configs) hands to the worker. Names are resolved or
// known to resolve, defaults are filled in, percentages are absolute numbers.
// They are values only: no I/O, and no validation but of the form of a MAC address.
package spec

import (
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/internal/secret"
)

// Tenant is one context, complete.
type Tenant struct {
	Name  string
	Class string

	Interfaces []Interface
	Routes     []Route
	Pools      []Pool

	// IKEPolicies and TunnelGroups are in order of preference.
	IKEPolicies   []IKEPolicy
	GroupPolicies []GroupPolicy
	Trustpoints   []Trustpoint     `json:",omitempty"` // names are unique
	Users         []User           `json:",omitempty"` // names are unique
	AAAServers    []AAAServerGroup `json:",omitempty"` // names are unique
	TunnelGroups  []TunnelGroup
	CryptoMaps    []CryptoMap

	// CertificateMaps choose the tunnel group of peers by their certificate, in order.
	CertificateMaps []CertificateMap `json:",omitempty"`

	IKE       IKE
	DataPlane DataPlane
	Limits    Limits

	// Secrets are what SecretRefs index. They travel beside the
	// specification, never inside its JSON.
	Secrets []secret.Value `json:"-"`
}

// SecretRef names one of a Tenant's Secrets: its index plus one; 0 is "none".
type SecretRef int

// Secret returns the secret behind r; the empty Value for none.
func (t *Tenant) Secret(r SecretRef) secret.Value {
	if r <= 0 || int(r) > len(t.Secrets) {
		return secret.Value{}
	}
	return t.Secrets[r-1]
}

// Interface is one data interface of the tenant, named as its configuration
// names it ("outside").
type Interface struct {
	Name      string
	Addresses []netip.Prefix // the active unit's address, with the length of its subnet
	MTU       int            // bytes; 0: as the device has it

	// Standby are the standby unit's addresses, at most one for each of
	// Addresses and in the same subnet.
	Standby []netip.Addr
	// MAC belongs to the active unit and StandbyMAC to the standby; the zero
	// value: the device's own, or generated where that is not unique.
	MAC, StandbyMAC MAC

	// Shutdown: the interface has its addresses, and its link is down. The health
	// of a failover unit does not depend on it.
	Shutdown bool
}

// Route is a static route of the tenant's namespace.
type Route struct {
	Destination netip.Prefix
	Interface   string
	Gateway     netip.Addr // invalid: on link
	Metric      int
}

// Pool is a named range of addresses to lease, ends inclusive.
type Pool struct {
	Name       string
	Start, End netip.Addr
	// Mask is the length of the netmask that a client is told with an address of it
	// (INTERNAL_IP4_NETMASK); 0: it is told none, and its address stands alone.
	Mask int `json:",omitempty"`
	// ReuseDelay is for how long an address that came back is kept for who had it, while
	// others get none of it; 0: for as long as others can have another one.
	ReuseDelay time.Duration `json:",omitempty"`
	// Dedicated is the user whose alone the only address of it is, and of no other pool
	// that has it in its range; "": it is a pool for all who may have it.
	Dedicated string `json:",omitempty"`
}

// IKEPolicy is one ikev2_policy: a proposal for the IKE SA and its lifetime.
type IKEPolicy struct {
	Name     string
	Proposal sa.Proposal // encryption, prf, integrity (none with AEAD), key exchange
	Lifetime time.Duration
}

// IPsecProposal is one ipsec_proposal: a proposal for child SAs.
type IPsecProposal struct {
	Name          string
	Proposal      sa.Proposal // encryption, integrity (none with AEAD), sequence
	Lifetime      time.Duration
	LifetimeBytes uint64 // of one direction; 0: no limit
}

// Protocol is what a session comes by, in the words of tunnel_protocols.
type Protocol string

// IKEv2 is the protocol of RFC 7296, the one that Warren speaks so far.
const IKEv2 Protocol = "ikev2"

// UnlimitedLogins as SimultaneousLogins allows any number of sessions.
const UnlimitedLogins = -1

// TunnelGroupType says what is at the other end.
type TunnelGroupType string

// The types of tunnel groups.
const (
	RemoteAccess TunnelGroupType = "remote-access"
	SiteToSite   TunnelGroupType = "site-to-site"
)

// The tunnel groups that an identity falls to when no other group takes it,
// wherever they are written.
const (
	DefaultRAGroup  = "DefaultRAGroup"
	DefaultL2LGroup = "DefaultL2LGroup"
)

// TunnelGroup is a connection profile.
type TunnelGroup struct {
	Name         string
	Type         TunnelGroupType
	Policy       string   // group policy, by name; "" means the built-in defaults
	AddressPools []string // tried in this order
	// InterfacePools take the place of AddressPools for peers of some interfaces.
	InterfacePools []InterfacePools `json:",omitempty"`
	// Inherits are the attributes, as configurations write them, that the group has from
	// DefaultRAGroup or DefaultL2LGroup.
	Inherits []string `json:",omitempty"`

	LocalIdentity    identity.Identity  // zero: the address that the peer talks to
	RemoteIdentities []identity.Pattern // any may match; empty: every identity

	// Local is what this gateway proves itself with, and Remote what the peers of the
	// group do. In JSON each is a field of its own, named after its kind: see
	// credential.go.
	Local, Remote Credential `json:"-"`

	// AuthenticationServers says who lets peers in whose credential is EAP: LocalUsers, or
	// the name of an aaa_server_group.
	AuthenticationServers string `json:",omitempty"`

	// RSASHA1: RSA signatures with SHA-1 are made for, and taken from, peers that know
	// nothing of RFC 7427.
	RSASHA1 bool `json:",omitempty"`

	// RemoteNetworks are what a site that is served by a dynamic entry may bring:
	// its selectors and routes lie within them. Empty: nothing.
	RemoteNetworks []netip.Prefix

	// Unique says what happens when an identity logs in once more than
	// SimultaneousLogins allows.
	Unique Unique

	// DPD is how long the peer may be silent before it is asked whether it
	// lives; 0 switches the question off.
	DPD time.Duration
}

// CertificateMap has a tunnel group for peers whose certificate keeps all of its rules,
// which are in the words of ike/pki.ParseRule.
type CertificateMap struct {
	Name        string
	Rules       []string
	TunnelGroup string
}

// Unique says which session ends when one identity logs in too often.
type Unique string

// The values of Unique.
const (
	UniqueReplace Unique = "replace" // the session that was idle longest gives way
	UniqueKeep    Unique = "keep"    // the new login is refused
	UniqueNever   Unique = "never"   // as UniqueKeep, and INITIAL_CONTACT (RFC 7296 section 2.4) ends nothing
)

// CryptoMap binds IPsec to an interface.
type CryptoMap struct {
	Interface string
	Entries   []CryptoEntry // static ones first, then dynamic ones
}

// CryptoEntry is one entry of a crypto map: what is protected, how, with whom.
type CryptoEntry struct {
	Name      string
	Dynamic   bool // answers any peer; the other fields of the peer are empty
	Proposals []IPsecProposal

	// ReverseRoute has what child SAs carry go before static routes of the same
	// length while they stand. Without it, and without an SA, such a static route
	// counts, unless it leads over an interface with a crypto map.
	ReverseRoute bool

	Peer        netip.Addr
	TunnelGroup string
	// AnyAddress serves the peer of a static entry, whose identity is that of the
	// tunnel group, from every address, with the same networks.
	AnyAddress     bool
	Initiate       bool // connect at start and after every loss
	RequestAddress bool // ask the peer for an address, as a remote-access client
	Local, Remote  []netip.Prefix
}

// IKE is what all IKE SAs of the tenant share.
type IKE struct {
	// CookieThreshold is the number of half-open IKE SAs above which a new
	// initiator must return a cookie; MaxHalfOpen is where the oldest gives
	// way to a newer one; HalfOpenTimeout ends one.
	CookieThreshold, MaxHalfOpen int
	HalfOpenTimeout              time.Duration
	// RetransmitBase, RetransmitFactor and RetransmitTries: the n-th repeat
	// leaves Base*Factor^n after the one before; after Tries the peer is dead.
	RetransmitBase   time.Duration
	RetransmitFactor float64
	RetransmitTries  int
	NATKeepalive     time.Duration // 0: none
	// NoFragmentation: messages are not fragmented (RFC 7383). FragmentSize is the
	// size in bytes of the largest IP packet of one that may be; 0: 1280.
	NoFragmentation bool
	FragmentSize    int
	// NoMOBIKE: peers cannot move (RFC 4555). ReturnRoutability: their traffic follows
	// when they have answered at their new address.
	NoMOBIKE          bool
	ReturnRoutability bool
}

// DataPlane is what all child SAs of the tenant share.
type DataPlane struct {
	ReplayWindow uint32 // packets: 0, or 64 to 4096
	MTU          int    // bytes of the tunnel device; 0: computed
	ForceUDP     bool   // UDP encapsulation even where there is no NAT
	DF           sa.DF

	// What the data plane does without, though the kernel may have it: UDP
	// segmentation offload when sending and when receiving, super-packets of the
	// tunnel device, several messages in one system call.
	NoGSO, NoGRO, NoTUNOffload, NoBatching bool
}

// Limits are the caps of the tenant's class, in absolute numbers; 0 means no
// cap, except where -1 is needed to say "none at all" and is documented.
type Limits struct {
	// Sessions and SiteToSite are promised: vpn_anyconnect, concurrent
	// remote-access sessions, and vpn_other, concurrent site-to-site tunnels. 0:
	// nothing is promised, all comes from the rest that the contexts share.
	Sessions, SiteToSite int
	// BurstSessions and BurstSiteToSite are what may be had of that rest; -1:
	// none at all.
	BurstSessions, BurstSiteToSite int

	InNegotiate    int // ikev2_in_negotiation: half-open IKEv2 SAs of peers
	InNegotiateOld int // ikev1_in_negotiation
	Setups         int // IKE SAs begun by peers, per second

	BandwidthIn, BandwidthOut int64 // bits per second
	Packets                   int64 // per second, both directions together

	Routes       int // static ones, and those the worker asks for
	MACAddresses int // entries of the neighbour tables
	APISessions  int // requests at once
	Syslogs      int // log lines per second

	Storage      int64 // bytes on disk0:
	StorageFiles int   // files and directories on disk0:; 0: as many as are good for all

	CPU    float64 // cores
	Memory int64   // bytes
	PIDs   int
}
