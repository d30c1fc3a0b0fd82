// Package transform turns packets into ESP payloads and back: encryption and
// integrity in place, for AES-GCM (RFC 4106), ChaCha20-Poly1305 (RFC 7634), and
// CBC ciphers (RFC 3602, RFC 2451, RFC 2405) with HMAC (RFC 4868, RFC 2404, RFC
// 2403), with and without extended sequence numbers. It is pure: it knows
// neither SAs nor headers around ESP.
package transform

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/warrenvpn/warren/esp/sa"
)

// HeaderLen is the length of the ESP header: SPI and sequence number.
const HeaderLen = 8

// TrailerLen is the length of the pad length and next header fields.
const TrailerLen = 2

var (
	// ErrIntegrity is returned by Open for a packet that is not authentic.
	ErrIntegrity = errors.New("transform: integrity check failed")
	// ErrShort is returned by Open for what cannot be a packet.
	ErrShort = errors.New("transform: packet has an impossible length")
)

// Cipher protects the packets of one SA. It is not safe for concurrent use.
type Cipher struct {
	mode           mode
	iv, block, icv uint8 // in bytes
}

// mode is one way to protect a packet: SPI, sequence number, IV, body, ICV.
// Both work in place.
type mode interface {
	seal(packet []byte, seq uint64)
	open(packet []byte, seq uint64) bool
	clone() mode
	clear()
}

// New returns the Cipher for the algorithms and keys of s, which it copies.
// rnd is read for what must not be guessed, nil means crypto/rand.
func New(s *sa.SA, rnd io.Reader) (*Cipher, error) {
	if rnd == nil {
		rnd = rand.Reader
	}
	k, ok := s.Encryption.Lookup()
	if !ok || s.Encryption.Type != sa.Encryption {
		return nil, fmt.Errorf("transform: unknown encryption %v", s.Encryption)
	}
	if k.AEAD {
		return newAEAD(s)
	}
	return newCBC(s, rnd)
}

// Clone returns a Cipher with the same keys that may be used beside c. Both must
// not seal with the same seq, as ever.
func (c *Cipher) Clone() *Cipher {
	other := *c
	other.mode = c.mode.clone()
	return &other
}

// Clear forgets the keys of c, which is not used any more. AES-GCM on vectors
// overwrites them; what belongs to the standard library, or to x/crypto, has no
// way to do that and is left to the garbage collector. Clones have keys of their
// own.
func (c *Cipher) Clear() { c.mode.clear() }

// IVLen returns the length of the IV that follows the ESP header.
func (c *Cipher) IVLen() int { return int(c.iv) }

// ICVLen returns the length of the integrity check value at the end.
func (c *Cipher) ICVLen() int { return int(c.icv) }

// Block returns the length that IV and body are padded to a multiple of, 4 at
// least (RFC 4303 section 2.4).
func (c *Cipher) Block() int { return int(c.block) }

// PacketLen returns the length of the ESP packet that carries n inner bytes.
func (c *Cipher) PacketLen(n int) int {
	block := c.Block()
	body := (n + TrailerLen + block - 1) / block * block
	return HeaderLen + c.IVLen() + body + c.ICVLen()
}

// MaxInner returns the largest number of inner bytes in an ESP packet of at
// most n bytes; it is negative where there is no room at all.
func (c *Cipher) MaxInner(n int) int {
	body, block := n-HeaderLen-c.IVLen()-c.ICVLen(), c.Block()
	return body/block*block - TrailerLen
}

// Seal completes an ESP packet whose header and padded body are in place: it
// writes the IV, encrypts, and writes the ICV into the last ICVLen bytes. No
// seq may ever be used twice with the same key.
func (c *Cipher) Seal(packet []byte, seq uint64) { c.mode.seal(packet, seq) }

// Open authenticates and decrypts an ESP packet in place and returns its body,
// from after the IV to the next header field. A packet for which it returns an
// error may be overwritten: it can only be dropped.
func (c *Cipher) Open(packet []byte, seq uint64) ([]byte, error) {
	body := len(packet) - HeaderLen - c.IVLen() - c.ICVLen()
	if body < TrailerLen || body%c.Block() != 0 {
		return nil, ErrShort
	}
	if !c.mode.open(packet, seq) {
		return nil, ErrIntegrity
	}
	return packet[HeaderLen+c.IVLen() : len(packet)-c.ICVLen()], nil
}

// KeyLens returns the lengths in bytes of the keys that encryption and
// integrity need, salts included. It is the key material that IKE derives.
func KeyLens(encryption, integrity sa.Transform) (enc, integ int, err error) {
	switch encryption.ID {
	case sa.EncrAESGCM16:
		return int(encryption.KeyBits)/8 + saltLen, 0, nil
	case sa.EncrChaCha20Poly1305:
		return 32 + saltLen, 0, nil
	case sa.EncrAESCBC:
		enc = int(encryption.KeyBits) / 8
	case sa.Encr3DES:
		enc = 24
	case sa.EncrDES:
		enc = 8
	default:
		return 0, 0, fmt.Errorf("transform: unknown encryption %v", encryption)
	}
	h, ok := hashes[integrity.ID]
	if !ok || integrity.Type != sa.Integrity {
		return 0, 0, fmt.Errorf("transform: encryption %v with unknown integrity %v", encryption, integrity)
	}
	return enc, h.key, nil
}

// checkKeys reports keys of the wrong length.
func checkKeys(s *sa.SA) error {
	enc, integ, err := KeyLens(s.Encryption, s.Integrity)
	if err != nil {
		return err
	}
	if s.EncryptionKey.Len() != enc || s.IntegrityKey.Len() != integ {
		return fmt.Errorf("transform: keys for %v and %v are %d and %d bytes long, not %d and %d",
			s.Encryption, s.Integrity, s.EncryptionKey.Len(), s.IntegrityKey.Len(), enc, integ)
	}
	return nil
}

// putSeqHigh writes the upper half of an extended sequence number.
func putSeqHigh(b []byte, seq uint64) { binary.BigEndian.PutUint32(b, uint32(seq>>32)) }
