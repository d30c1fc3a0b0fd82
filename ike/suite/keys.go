package suite

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/internal/secret"
)

// Keys are the seven keys of an IKE SA (RFC 7296 section 2.14): i is what the
// original initiator uses, r the responder. Ai and Ar are empty with an AEAD,
// whose Ei and Er end with the salt. Pi and Pr are for the handshake alone, and in
// memory of their own: see Proven.
type Keys struct{ D, Ai, Ar, Ei, Er, Pi, Pr secret.Value }

// Clear overwrites all keys.
func (k *Keys) Clear() {
	for _, v := range []secret.Value{k.D, k.Ai, k.Ar, k.Ei, k.Er, k.Pi, k.Pr} {
		v.Clear()
	}
}

// Proven takes Pi and Pr out, which have done their work once both ends have proven who
// they are.
func (k *Keys) Proven() (pi, pr secret.Value) {
	pi, pr = k.Pi, k.Pr
	k.Pi, k.Pr = secret.Value{}, secret.Value{}
	return pi, pr
}

// Exchange is what both sides of an exchange contribute to its keys. Shared is
// the result of the key exchange; empty where there was none. SPIi and SPIr are
// those of the IKE SA and matter to DeriveKeys only.
type Exchange struct {
	Shared     secret.Value
	Ni, Nr     []byte
	SPIi, SPIr uint64
}

// DeriveKeys returns the keys of a new IKE SA: SKEYSEED = prf(Ni | Nr, g^ir),
// then prf+ (RFC 7296 section 2.14).
func (s *Suite) DeriveKeys(x *Exchange) Keys {
	nonces := append(append(make([]byte, 0, len(x.Ni)+len(x.Nr)), x.Ni...), x.Nr...)
	return s.expand(s.prf.Sum(nonces, x.Shared.Reveal()), x)
}

// RekeyKeys returns the keys of the IKE SA of suite s that replaces one with
// the PRF old and the key d: SKEYSEED = prf(SK_d (old), g^ir (new) | Ni | Nr)
// with the old PRF, then prf+ with the new one (RFC 7296 section 2.18). The SPIs
// of x are the new ones.
func (s *Suite) RekeyKeys(old PRF, d secret.Value, x *Exchange) Keys {
	return s.expand(old.Sum(d.Reveal(), x.Shared.Reveal(), x.Ni, x.Nr), x)
}

// expand turns SKEYSEED into the keys and overwrites it.
func (s *Suite) expand(skeyseed []byte, x *Exchange) Keys {
	spis := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, x.SPIi), x.SPIr)
	prf, integ, enc := s.prf.size, s.integ.keyLen, s.enc.keyLen+s.enc.saltLen
	all := s.prf.Expand(skeyseed, 3*prf+2*integ+2*enc, x.Ni, x.Nr, spis)
	clear(skeyseed)
	var k Keys
	last := len(all) - 2*prf
	b := bytes.Clone(all[:last])
	k.D, b = take(b, prf)
	k.Ai, b = take(b, integ)
	k.Ar, b = take(b, integ)
	k.Ei, b = take(b, enc)
	k.Er, _ = take(b, enc)
	b = bytes.Clone(all[last:])
	k.Pi, b = take(b, prf)
	k.Pr, _ = take(b, prf)
	clear(all)
	return k
}

// take cuts n bytes off b.
func take(b []byte, n int) (secret.Value, []byte) {
	if n == 0 {
		return secret.Value{}, b
	}
	return secret.New(b[:n:n]), b[n:]
}

// ChildKeys are the keys of one direction of a child SA, in the form of sa.SA.
type ChildKeys struct{ Encryption, Integrity secret.Value }

// DeriveChild returns the keys of a child SA for the chosen proposal p: toR
// protects what the initiator of the exchange sends, toI what the responder
// sends. KEYMAT = prf+(SK_d, g^ir (new) | Ni | Nr) (RFC 7296 section 2.17).
func (s *Suite) DeriveChild(d secret.Value, x *Exchange, p sa.Proposal) (toR, toI ChildKeys, err error) {
	enc, ok := encryptionOf(p.One(sa.Encryption))
	var integ integrity
	if ok && !enc.aead {
		integ, ok = integrityOf(p.One(sa.Integrity))
	}
	if !ok {
		return toR, toI, fmt.Errorf("suite: no keys for child proposal %v", p)
	}
	n := enc.keyLen + enc.saltLen
	all := s.prf.Expand(d.Reveal(), 2*(n+integ.keyLen), x.Shared.Reveal(), x.Ni, x.Nr)
	b := bytes.Clone(all) // which has room for no more
	clear(all)
	toR.Encryption, b = take(b, n)
	toR.Integrity, b = take(b, integ.keyLen)
	toI.Encryption, b = take(b, n)
	toI.Integrity, _ = take(b, integ.keyLen)
	return toR, toI, nil
}
