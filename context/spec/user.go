package spec

import (
	"net/netip"
	"time"
)

// LocalUsers is the authentication_server_group that is the users of the tenant's own
// configuration.
const LocalUsers = "LOCAL"

// User is somebody who logs in with a name and a password. It has exactly one of Password,
// NTHash and Argon2id.
type User struct {
	Name string // unique, as the user writes it; no domain

	Password SecretRef `json:",omitempty"` // in plain text, UTF-8: every method can verify it
	NTHash   SecretRef `json:",omitempty"` // 16 bytes, MD4 of the password in UTF-16LE: for MSCHAPv2, and GTC
	Argon2id SecretRef `json:",omitempty"` // "$argon2id$v=19$m=65536,t=3,p=4$salt$hash": for GTC alone

	Attributes

	// SimultaneousLogins is how many sessions the user may have at once, in place of what
	// group policies say; nil: they say it. 0: the user is locked out.
	SimultaneousLogins *int `json:",omitempty"`
	// GroupLock is the only tunnel group for the user; "": group policies say it.
	GroupLock string `json:",omitempty"`
	// Expires is when the user may log in no longer, and has no session; zero: never.
	Expires time.Time `json:",omitzero"`
}

// Attributes are what is said of one user beside that it may come in, by its own block, or
// by the server that has let it in. What is zero is not said.
type Attributes struct {
	GroupPolicy string       `json:",omitempty"` // by name
	Addresses   []netip.Addr `json:",omitempty"` // dedicated: at most one of each family
	Pools       []string     `json:",omitempty"` // by name
	DNSServers  []netip.Addr `json:",omitempty"`
	Banner      string       `json:",omitempty"`

	SplitTunnel    []netip.Prefix `json:",omitempty"`
	SessionTimeout time.Duration  `json:",omitempty"`
	IdleTimeout    time.Duration  `json:",omitempty"`

	// Class is what a server wants to hear in accounting, opaque.
	Class [][]byte `json:",omitempty"`
}

// EAPMethod is an EAP method that a gateway offers users of its own configuration.
type EAPMethod string

// The methods, in the words of the configuration.
const (
	EAPMSCHAPv2 EAPMethod = "mschapv2"
	EAPGTC      EAPMethod = "gtc" // the password itself, inside the IKE SA
	EAPMD5      EAPMethod = "md5" // weak: by explicit request only
)

// EAP is the credential of peers that the authentication servers of their tunnel group let
// in (RFC 7296 section 2.16).
type EAP struct {
	// QueryIdentity asks for the EAP identity; else it is the identity in IKE.
	QueryIdentity bool
	// Methods are offered by LocalUsers, the first one first; a server has its own.
	Methods []EAPMethod `json:",omitempty"`
	// Only: peers that ask for it need no proof of this gateway but that of the method
	// (RFC 5998).
	Only bool `json:",omitempty"`
}

func (EAP) credential() {}
