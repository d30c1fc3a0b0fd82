package suite

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"

	"github.com/warrenvpn/warren/esp/sa"
)

// PRF is a pseudorandom function of RFC 7296 section 2.13: HMAC, whose key may
// have any length.
type PRF struct {
	hash func() hash.Hash
	size int
}

// NewPRF returns the PRF with transform ID id, and false where it is not
// supported.
func NewPRF(id uint16) (PRF, bool) {
	switch id {
	case sa.PRFHMACMD5:
		return PRF{md5.New, md5.Size}, true
	case sa.PRFHMACSHA1:
		return PRF{sha1.New, sha1.Size}, true
	case sa.PRFHMACSHA256:
		return PRF{sha256.New, sha256.Size}, true
	case sa.PRFHMACSHA384:
		return PRF{sha512.New384, sha512.Size384}, true
	case sa.PRFHMACSHA512:
		return PRF{sha512.New, sha512.Size}, true
	}
	return PRF{}, false
}

// Size returns the number of bytes of the output, which is also the preferred
// length of a key.
func (p PRF) Size() int { return p.size }

// Sum returns prf(key, parts), the parts one after the other.
func (p PRF) Sum(key []byte, parts ...[]byte) []byte {
	mac := hmac.New(p.hash, key)
	for _, b := range parts {
		mac.Write(b)
	}
	return mac.Sum(make([]byte, 0, p.size))
}

// Expand returns the first n bytes of prf+(key, seed), the parts of the seed
// one after the other. At most 255 times Size are defined.
func (p PRF) Expand(key []byte, n int, seed ...[]byte) []byte {
	if n > 255*p.size {
		panic("suite: internal error: more key material than prf+ has")
	}
	mac := hmac.New(p.hash, key)
	out := make([]byte, 0, n+p.size)
	for i := byte(1); len(out) < n; i++ {
		mac.Reset()
		if i > 1 {
			mac.Write(out[len(out)-p.size:])
		}
		for _, b := range seed {
			mac.Write(b)
		}
		mac.Write([]byte{i})
		out = mac.Sum(out)
	}
	clear(out[n:])
	return out[:n:n]
}
