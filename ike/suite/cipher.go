package suite

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/secret"
)

// Cipher protects the SK payloads of one direction of an IKE SA. It is not safe for
// concurrent use.
//
// What it needs beside its keys, most of a kilobyte, is made when it is used, and stays
// until Rest: most IKE SAs of a gateway have nothing to say most of the time.
//
// With an AEAD the initialisation vector is a counter that the engine passes
// in and keeps in its journal. A nonce is never used twice under one key
// because each direction has keys of its own, because the engine passes
// increasing values for the whole life of the SA, on whatever node, and because
// a Cipher refuses to go back. With CBC the initialisation vector is random and
// the counter is not used.
type Cipher struct {
	suite                 *Suite
	encryption, integrity secret.Value
	schedule              *schedule // nil: at rest
	next                  uint64    // the lowest counter that Seal still accepts
	spent                 bool      // the highest counter is used: no other is left
}

// schedule is what is made of the keys of a Cipher.
type schedule struct {
	aead  cipher.AEAD
	salt  [4]byte
	block cipher.Block
	mac   hash.Hash
	icv   int // bytes of the checksum
}

// skHeaderLen is the size of a message before the initialisation vector, and
// fragmentHeaderLen what a fragment has there beside the header of the message.
const (
	skHeaderLen       = wire.HeaderLen + 4
	fragmentHeaderLen = 4 + 4
)

// errKeyLength is also what comes of keys that were cleared.
var errKeyLength = errors.New("suite: keys of a wrong length")

// NewCipher returns the Cipher for Ei and Ai, or Er and Ar, of the Keys of s. The
// Cipher shares the keys: once they are cleared and it was at rest, it does nothing.
func (s *Suite) NewCipher(encryption, integrity secret.Value) (*Cipher, error) {
	c := &Cipher{suite: s, encryption: encryption, integrity: integrity}
	if !c.keyed() {
		return nil, errKeyLength
	}
	return c, nil
}

// keyed reports whether the keys have the lengths that the suite wants.
func (c *Cipher) keyed() bool {
	s := c.suite
	return c.encryption.Len() == s.enc.keyLen+s.enc.saltLen && c.integrity.Len() == s.integ.keyLen
}

// Rest lets go of all but the keys and the counter.
func (c *Cipher) Rest() { c.schedule = nil }

// prepare returns the schedule, and makes it where there is none.
func (c *Cipher) prepare() (*schedule, error) {
	if c.schedule != nil {
		return c.schedule, nil
	}
	s := c.suite
	if !c.keyed() {
		return nil, errKeyLength
	}
	key := c.encryption.Reveal()[:s.enc.keyLen]
	made := &schedule{icv: s.icvLen()}
	var err error
	if s.enc.aead {
		copy(made.salt[:], c.encryption.Reveal()[s.enc.keyLen:])
		made.aead, err = newAEAD(s.enc, key)
	} else {
		made.mac = hmac.New(s.integ.hash, c.integrity.Reveal())
		made.block, err = newBlock(s.enc, key)
	}
	if err != nil {
		return nil, fmt.Errorf("suite: setting up %v: %w", s.proposal, err)
	}
	c.schedule = made
	return made, nil
}

// icvLen returns the size of the checksum of a message.
func (s *Suite) icvLen() int {
	if s.enc.aead {
		return aeadTagLen
	}
	return s.integ.icvLen
}

// newAEAD returns the AEAD of e.
func newAEAD(e encryption, key []byte) (cipher.AEAD, error) {
	if e.id == sa.EncrChaCha20Poly1305 {
		return chacha20poly1305.New(key)
	}
	b, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(b)
}

// newBlock returns the block cipher of e.
func newBlock(e encryption, key []byte) (cipher.Block, error) {
	switch e.id {
	case sa.Encr3DES:
		return des.NewTripleDESCipher(key)
	case sa.EncrDES:
		return des.NewCipher(key)
	}
	return aes.NewCipher(key)
}

// Seal appends the message of h with ps in an SK payload. Length and
// NextPayload of h are computed. counter is the initialisation vector of an
// AEAD: each value at most once and in increasing order. rand is read for that
// of CBC.
func (c *Cipher) Seal(dst []byte, h wire.Header, counter uint64, rand io.Reader, ps ...wire.Payload) ([]byte, error) {
	h.NextPayload = wire.TypeSK
	b := append(h.Append(dst), byte(wire.FirstType(ps)), 0, 0, 0)
	return c.protect(b, len(dst), counter, rand, func(b []byte) []byte { return wire.AppendPayloads(b, ps...) })
}

// SealFragment is Seal for one fragment of a message (RFC 7383 section 2.5): text is
// the part number f.Number of f.Total of what its SK payload would hold.
func (c *Cipher) SealFragment(dst []byte, h wire.Header, f wire.SKF, counter uint64, rand io.Reader,
	text []byte) ([]byte, error) {
	h.NextPayload = wire.TypeSKF
	b := append(h.Append(dst), byte(f.First), 0, 0, 0)
	b = wire.SKF{Number: f.Number, Total: f.Total}.AppendBody(b)
	return c.protect(b, len(dst), counter, rand, func(b []byte) []byte { return append(b, text...) })
}

