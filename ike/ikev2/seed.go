package ikev2

import (
	"crypto/hkdf"
	"crypto/sha256"
	"io"

	"github.com/warrenvpn/warren/internal/secret"
)

// seedSize is the size of the secret from which an exchange is made.
const seedSize = 32

const (
	// seededFirst is what nonce and private key of most groups take.
	seededFirst = 64
	// seededMost bounds what is made of one seed: half of what HKDF-SHA256 can, and more
	// than any group takes.
	seededMost = 4096
)

// seedReader is the random bytes that a seed stands for: the output of HKDF-Expand (RFC
// 5869 section 2.3), as much of it as is read. A longer output begins with the shorter
// one.
type seedReader struct {
	seed secret.Value
	made []byte
	read int
}

// seeded returns the random bytes of an exchange that we begin. Keeping the
// seed instead of nonce and private key makes the exchange durable: a successor
// that finds it in the journal understands the response. The bytes must be read while
// the seed has its own.
func seeded(seed secret.Value) io.Reader { return &seedReader{seed: seed} }

// Read implements io.Reader. It returns io.EOF where seededMost bytes were read.
func (r *seedReader) Read(p []byte) (int, error) {
	want := min(r.read+len(p), seededMost)
	if want > len(r.made) {
		r.expand(max(want, 2*len(r.made), seededFirst))
	}
	n := copy(p, r.made[r.read:])
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	r.read += n
	return n, nil
}

// expand makes the first bytes, size of them, or as many as there are.
func (r *seedReader) expand(size int) {
	if r.seed.Len() == 0 {
		panic("ikev2: internal error: an exchange without its seed")
	}
	made, err := hkdf.Expand(sha256.New, r.seed.Reveal(), "warren ikev2 exchange", min(size, seededMost))
	if err != nil {
		panic("ikev2: internal error: " + err.Error())
	}
	clear(r.made)
	r.made = made
}
