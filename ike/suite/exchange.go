package suite

import (
	"crypto/ecdh"
	"fmt"
	"io"

	"github.com/cloudflare/circl/dh/x25519"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/internal/secret"
)

// curve is a key exchange over an elliptic curve modulo a prime (ECP), with sizes
// in bytes. Public values are X and Y without the leading 4 of SEC 1, secrets X
// alone (RFC 5903 sections 7 and 9).
type curve struct {
	curve     ecdh.Curve
	scalarLen int
	topMask   byte // for the first byte of a scalar
	publicLen int
}

// curveOf returns the curve with transform ID group.
func curveOf(group uint16) (curve, bool) {
	switch group {
	case sa.KEECP256:
		return curve{ecdh.P256(), 32, 0xff, 64}, true
	case sa.KEECP384:
		return curve{ecdh.P384(), 48, 0xff, 96}, true
	case sa.KEECP521:
		return curve{ecdh.P521(), 66, 0x01, 132}, true
	}
	return curve{}, false
}

// A key exchange has the shape of a key encapsulation (KEM): the initiator begins
// and sends its public value, the responder answers that value with its own, the
// initiator finishes with the answer, and both have the secret. A Diffie-Hellman
// group is one where the answer does not depend on what is answered.

// Initiation is the initiator's part of one key exchange, from Begin on. It is
// used once.
type Initiation struct{ privateKey }

// Response is the responder's part of one key exchange. It is used once.
type Response struct {
	privateKey
	peer []byte
}

// Begin begins a key exchange of group with the bytes of rand alone.
func Begin(group uint16, rand io.Reader) (*Initiation, error) {
	key, err := generate(group, rand)
	if err != nil {
		return nil, err
	}
	return &Initiation{*key}, nil
}

// Finish returns the secret, or ErrPublicValue where the answer of the peer has a
// wrong length, is not in the group, or makes the result predictable. Then another
// answer may still be the right one.
func (i *Initiation) Finish(answer []byte) (secret.Value, error) { return i.shared(answer) }

// Respond answers the public value of an initiator with the bytes of rand alone,
// or returns ErrPublicValue where that has a wrong length.
func Respond(group uint16, rand io.Reader, public []byte) (*Response, error) {
	if n, ok := PublicLen(group); ok && n != len(public) {
		return nil, ErrPublicValue
	}
	key, err := generate(group, rand)
	if err != nil {
		return nil, err
	}
	return &Response{*key, public}, nil
}

// Secret returns the secret. What costs is done here where the group allows it, so
// that a stranger who does not go on costs less. Like Finish it may return
// ErrPublicValue.
func (r *Response) Secret() (secret.Value, error) { return r.shared(r.peer) }

// privateKey is our half of a Diffie-Hellman key exchange.
type privateKey struct {
	group  uint16
	ec     *ecdh.PrivateKey // of a curve
	scalar secret.Value     // of Curve25519, or the exponent of a MODP group
	public []byte
}

// PublicLen returns the size of the public values of a group, and false where
// the group is not supported.
func PublicLen(group uint16) (int, bool) {
	if group == sa.KEX25519 {
		return x25519.Size, true
	}
	if c, ok := curveOf(group); ok {
		return c.publicLen, true
	}
	if g, ok := modpOf(group); ok {
		return len(g.prime), true
	}
	return 0, false
}

// scalarTries bounds how often a scalar outside the order of its curve is drawn
// again; one try in 2^32 or fewer is.
const scalarTries = 8

// generate makes a private key for group from the bytes of rand alone.
func generate(group uint16, rand io.Reader) (*privateKey, error) {
	if group == sa.KEX25519 {
		return generateX25519(rand)
	}
	if g, ok := modpOf(group); ok {
		return g.generate(group, rand)
	}
	c, ok := curveOf(group)
	if !ok {
		return nil, fmt.Errorf("suite: no key exchange %d", group)
	}
	scalar := make([]byte, c.scalarLen)
	defer clear(scalar)
	var err error
	for range scalarTries {
		if _, err = io.ReadFull(rand, scalar); err != nil {
			return nil, fmt.Errorf("suite: reading randomness: %w", err)
		}
		scalar[0] &= c.topMask
		var key *ecdh.PrivateKey
		if key, err = c.curve.NewPrivateKey(scalar); err == nil {
			return newCurveKey(group, key), nil
		}
	}
	return nil, fmt.Errorf("suite: private key for group %d: %w", group, err)
}

// newCurveKey wraps a key of a curve.
func newCurveKey(group uint16, key *ecdh.PrivateKey) *privateKey {
	return &privateKey{group: group, ec: key, public: key.PublicKey().Bytes()[1:]}
}

// Group returns the transform ID of the key exchange.
func (k *privateKey) Group() uint16 { return k.group }

// Public returns our public value, or answer, as a KE payload carries it.
func (k *privateKey) Public() []byte { return k.public }

// shared returns g^ir, or ErrPublicValue where the peer's public value has a
// wrong length, is not in the group, or makes the result predictable.
func (k *privateKey) shared(peer []byte) (secret.Value, error) {
	if k.group == sa.KEX25519 {
		return sharedX25519(k.scalar, peer)
	}
	if g, ok := modpOf(k.group); ok {
		return g.shared(k.scalar, peer)
	}
	c, ok := curveOf(k.group)
	if !ok || k.ec == nil || len(peer) != c.publicLen {
		return secret.Value{}, ErrPublicValue
	}
	public, err := c.curve.NewPublicKey(append([]byte{4}, peer...))
	if err != nil {
		return secret.Value{}, ErrPublicValue
	}
	shared, err := k.ec.ECDH(public)
	if err != nil {
		return secret.Value{}, ErrPublicValue
	}
	return secret.New(shared), nil
}

// Clear forgets the private key. Of a curve the bytes inside crypto/ecdh are left to
// the garbage collector: the standard library gives no way to overwrite them.
func (k *privateKey) Clear() {
	k.ec = nil
	k.scalar.Clear()
}
