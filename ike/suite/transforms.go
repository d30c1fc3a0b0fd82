package suite

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"

	"github.com/warrenvpn/warren/esp/sa"
)

// encryption is the shape of an encryption transform, in bytes. The key length
// leaves out the salt.
type encryption struct {
	id              uint16
	keyLen, saltLen int
	ivLen, blockLen int
	aead            bool
}

// aeadTagLen is the size of the checksum of every AEAD here.
const aeadTagLen = 16

// encryptionOf returns the shape of t, and false where t is not supported.
func encryptionOf(t sa.Transform) (encryption, bool) {
	if k, ok := t.Lookup(); !ok || k.Type != sa.Encryption {
		return encryption{}, false
	}
	switch t.ID {
	case sa.EncrAESGCM16:
		return encryption{id: t.ID, keyLen: int(t.KeyBits) / 8, saltLen: 4, ivLen: 8, blockLen: 1, aead: true}, true
	case sa.EncrChaCha20Poly1305:
		return encryption{id: t.ID, keyLen: 32, saltLen: 4, ivLen: 8, blockLen: 1, aead: true}, true
	case sa.EncrAESCBC:
		return encryption{id: t.ID, keyLen: int(t.KeyBits) / 8, ivLen: 16, blockLen: 16}, true
	case sa.Encr3DES:
		return encryption{id: t.ID, keyLen: 24, ivLen: 8, blockLen: 8}, true
	case sa.EncrDES:
		return encryption{id: t.ID, keyLen: 8, ivLen: 8, blockLen: 8}, true
	}
	return encryption{}, false
}

// integrity is the shape of an integrity transform, in bytes (RFC 2403, RFC
// 2404, RFC 4868).
type integrity struct {
	hash           func() hash.Hash
	keyLen, icvLen int
}

// integrityOf returns the shape of t, and false where t is not supported.
func integrityOf(t sa.Transform) (integrity, bool) {
	if t.Type != sa.Integrity || t.KeyBits != 0 {
		return integrity{}, false
	}
	switch t.ID {
	case sa.IntegMD5_96:
		return integrity{md5.New, md5.Size, 12}, true
	case sa.IntegSHA1_96:
		return integrity{sha1.New, sha1.Size, 12}, true
	case sa.IntegSHA256128:
		return integrity{sha256.New, sha256.Size, 16}, true
	case sa.IntegSHA384192:
		return integrity{sha512.New384, sha512.Size384, 24}, true
	case sa.IntegSHA512256:
		return integrity{sha512.New, sha512.Size, 32}, true
	}
	return integrity{}, false
}
