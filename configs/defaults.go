package configs

import (
	"time"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/failover"
)

// What is left out of a configuration. Every value is in the reference too:
// a test holds the files of reference/ to this one.
const (
	defaultName     = "warren"
	defaultStateDir = DefaultStateDir
	defaultRunDir   = "/run/warren"

	// A large appliance of the old world has 20,000 VPN peers.
	defaultVPNSessions   = 20000
	defaultInNegotiation = 10000
	defaultPIDs          = 32768

	// Longer than a server needs, and short enough to wait for at the start.
	defaultConfigTimeout = 10 * time.Second
	defaultStorage       = "shared"

	defaultPoll       = 50 * time.Millisecond
	defaultHold       = 150 * time.Millisecond
	defaultPrefer     = failover.UnitPrimary
	defaultPreempt    = false
	defaultIfaceCount = 1
	ownGroup          = "*" // the label of the group whose terms every context without a group has

	defaultIKELifetime   = 24 * time.Hour
	defaultIPsecLifetime = 8 * time.Hour
	defaultProposalName  = "default"
	defaultGroupPolicy   = "DfltGrpPolicy"

	// A person has a computer, a telephone and a third device (the appliance
	// world's default as well).
	defaultLogins = 3
	defaultUnique = string(spec.UniqueReplace)

	// A silent peer is asked after DPD; with the retransmissions below it is
	// given up a little more than a minute later.
	defaultDPD              = 30 * time.Second
	defaultCookieThreshold  = 100
	defaultMaxHalfOpen      = 1000
	defaultHalfOpenTimeout  = 30 * time.Second
	defaultRetransmitBase   = time.Second
	defaultRetransmitFactor = 1.8
	defaultRetransmitTries  = 6
	// NAT devices forget UDP after 30 seconds or more (RFC 4787 wants 120).
	defaultNATKeepalive = 20 * time.Second

	defaultReplayWindow = 1024
	defaultDF           = string(spec.DFCopy)
)

// The algorithms that are offered where a policy or proposal names none: what
// every current client has, and nothing weaker than 128 bits.
var (
	defaultEncryption      = []string{"aes-256-gcm", "aes-128-gcm", "chacha20-poly1305"}
	defaultPRF             = []string{"sha384", "sha256"}
	defaultKeyExchange     = []string{"x25519", "ecp384", "ecp256"}
	defaultSequence        = []string{"esn", "no-esn"}
	defaultTunnelProtocols = []spec.Protocol{spec.IKEv2}
	defaultConnection      = "start"
)

// The bounds of what may be set.
const (
	minLifetime = 2 * time.Minute     // shorter ones do nothing but rekey
	maxLifetime = 30 * 24 * time.Hour // longer ones never rekey
	minBytes    = 1 << 20

	maxURL           = 2048
	maxConfigTimeout = 20 * time.Second // whoever asks the API for a plan waits for 30

	maxPSK         = 128 // characters, as in the appliance world
	shortPSK       = 16  // characters; fewer are warned about
	minFailoverKey = 16
	// A failover key in hexadecimal is taken as it is; any other is text that
	// somebody thought of, and is made into a key by passphraseKey.
	rawFailoverKey = 32 // bytes
	maxFailoverKey = 1024
	maxBanner      = 2048
	maxDNSServers  = 8
	maxPools       = 6 // of one group

	// An SA carries so many selectors of each side (maxSelectors of ike/ikev2): what
	// is beyond them would be told to a client, and be out of its reach.
	maxSelectors = 64
)