// FragmentRoom returns how many bytes of text SealFragment brings into a message of
// size bytes; 0 or less: none.
func (c *Cipher) FragmentRoom(size int) int {
	enc := c.suite.enc
	n := size - wire.HeaderLen - fragmentHeaderLen - enc.ivLen - c.suite.icvLen()
	return n - n%enc.blockLen - 1 // the length of the padding
}

// protect encrypts and authenticates the message that begins at start and ends with
// what stands before the initialisation vector; text appends its plaintext.
func (c *Cipher) protect(b []byte, start int, counter uint64, rand io.Reader,
	text func([]byte) []byte) ([]byte, error) {
	dst := b[:start]
	k, err := c.prepare()
	if err != nil {
		return dst, err
	}
	enc, body := c.suite.enc, len(b)
	if b, err = c.appendIV(b, counter, rand); err != nil {
		return dst, err
	}
	inside := len(b)
	b = text(b)
	padding := (enc.blockLen - (len(b)-inside+1)%enc.blockLen) % enc.blockLen
	b = append(append(b, make([]byte, padding)...), byte(padding))
	total := len(b) - start + k.icv
	if total > wire.MaxMessage {
		return dst, errors.New("suite: message too long")
	}
	binary.BigEndian.PutUint32(b[start+24:], uint32(total))
	binary.BigEndian.PutUint16(b[start+skHeaderLen-2:], uint16(total-wire.HeaderLen))
	if k.aead != nil {
		return k.aead.Seal(b[:inside], k.nonce(b[body:inside]), b[inside:], b[start:body]), nil
	}
	cipher.NewCBCEncrypter(k.block, b[body:inside]).CryptBlocks(b[inside:], b[inside:])
	k.mac.Reset()
	k.mac.Write(b[start:])
	return k.mac.Sum(b)[:len(b)+k.icv], nil
}

// appendIV appends the initialisation vector.
func (c *Cipher) appendIV(b []byte, counter uint64, rand io.Reader) ([]byte, error) {
	if c.suite.enc.aead {
		if counter < c.next || c.spent {
			return b, errors.New("suite: initialisation vector used before")
		}
		c.next, c.spent = counter+1, counter+1 == 0
		return binary.BigEndian.AppendUint64(b, counter), nil
	}
	var iv [aes.BlockSize]byte
	if _, err := io.ReadFull(rand, iv[:c.suite.enc.ivLen]); err != nil {
		return b, fmt.Errorf("suite: reading randomness: %w", err)
	}
	return append(b, iv[:c.suite.enc.ivLen]...), nil
}

// nonce returns the nonce for an explicit initialisation vector.
func (k *schedule) nonce(iv []byte) []byte {
	return append(append(make([]byte, 0, 12), k.salt[:]...), iv...)
}

// Open verifies the message msg, whose SK or SKF payload has the given Offset,
// and appends its plaintext to dst, ready for wire.ParsePayloads. msg is not
// changed. A wrong checksum is ErrIntegrity, whatever else is wrong.
func (c *Cipher) Open(dst, msg []byte, offset int) ([]byte, error) {
	k, err := c.prepare()
	if err != nil {
		return dst, ErrIntegrity
	}
	enc := c.suite.enc
	if offset > len(msg) || len(msg)-offset < enc.ivLen+enc.blockLen+k.icv {
		return dst, ErrIntegrity
	}
	iv, text := msg[offset:offset+enc.ivLen], msg[offset+enc.ivLen:]
	start := len(dst)
	if k.aead != nil {
		b, err := k.aead.Open(dst, k.nonce(iv), text, msg[:offset])
		if err != nil {
			return dst, ErrIntegrity
		}
		return unpad(b, start)
	}
	text, icv := text[:len(text)-k.icv], text[len(text)-k.icv:]
	k.mac.Reset()
	k.mac.Write(msg[:len(msg)-k.icv])
	var sum [64]byte
	if !hmac.Equal(k.mac.Sum(sum[:0])[:k.icv], icv) || len(text)%enc.blockLen != 0 {
		return dst, ErrIntegrity
	}
	dst = append(dst, text...)
	cipher.NewCBCDecrypter(k.block, iv).CryptBlocks(dst[start:], dst[start:])
	return unpad(dst, start)
}

// unpad cuts the padding off the plaintext that begins at start. The padding's
// bytes may be anything (RFC 7296 section 3.14).
func unpad(b []byte, start int) ([]byte, error) {
	n := int(b[len(b)-1]) + 1
	if n > len(b)-start {
		return b[:start], &wire.Error{Notify: wire.InvalidSyntax, Payload: wire.TypeSK,
			Text: "padding longer than the payload"}
	}
	return b[:len(b)-n], nil
}
