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
// have any length. It is not safe for concurrent use: copies share memory.
type PRF struct {
	hash func() hash.Hash
	size int
	work *prfWork
}

// prfWork is what Sum works with. A set-up computes a dozen of them, each with another key.
type prfWork struct {
	hash  hash.Hash
	pad   [sha512.BlockSize]byte // the longest block
	inner [sha512.Size]byte      // the longest output
}

// NewPRF returns the PRF with transform ID id, and false where it is not
// supported.
func NewPRF(id uint16) (PRF, bool) {
	var p PRF
	switch id {
	case sa.PRFHMACMD5:
		p = PRF{hash: md5.New, size: md5.Size}
	case sa.PRFHMACSHA1:
		p = PRF{hash: sha1.New, size: sha1.Size}
	case sa.PRFHMACSHA256:
		p = PRF{hash: sha256.New, size: sha256.Size}
	case sa.PRFHMACSHA384:
		p = PRF{hash: sha512.New384, size: sha512.Size384}
	case sa.PRFHMACSHA512:
		p = PRF{hash: sha512.New, size: sha512.Size}
	default:
		return PRF{}, false
	}
	p.work = &prfWork{hash: p.hash()}
	return p, true
}

// Size returns the number of bytes of the output, which is also the preferred
// length of a key.
func (p PRF) Size() int { return p.size }

// Sum returns prf(key, parts), the parts one after the other: HMAC (RFC 2104), in memory that
// is used again.
func (p PRF) Sum(key []byte, parts ...[]byte) []byte {
	w := p.work
	defer w.clear()
	pad := w.pad[:w.hash.BlockSize()]
	if len(key) <= len(pad) {
		copy(pad, key)
	} else {
		w.hash.Reset()
		w.hash.Write(key)
		w.hash.Sum(pad[:0])
	}
	const inside, outside = 0x36, 0x5c
	for i := range pad {
		pad[i] ^= inside
	}
	w.hash.Reset()
	w.hash.Write(pad)
	for _, b := range parts {
		w.hash.Write(b)
	}
	inner := w.hash.Sum(w.inner[:0])
	for i := range pad {
		pad[i] ^= inside ^ outside
	}
	w.hash.Reset()
	w.hash.Write(pad)
	w.hash.Write(inner)
	return w.hash.Sum(make([]byte, 0, p.size))
}

// clear forgets the key.
func (w *prfWork) clear() {
	w.hash.Reset()
	clear(w.pad[:])
	clear(w.inner[:])
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
