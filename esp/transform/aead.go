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

// aead is AES-GCM or ChaCha20-Poly1305. The IV is the 64-bit sequence number,
// so no nonce repeats while no sequence number does (RFC 4106 section 3.1). The
// scratch space is in the struct so that nothing escapes to the heap.
type aead struct {
	aead     cipher.AEAD
	extended bool
	nonce    [saltLen + aeadIVLen]byte
	aad      [12]byte
}

func newAEAD(s *sa.SA) (*Cipher, error) {
	if err := checkKeys(s); err != nil {
		return nil, err
	}
	key := s.EncryptionKey.Reveal()
	key, salt := key[:len(key)-saltLen], key[len(key)-saltLen:]
	m := &aead{extended: s.ESN}
	copy(m.nonce[:], salt)
	var err error
	if s.Encryption.ID == sa.EncrAESGCM16 {
		m.aead, err = aesgcm.New(key)
	} else {
		m.aead, err = chacha20poly1305.New(key)
	}
	if err != nil {
		return nil, fmt.Errorf("transform: making %v: %w", s.Encryption, err)
	}
	return &Cipher{mode: m, iv: aeadIVLen, block: 4, icv: aeadTag}, nil
}

func (m *aead) clone() mode {
	c := *m
	c.aead = aesgcm.Clone(m.aead)
	return &c
}

func (m *aead) clear() {
	aesgcm.Clear(m.aead)
	*m = aead{}
}

func (m *aead) seal(packet []byte, seq uint64) {
	binary.BigEndian.PutUint64(packet[HeaderLen:], seq)
	copy(m.nonce[saltLen:], packet[HeaderLen:HeaderLen+aeadIVLen])
	body := packet[HeaderLen+aeadIVLen : len(packet)-aeadTag]
	m.aead.Seal(body[:0], m.nonce[:], body, m.associated(packet, seq))
}

func (m *aead) open(packet []byte, seq uint64) bool {
	copy(m.nonce[saltLen:], packet[HeaderLen:HeaderLen+aeadIVLen])
	body := packet[HeaderLen+aeadIVLen:]
	_, err := m.aead.Open(body[:0], m.nonce[:], body, m.associated(packet, seq))
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
