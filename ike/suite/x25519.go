package suite

import (
	"fmt"
	"io"

	"github.com/cloudflare/circl/dh/x25519"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/internal/secret"
)

// Curve25519 is apart from the other curves because of what crypto/ecdh costs: it makes
// a public value with the ladder for any point. Here that comes out of a table of
// multiples of the base point, in half of the time, and the ladder that is left for the
// secret is a quarter faster where there are BMI2 and ADX. Both take the same time for
// all keys. BenchmarkX25519 has all three side by side.

// generateX25519 makes a private key of Curve25519 from the bytes of rand alone (RFC 7748 section 6.1).
func generateX25519(rand io.Reader) (*privateKey, error) {
	b := make([]byte, 2*x25519.Size) // the scalar, and behind it the public value
	scalar, public := (*x25519.Key)(b), (*x25519.Key)(b[x25519.Size:])
	if _, err := io.ReadFull(rand, scalar[:]); err != nil {
		return nil, fmt.Errorf("suite: reading randomness: %w", err)
	}
	x25519.KeyGen(public, scalar)
	return &privateKey{group: sa.KEX25519, scalar: secret.New(scalar[:]), public: public[:]}, nil
}

// sharedX25519 returns the secret of a scalar and the public value of a peer, or ErrPublicValue where
// that has another length or is one of the points of low order, with which every secret is zero (RFC
// 8031 section 3.1).
func sharedX25519(scalar secret.Value, peer []byte) (secret.Value, error) {
	if scalar.Len() != x25519.Size || len(peer) != x25519.Size {
		return secret.Value{}, ErrPublicValue
	}
	shared := new(x25519.Key)
	if !x25519.Shared(shared, (*x25519.Key)(scalar.Reveal()), (*x25519.Key)(peer)) {
		return secret.Value{}, ErrPublicValue
	}
	return secret.New(shared[:]), nil
}
