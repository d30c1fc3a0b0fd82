package auth

import (
	"crypto/subtle"

	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/secret"
)

// keyPad is the text of RFC 7296 section 2.15, without a terminating zero.
const keyPad = "Key Pad for IKEv2"

// PSK proves and verifies with a pre-shared key. Each direction may have its
// own: the Prover holds ours, the Verifier the peer's.
type PSK struct{ Key secret.Value }

var (
	_ Prover   = PSK{}
	_ Verifier = PSK{}
)

// Prove implements Prover: prf(prf(key, "Key Pad for IKEv2"), octets). Without
// a key there is no proof.
func (p PSK) Prove(prf suite.PRF, octets []byte) (wire.Auth, error) {
	if p.Key.Len() == 0 {
		return wire.Auth{}, ErrFailed
	}
	return wire.Auth{Method: wire.AuthSharedKey, Data: p.sum(prf, octets)}, nil
}

// Method implements Verifier.
func (PSK) Method() wire.AuthMethod { return wire.AuthSharedKey }

// Verify implements Verifier. Without a key nothing is accepted; that, another
// method and a wrong proof take the same time as a right one.
func (p PSK) Verify(prf suite.PRF, octets []byte, proof wire.Auth) error {
	ok := subtle.ConstantTimeCompare(p.sum(prf, octets), proof.Data) == 1
	if !ok || p.Key.Len() == 0 || proof.Method != wire.AuthSharedKey {
		return ErrFailed
	}
	return nil
}

// sum returns the proof for octets.
func (p PSK) sum(prf suite.PRF, octets []byte) []byte {
	pad := prf.Sum(p.Key.Reveal(), []byte(keyPad))
	defer clear(pad)
	return prf.Sum(pad, octets)
}
