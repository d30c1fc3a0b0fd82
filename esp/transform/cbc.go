package transform

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"hash"
	"io"

	"github.com/warrenvpn/warren/esp/sa"
)

// hashes are the HMACs: their key length and the length that they are cut to.
var hashes = map[uint16]struct {
	new      func() hash.Hash
	key, icv int
}{
	sa.IntegSHA256128: {sha256.New, 32, 16},
	sa.IntegSHA384192: {sha512.New384, 48, 24},
	sa.IntegSHA512256: {sha512.New, 64, 32},
	sa.IntegSHA1_96:   {sha1.New, 20, 12},
	sa.IntegMD5_96:    {md5.New, 16, 12},
}

// settable is what the CBC modes of the standard library are: one object per
// SA, given a new IV for every packet, where a new object would be garbage.
type settable interface {
	cipher.BlockMode
	SetIV([]byte)
}

// cbc is a block cipher in CBC mode with an HMAC over the ciphertext. Its IVs
// cannot be predicted (RFC 3602 section 3): they are sequence numbers encrypted
// under a key that is made for this and known to nobody.
type cbc struct {
	enc, dec settable
	block    cipher.Block
	iv       int
	ivs      cipher.Block
	mac      hash.Hash
	icv      int
	extended bool
	scratch  [aes.BlockSize]byte
	sum      [sha512.Size]byte
}

func newCBC(s *sa.SA, rnd io.Reader) (*Cipher, error) {
	if err := checkKeys(s); err != nil {
		return nil, err
	}
	var (
		block cipher.Block
		err   error
	)
	switch s.Encryption.ID {
	case sa.EncrAESCBC:
		block, err = aes.NewCipher(s.EncryptionKey.Reveal())
	case sa.Encr3DES:
		block, err = des.NewTripleDESCipher(s.EncryptionKey.Reveal())
	default:
		block, err = des.NewCipher(s.EncryptionKey.Reveal())
	}
	if err != nil {
		return nil, fmt.Errorf("transform: making %v: %w", s.Encryption, err)
	}
	var ivKey [aes.BlockSize]byte
	if _, err := io.ReadFull(rnd, ivKey[:]); err != nil {
		return nil, fmt.Errorf("transform: reading randomness: %w", err)
	}
	m := &cbc{block: block, iv: block.BlockSize(), extended: s.ESN}
	if m.ivs, err = aes.NewCipher(ivKey[:]); err != nil {
		return nil, fmt.Errorf("transform: making IVs: %w", err)
	}
	if !m.setBlock() {
		return nil, fmt.Errorf("transform: the IV of %v cannot be set", s.Encryption)
	}
	h := hashes[s.Integrity.ID]
	m.icv = h.icv
	m.mac = hmac.New(h.new, s.IntegrityKey.Reveal())
	if _, ok := m.mac.(hash.Cloner); !ok {
		return nil, fmt.Errorf("transform: %v cannot be cloned", s.Integrity)
	}
	return &Cipher{mode: m, iv: uint8(m.iv), block: uint8(m.iv), icv: uint8(m.icv)}, nil
}

// setBlock makes the modes around the block cipher.
func (m *cbc) setBlock() bool {
	var zero [aes.BlockSize]byte
	var ok1, ok2 bool
	m.enc, ok1 = cipher.NewCBCEncrypter(m.block, zero[:m.iv]).(settable)
	m.dec, ok2 = cipher.NewCBCDecrypter(m.block, zero[:m.iv]).(settable)
	return ok1 && ok2
}

func (m *cbc) clone() mode {
	c := *m
	mac, err := m.mac.(hash.Cloner).Clone()
	if err != nil || !c.setBlock() {
		panic("transform: internal error: what was made once cannot be made again")
	}
	c.mac = mac
	return &c
}

func (m *cbc) clear() { *m = cbc{} }

func (m *cbc) seal(packet []byte, seq uint64) {
	clear(m.scratch[:])
	binary.BigEndian.PutUint64(m.scratch[:], seq)
	m.ivs.Encrypt(m.scratch[:], m.scratch[:])
	iv := packet[HeaderLen : HeaderLen+m.iv]
	copy(iv, m.scratch[:])
	end := len(packet) - m.icv
	body := packet[HeaderLen+m.iv : end]
	m.enc.SetIV(iv)
	m.enc.CryptBlocks(body, body)
	copy(packet[end:], m.check(packet[:end], seq))
}

func (m *cbc) open(packet []byte, seq uint64) bool {
	end := len(packet) - m.icv
	if subtle.ConstantTimeCompare(packet[end:], m.check(packet[:end], seq)) != 1 {
		return false
	}
	body := packet[HeaderLen+m.iv : end]
	m.dec.SetIV(packet[HeaderLen : HeaderLen+m.iv])
	m.dec.CryptBlocks(body, body)
	return true
}

// check returns the ICV, which covers the upper half of an extended sequence
// number as if it stood at the end (RFC 4303 section 2.2.1).
func (m *cbc) check(covered []byte, seq uint64) []byte {
	m.mac.Reset()
	m.mac.Write(covered)
	if m.extended {
		putSeqHigh(m.scratch[:4], seq)
		m.mac.Write(m.scratch[:4])
	}
	return m.mac.Sum(m.sum[:0])[:m.icv]
}
