// Package aesgcm is AES-GCM (NIST SP 800-38D) with 12-byte nonces and 16-byte
// tags for packets. Where the processor has AES and carry-less multiplication on
// vectors of 512 or 256 bits (VAES, VPCLMULQDQ), for which the standard library
// has no code, it takes less than half of the time. Everywhere else, in FIPS mode
// and with the build tag purego it is the standard library itself. It is pure.
//
// The assembly follows SP 800-38D and Intel's white paper "Carry-Less
// Multiplication Instruction and its Usage for Computing the GCM Mode"
// (aggregated reduction). It has no branch and no address that depends on a key
// or on data, only on lengths. Its tests compare it with the standard library,
// with a model in Go that takes the same steps, and with Wycheproof's vectors.
package aesgcm

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
)

const (
	nonceSize = 12
	tagSize   = 16
)

// implementation is one way to compute the same.
type implementation uint8

// The implementations, each faster than the one before.
const (
	standard implementation = iota // the standard library
	vaes256                        // VAES and VPCLMULQDQ on 256 bits, AVX2
	avx512                         // VAES and VPCLMULQDQ on 512 bits, AVX-512 F, DQ, BW and VL
)

// String returns the name of the implementation.
func (i implementation) String() string {
	switch i {
	case vaes256:
		return "vaes256"
	case avx512:
		return "avx512"
	}
	return "standard"
}

// New returns AES-GCM for a key of 16, 24 or 32 bytes. The AEAD that it returns
// is not safe for concurrent use.
//
// Seal and Open of the fast implementations take at most 16 bytes of additional
// data and at most 64 KiB of text, which is more than any packet has; what is
// longer goes through the standard library, which makes garbage.
func New(key []byte) (cipher.AEAD, error) {
	if fips140.Enabled() {
		return newStandard(key)
	}
	return best.new(key)
}

func (i implementation) new(key []byte) (cipher.AEAD, error) {
	switch n := len(key); {
	case n != 16 && n != 24 && n != 32:
		return nil, aes.KeySizeError(n)
	case i == standard:
		return newStandard(key)
	}
	return newVector(i, key), nil
}

func newStandard(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// Clone returns an AEAD with the key of a, which came from New, that may be used
// beside it.
func Clone(a cipher.AEAD) cipher.AEAD { return clone(a) }

// Clear overwrites the key of a, which came from New or Clone and is not used
// any more. It cannot do that for an AEAD of the standard library, whose memory
// is left to the garbage collector.
func Clear(a cipher.AEAD) { forget(a) }
