package sa

import (
	"fmt"
	"strings"
)

// TransformType is the first field of a transform (RFC 7296 section 3.3.2).
type TransformType uint8

// The transform types of the IANA registry.
const (
	Encryption  TransformType = 1
	PRF         TransformType = 2
	Integrity   TransformType = 3
	KeyExchange TransformType = 4
	Sequence    TransformType = 5 // "ESN" until RFC 9827
)

// Transform is one algorithm as a proposal names it. KeyBits is the value of
// the Key Length attribute; 0 where the transform has a fixed key length.
type Transform struct {
	Type    TransformType
	ID      uint16
	KeyBits uint16
}

// Transform IDs of the IANA registry "IKEv2 parameters" that Warren knows.
const (
	EncrDES              uint16 = 2
	Encr3DES             uint16 = 3
	EncrAESCBC           uint16 = 12
	EncrAESGCM16         uint16 = 20
	EncrChaCha20Poly1305 uint16 = 28

	PRFHMACMD5    uint16 = 1
	PRFHMACSHA1   uint16 = 2
	PRFHMACSHA256 uint16 = 5
	PRFHMACSHA384 uint16 = 6
	PRFHMACSHA512 uint16 = 7

	IntegNone      uint16 = 0
	IntegMD5_96    uint16 = 1
	IntegSHA1_96   uint16 = 2
	IntegSHA256128 uint16 = 12
	IntegSHA384192 uint16 = 13
	IntegSHA512256 uint16 = 14

	KENone     uint16 = 0
	KEModp768  uint16 = 1
	KEModp1024 uint16 = 2
	KEModp1536 uint16 = 5
	KEModp2048 uint16 = 14
	KEModp3072 uint16 = 15
	KEModp4096 uint16 = 16
	KEECP256   uint16 = 19
	KEECP384   uint16 = 20
	KEECP521   uint16 = 21
	KEX25519   uint16 = 31

	SeqShort    uint16 = 0 // 32-bit sequence numbers
	SeqExtended uint16 = 1 // 64-bit sequence numbers (ESN)
)

// Known describes one row of the registry: a transform and the name that
// configuration files and `show` commands use for it.
type Known struct {
	Transform
	Name string
	Weak bool // refused in a configuration unless allow_weak stands beside it
	AEAD bool // encryption that carries its own integrity
}

