package transform

import (
	"crypto/cipher"
	"encoding/binary"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/warrenvpn/warren/esp/aesgcm"
	"github.com/warrenvpn/warren/esp/sa"
)

const (
	saltLen   = 4  // RFC 4106 section 4, RFC 7634 section 2
	aeadIVLen = 8  // RFC 4106 section 3.1, RFC 7634 section 2
	aeadTag   = 16 // the only length that Warren proposes
)

// maxAEADKey is the length of the longest key, without its salt.
const maxAEADKey = 32

// aead is AES-GCM or ChaCha20-Poly1305. The IV is the 64-bit sequence number,
// so no nonce repeats while no sequence number does (RFC 4106 section 3.1). The
// scratch space is in the struct so that nothing escapes to the heap.
//
// What the first packet needs is made for it: most of the children of a gateway
// carry little, many nothing in one direction, and the expanded keys and powers of
// AES-GCM are most of what a child takes.
type aead struct {
	aead     cipher.AEAD // nil: there was no packet yet
	extended bool
	chacha   bool
	keyLen   uint8            // of key
	key      [maxAEADKey]byte // until there is aead
	nonce    [saltLen + aeadIVLen]byte
	aad      [12]byte
}

func newAEAD(s *sa.SA) (*Cipher, error) {
	if err := checkKeys(s); err != nil {
		return nil, err
	}
	key := s.EncryptionKey.Reveal()
	key, salt := key[:len(key)-saltLen], key[len(key)-saltLen:]
	m := &aead{extended: s.ESN, chacha: s.Encryption.ID == sa.EncrChaCha20Poly1305, keyLen: uint8(len(key))}
	if copy(m.key[:], key); len(key) != 16 && len(key) != 24 && len(key) != maxAEADKey {
		return nil, fmt.Errorf("transform: making %v: a key of %d bytes", s.Encryption, len(key))
	}
	copy(m.nonce[:], salt)
	return &Cipher{mode: m, iv: aeadIVLen, block: 4, icv: aeadTag}, nil
}

// ready returns the algorithm with its keys expanded.
func (m *aead) ready() cipher.AEAD {
	if m.aead == nil {
		m.expand()
	}
	return m.aead
}

// expand makes what packets need out of the key.
func (m *aead) expand() {
	create := aesgcm.New
	if m.chacha {
		create = chacha20poly1305.New
	}
	var err error
	if m.aead, err = create(m.key[:m.keyLen]); err != nil {
		panic("transform: internal error: a key of the right length is refused: " + err.Error())
	}
	clear(m.key[:])
}

func (m *aead) clone() mode {
	c := *m
	if m.aead != nil {
		c.aead = aesgcm.Clone(m.aead)
	}
	return &c
}

func (m *aead) clear() {
	if m.aead != nil {
		aesgcm.Clear(m.aead)
	}
	*m = aead{}
}

func (m *aead) seal(packet []byte, seq uint64) {
	binary.BigEndian.PutUint64(packet[HeaderLen:], seq)
	copy(m.nonce[saltLen:], packet[HeaderLen:HeaderLen+aeadIVLen])
	body := packet[HeaderLen+aeadIVLen : len(packet)-aeadTag]
	m.ready().Seal(body[:0], m.nonce[:], body, m.associated(packet, seq))
}

func (m *aead) open(packet []byte, seq uint64) bool {
	copy(m.nonce[saltLen:], packet[HeaderLen:HeaderLen+aeadIVLen])
	body := packet[HeaderLen+aeadIVLen:]
	_, err := m.ready().Open(body[:0], m.nonce[:], body, m.associated(packet, seq))
	return err == nil
}

// associated returns the SPI and the sequence number, in full where it is
// extended (RFC 4106 section 5).
func (m *aead) associated(packet []byte, seq uint64) []byte {
	if !m.extended {
		return packet[:HeaderLen]
	}
	copy(m.aad[:4], packet[:4])
	binary.BigEndian.PutUint64(m.aad[4:], seq)
	return m.aad[:]
}
