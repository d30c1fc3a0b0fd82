// Package suite is the cryptography of IKE SAs: choice of proposals, key
// exchange, key derivation and the protection of SK payloads (RFC 7296 sections
// 2.13 to 2.18, 3.3 and 3.14; RFC 5282, RFC 5903, RFC 7634, RFC 8031). It knows
// algorithms, not exchanges. It does no I/O: randomness is an argument.
package suite

import (
	"errors"
	"fmt"

	"github.com/warrenvpn/warren/esp/sa"
)

// The errors that a caller tells apart.
var (
	// ErrIntegrity is a message whose checksum is wrong: forged, damaged, or
	// meant for another key. It must change nothing.
	ErrIntegrity = errors.New("suite: wrong integrity checksum")
	// ErrPublicValue is a peer's public value that is not one of its group, or
	// that would make the shared secret predictable (RFC 6989, RFC 8031
	// section 2). The exchange fails with INVALID_SYNTAX.
	ErrPublicValue = errors.New("suite: invalid public value")
)

// Suite is the negotiated set of algorithms of one IKE SA. It is immutable and
// holds no keys.
type Suite struct {
	proposal sa.Proposal
	prf      PRF
	enc      encryption
	integ    integrity // zero for an AEAD
}

// New returns the Suite of a chosen proposal: one transform each of encryption,
// PRF and key exchange, and integrity unless the encryption is an AEAD.
func New(p sa.Proposal) (*Suite, error) {
	s := &Suite{proposal: p}
	var ok bool
	if s.prf, ok = NewPRF(p.One(sa.PRF).ID); !ok {
		return nil, fmt.Errorf("suite: no PRF in %v", p)
	}
	if s.enc, ok = encryptionOf(p.One(sa.Encryption)); !ok {
		return nil, fmt.Errorf("suite: no encryption in %v", p)
	}
	if _, ok = PublicLen(p.One(sa.KeyExchange).ID); !ok {
		return nil, fmt.Errorf("suite: no key exchange in %v", p)
	}
	if s.enc.aead {
		return s, nil
	}
	if s.integ, ok = integrityOf(p.One(sa.Integrity)); !ok {
		return nil, fmt.Errorf("suite: no integrity in %v", p)
	}
	return s, nil
}

// Proposal returns what New was called with.
func (s *Suite) Proposal() sa.Proposal { return s.proposal }

// PRF returns the pseudorandom function.
func (s *Suite) PRF() PRF { return s.prf }

// Group returns the key exchange.
func (s *Suite) Group() uint16 { return s.proposal.One(sa.KeyExchange).ID }

// AEAD reports whether SK payloads are protected by an AEAD: then the
// initialisation vectors are the counter that Cipher.Seal is given.
func (s *Suite) AEAD() bool { return s.enc.aead }