var registry = []Known{
	{Transform: Transform{Encryption, EncrAESGCM16, 256}, Name: "aes-256-gcm", AEAD: true},
	{Transform: Transform{Encryption, EncrAESGCM16, 192}, Name: "aes-192-gcm", AEAD: true},
	{Transform: Transform{Encryption, EncrAESGCM16, 128}, Name: "aes-128-gcm", AEAD: true},
	{Transform: Transform{Encryption, EncrChaCha20Poly1305, 0}, Name: "chacha20-poly1305", AEAD: true},
	{Transform: Transform{Encryption, EncrAESCBC, 256}, Name: "aes-256-cbc"},
	{Transform: Transform{Encryption, EncrAESCBC, 192}, Name: "aes-192-cbc"},
	{Transform: Transform{Encryption, EncrAESCBC, 128}, Name: "aes-128-cbc"},
	{Transform: Transform{Encryption, Encr3DES, 0}, Name: "3des", Weak: true},
	{Transform: Transform{Encryption, EncrDES, 0}, Name: "des", Weak: true},

	{Transform: Transform{PRF, PRFHMACSHA256, 0}, Name: "sha256"},
	{Transform: Transform{PRF, PRFHMACSHA384, 0}, Name: "sha384"},
	{Transform: Transform{PRF, PRFHMACSHA512, 0}, Name: "sha512"},
	{Transform: Transform{PRF, PRFHMACSHA1, 0}, Name: "sha1", Weak: true},
	{Transform: Transform{PRF, PRFHMACMD5, 0}, Name: "md5", Weak: true},

	{Transform: Transform{Integrity, IntegSHA256128, 0}, Name: "sha256"},
	{Transform: Transform{Integrity, IntegSHA384192, 0}, Name: "sha384"},
	{Transform: Transform{Integrity, IntegSHA512256, 0}, Name: "sha512"},
	{Transform: Transform{Integrity, IntegSHA1_96, 0}, Name: "sha1", Weak: true},
	{Transform: Transform{Integrity, IntegMD5_96, 0}, Name: "md5", Weak: true},

	{Transform: Transform{KeyExchange, KEX25519, 0}, Name: "x25519"},
	{Transform: Transform{KeyExchange, KEECP256, 0}, Name: "ecp256"},
	{Transform: Transform{KeyExchange, KEECP384, 0}, Name: "ecp384"},
	{Transform: Transform{KeyExchange, KEECP521, 0}, Name: "ecp521"},
	{Transform: Transform{KeyExchange, KEModp2048, 0}, Name: "modp2048"},
	{Transform: Transform{KeyExchange, KEModp3072, 0}, Name: "modp3072"},
	{Transform: Transform{KeyExchange, KEModp4096, 0}, Name: "modp4096"},
	{Transform: Transform{KeyExchange, KEModp1536, 0}, Name: "modp1536", Weak: true},
	{Transform: Transform{KeyExchange, KEModp1024, 0}, Name: "modp1024", Weak: true},
	{Transform: Transform{KeyExchange, KEModp768, 0}, Name: "modp768", Weak: true},

	{Transform: Transform{Sequence, SeqShort, 0}, Name: "no-esn"},
	{Transform: Transform{Sequence, SeqExtended, 0}, Name: "esn"},
}

// Transforms returns the known transforms of type t, strongest first.
func Transforms(t TransformType) []Known {
	var out []Known
	for _, k := range registry {
		if k.Type == t {
			out = append(out, k)
		}
	}
	return out
}

// TransformByName returns the row of type t called name.
func TransformByName(t TransformType, name string) (Known, bool) {
	for _, k := range registry {
		if k.Type == t && k.Name == name {
			return k, true
		}
	}
	return Known{}, false
}

// Lookup returns the row of the registry for t.
func (t Transform) Lookup() (Known, bool) {
	for _, k := range registry {
		if k.Transform == t {
			return k, true
		}
	}
	return Known{}, false
}

// String returns the name of configuration files, or "type/id/bits" for a
// transform that Warren does not know.
func (t Transform) String() string {
	if k, ok := t.Lookup(); ok {
		return k.Name
	}
	return fmt.Sprintf("%d/%d/%d", t.Type, t.ID, t.KeyBits)
}

// Proposal is a set of transforms: alternatives within a type, all types
// together (RFC 7296 section 3.3). The order within a type is the preference.
type Proposal []Transform

// Named appends the transforms of type t that configuration files call so. The error names
// one that is unknown.
func (p Proposal) Named(t TransformType, names ...string) (Proposal, error) {
	for _, name := range names {
		k, ok := TransformByName(t, name)
		if !ok {
			return p, fmt.Errorf("sa: there is no transform %q of type %d", name, t)
		}
		p = append(p, k.Transform)
	}
	return p, nil
}

// OfType returns the transforms of type t, in order of preference.
func (p Proposal) OfType(t TransformType) []Transform {
	var out []Transform
	for _, tr := range p {
		if tr.Type == t {
			out = append(out, tr)
		}
	}
	return out
}

// One returns the transform of type t of a proposal that was already chosen.
// The zero Transform stands for "none".
func (p Proposal) One(t TransformType) Transform {
	for _, tr := range p {
		if tr.Type == t {
			return tr
		}
	}
	return Transform{}
}

// String returns the names, joined by "/".
func (p Proposal) String() string {
	names := make([]string, len(p))
	for i, t := range p {
		names[i] = t.String()
	}
	return strings.Join(names, "/")
}
