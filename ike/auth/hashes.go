package auth

import "errors"

// Hashes are the hash algorithms that signatures may have, which both ends tell each
// other in SIGNATURE_HASH_ALGORITHMS (RFC 7427 section 4, RFC 8420 section 2). The zero
// Hashes are none: whoever has them knows nothing of RFC 7427.
type Hashes uint8

// The hashes that are used. SHA-1, which has number 1 there, is not.
const (
	SHA2256  Hashes = 1 << iota // SHA2-256
	SHA2384                     // SHA2-384
	SHA2512                     // SHA2-512
	Identity                    // none: for Ed25519, which hashes itself
)

// AllHashes are what we understand.
const AllHashes = SHA2256 | SHA2384 | SHA2512 | Identity

// hashNumbers are the numbers of the IANA registry, in our order of preference.
var hashNumbers = []struct {
	number uint16
	hash   Hashes
}{{2, SHA2256}, {3, SHA2384}, {4, SHA2512}, {5, Identity}}

// ParseHashes reads the data of a SIGNATURE_HASH_ALGORITHMS notification. What is not
// used here is left out.
func ParseHashes(b []byte) (Hashes, error) {
	if len(b)%2 != 0 {
		return 0, errors.New("auth: odd length of hash algorithms")
	}
	var h Hashes
	for ; len(b) > 0; b = b[2:] {
		for _, n := range hashNumbers {
			if n.number == uint16(b[0])<<8|uint16(b[1]) {
				h |= n.hash
			}
		}
	}
	return h, nil
}

// AppendTo appends the data of the notification.
func (h Hashes) AppendTo(b []byte) []byte {
	for _, n := range hashNumbers {
		if h&n.hash != 0 {
			b = append(b, byte(n.number>>8), byte(n.number))
		}
	}
	return b
}
