package suite

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"

	"filippo.io/bigmod"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/internal/secret"
)

// modpGroup is a group of the integers modulo a prime p with (p-1)/2 prime and
// the generator 2 (RFC 2409, RFC 3526). Arithmetic takes the same time for all
// exponents and public values.
type modpGroup struct {
	prime       []byte
	exponentLen int // bytes: at least twice the strength in RFC 3526 section 8
}

// modpOf returns the group with transform ID group.
func modpOf(group uint16) (modpGroup, bool) {
	var prime string
	exponentLen := 32
	switch group {
	case sa.KEModp768:
		prime = primeModp768
	case sa.KEModp1024:
		prime = primeModp1024
	case sa.KEModp1536:
		prime = primeModp1536
	case sa.KEModp2048:
		prime = primeModp2048
	case sa.KEModp3072:
		prime, exponentLen = primeModp3072, 40
	case sa.KEModp4096:
		prime, exponentLen = primeModp4096, 48
	default:
		return modpGroup{}, false
	}
	b, err := hex.DecodeString(prime)
	if err != nil {
		panic("suite: internal error: " + err.Error())
	}
	return modpGroup{b, exponentLen}, true
}

// generate makes a private key of the group with transform ID id.
func (g modpGroup) generate(id uint16, rand io.Reader) (*privateKey, error) {
	x := make([]byte, g.exponentLen)
	if _, err := io.ReadFull(rand, x); err != nil {
		return nil, fmt.Errorf("suite: reading randomness: %w", err)
	}
	x[0] |= 0x80 // never 0 or small, and as long for everybody
	base := make([]byte, len(g.prime))
	base[len(base)-1] = 2
	return &privateKey{group: id, scalar: secret.New(x), public: g.exp(base, x)}, nil
}

// shared returns peer^x, for a peer's value y with 1 < y < p-1.
func (g modpGroup) shared(x secret.Value, peer []byte) (secret.Value, error) {
	if x.Len() == 0 || len(peer) != len(g.prime) || !g.contains(peer) {
		return secret.Value{}, ErrPublicValue
	}
	return secret.New(g.exp(peer, x.Reveal())), nil
}

// contains reports whether 1 < y < p-1. The peer's value is public; only the
// result decides what happens next.
func (g modpGroup) contains(y []byte) bool {
	one := make([]byte, len(y))
	one[len(one)-1] = 1
	minusOne := append([]byte(nil), g.prime...)
	minusOne[len(minusOne)-1] &^= 1
	return bytes.Compare(y, one) > 0 && bytes.Compare(y, minusOne) < 0
}

// exp returns base^x modulo p for base < p, in as many bytes as p has.
func (g modpGroup) exp(base, x []byte) []byte {
	m, err := bigmod.NewModulus(g.prime)
	if err != nil {
		panic("suite: internal error: " + err.Error())
	}
	b, err := bigmod.NewNat().SetBytes(base, m)
	if err != nil {
		panic("suite: internal error: " + err.Error())
	}
	return bigmod.NewNat().Exp(b, x, m).Bytes(m)
}
