package configs

import (
	"time"

	"github.com/warrenvpn/warren/context/spec"
)

// Defaults that more than one place knows; the others are in schema.go. Every value is
// in the reference, too: a test holds the files of reference/ to the code.
const (
	defaultName     = "warren"
	defaultStateDir = DefaultStateDir
	defaultRunDir   = "/run/warren"

	// ownGroup is the label of the group whose terms every context without a group has.
	ownGroup = "*"

	defaultIfaceCount   = 1 // interfaces that must be down
	defaultProposalName = "default"
	olderProposalName   = "default (older clients)" // which can be no label
	defaultGroupPolicy  = spec.DefaultGroupPolicy
	defaultLogins       = 3
	defaultMaxHalfOpen  = 1000
	defaultFragmentSize = 1280
)

// The algorithms that are offered where a policy or proposal names none, none of them
// weaker than 128 bits.
var (
	defaultEncryption  = listOf{"aes-256-gcm", "aes-128-gcm", "chacha20-poly1305"}
	defaultPRF         = listOf{"sha384", "sha256"}
	defaultKeyExchange = listOf{"x25519", "ecp384", "ecp256"}
	defaultSequence    = listOf{"esn", "no-esn"}
)

// builtIn is what a context without a policy, or without a proposal, offers, in this
// order: the second is what clients have as they ship that have nothing newer
// (docs/clients.md says which).
var builtIn = []struct {
	name                                    string
	encryption, integrity, prf, keyExchange listOf
}{
	{defaultProposalName, defaultEncryption, nil, defaultPRF, defaultKeyExchange},
	{olderProposalName, listOf{"aes-256-cbc"}, listOf{"sha256", "sha384", "sha512"},
		listOf{"sha256", "sha384", "sha512"}, listOf{"x25519", "ecp384", "ecp256", "modp2048"}},
}

// How long SAs live: shorter lives do nothing but rekey, longer ones never do.
var (
	ikeLifetime   = span{def: 24 * hour, low: 2 * minute, high: 30 * day}
	ipsecLifetime = span{def: 8 * hour, low: 2 * minute, high: 30 * day}
)

// The bounds of what may be set.
const (
	minBytes = 1 << 20

	maxURL           = 2048
	maxConfigTimeout = 20 * time.Second // whoever asks the API for a plan waits for 30

	maxPSK         = 128 // characters, as in the appliance world
	shortPSK       = 16  // characters; fewer are warned about
	minFailoverKey = 16
	maxKeyPassword = 256 // characters, of the password of a private key
	// A failover key in hexadecimal is taken as it is; any other is text that
	// somebody thought of, and is made into a key by passphraseKey.
	rawFailoverKey = 32 // bytes
	maxFailoverKey = 1024
	maxPassword    = 256 // characters, of a user
	shortPassword  = 8   // characters; fewer are warned about
	maxBanner      = 2048
	maxDNSServers  = 8
	maxWINSServers = 4
	maxSplitDNS    = 32
	maxHours       = 28 // four spans of each day
	maxPools       = 6  // of one group

	// An SA carries so many selectors of each side (maxSelectors of ike/ikev2): what
	// is beyond them would be told to a client, and be out of its reach.
	maxSelectors = 64
)
