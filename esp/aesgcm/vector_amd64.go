//go:build amd64 && !purego

package aesgcm

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"unsafe"
)

// best is what New uses here.
var best = detect()

// Bits of CPUID and XCR0 (Intel SDM volume 2A, CPUID; volume 1 section 13.3).
const (
	leaf1PCLMUL  = 1 << 1
	leaf1SSSE3   = 1 << 9
	leaf1AES     = 1 << 25
	leaf1OSXSAVE = 1 << 27
	leaf1AVX     = 1 << 28

	leaf7AVX2     = 1 << 5  // EBX
	leaf7AVX512F  = 1 << 16 // EBX
	leaf7AVX512DQ = 1 << 17 // EBX
	leaf7AVX512BW = 1 << 30 // EBX
	leaf7AVX512VL = 1 << 31 // EBX
	leaf7VAES     = 1 << 9  // ECX
	leaf7VPCLMUL  = 1 << 10 // ECX

	xcr0Vectors256 = 0x06 // SSE and AVX
	xcr0Vectors512 = 0xe6 // and the three parts of AVX-512
)

// detect returns the fastest implementation for which the processor, and the
// operating system, have what its assembly uses.
func detect() implementation {
	if most, _, _, _ := cpuid(0, 0); most < 7 {
		return standard
	}
	const want1 = leaf1PCLMUL | leaf1SSSE3 | leaf1AES | leaf1OSXSAVE | leaf1AVX
	if _, _, c, _ := cpuid(1, 0); c&want1 != want1 {
		return standard
	}
	state := xgetbv()
	_, b, c, _ := cpuid(7, 0)
	const wantC = leaf7VAES | leaf7VPCLMUL
	if state&xcr0Vectors256 != xcr0Vectors256 || b&leaf7AVX2 == 0 || c&wantC != wantC {
		return standard
	}
	const wantB = leaf7AVX512F | leaf7AVX512DQ | leaf7AVX512BW | leaf7AVX512VL
	if state&xcr0Vectors512 == xcr0Vectors512 && b&wantB == wantB {
		return avx512
	}
	return vaes256
}

const (
	blockSize = 16
	maxRounds = 14
	// powers is how many powers of H there are: one for each of 16 blocks, and
	// one more because a tail of 16 blocks is followed by the lengths.
	powers  = 17
	maxText = 1 << 16
)

// state is what the assembly knows by offsets.
type state struct {
	// keys are the round keys: the first one, then those that only AES-256 has,
	// those that AES-128 has not, and the last ten. The unused ones are zero.
	keys [maxRounds + 1][blockSize]byte
	// h holds H^17, H^16, ... H, each times x and with its bytes reversed. What
	// follows is read, and multiplied with zero.
	h      [powers + 3][blockSize]byte
	rounds uint64
	iv     [blockSize]byte // the first counter block
	aad    [blockSize]byte
	lens   [blockSize]byte
	tag    [blockSize]byte
}

// This does not compile where the offsets are not those of the assembly: a
// map with two equal keys is refused.
var _ = map[bool]struct{}{
	false: {},
	unsafe.Offsetof(state{}.keys) == 0 && unsafe.Offsetof(state{}.h) == 240 && unsafe.Offsetof(state{}.rounds) == 560 &&
		unsafe.Offsetof(state{}.iv) == 568 && unsafe.Offsetof(state{}.aad) == 584 &&
		unsafe.Offsetof(state{}.lens) == 600 && unsafe.Offsetof(state{}.tag) == 616: {},
}

// vector is a cipher.AEAD.
type vector struct {
	s    state
	wide bool // vectors of 512 bits
}

// newVector returns AES-GCM for a key of a length that AES has. The processor
// must have what i needs.
func newVector(i implementation, key []byte) cipher.AEAD {
	v := &vector{wide: i == avx512}
	s := &v.s
	s.rounds = uint64(len(key)/4 + 6)
	expand(s, key)
	var h [blockSize]byte
	encryptBlock(s, &h)
	times(s, &h)
	clear(h[:])
	return v
}

func clone(a cipher.AEAD) cipher.AEAD {
	v, ok := a.(*vector)
	if !ok {
		return a // the standard library's has no state
	}
	c := *v
	return &c
}

func forget(a cipher.AEAD) {
	if v, ok := a.(*vector); ok {
		v.s = state{}
	}
}

// long returns the standard library's AES-GCM with the same key, for what is
// longer than any packet. The key is the beginning of its own expansion.
func (v *vector) long() cipher.AEAD {
	var key [2 * blockSize]byte
	defer clear(key[:])
	n := copy(key[:], v.s.keys[0][:])
	second := &v.s.keys[1]
	if v.s.rounds < maxRounds {
		second = &v.s.keys[1+maxRounds-v.s.rounds]
	}
	copy(key[n:], second[:])
	a, err := newStandard(key[:4*(v.s.rounds-6)])
	if err != nil {
		panic("aesgcm: internal error: a key that was taken is refused")
	}
	return a
}

// expand is the key expansion of FIPS 197 section 5.2. The substitution is made
// by the processor's AES instructions, not by a table.
func expand(s *state, key []byte) {
	var w [4 * (maxRounds + 1)]uint32
	n := len(key) / 4
	for i := range n {
		w[i] = binary.BigEndian.Uint32(key[4*i:])
	}
	total := 4 * int(s.rounds+1)
	rcon := uint32(1)
	for i := n; i < total; i++ {
		t := w[i-1]
		switch {
		case i%n == 0:
			t = substitute(t<<8|t>>24) ^ rcon<<24
			rcon <<= 1
			if rcon&0x100 != 0 {
				rcon ^= 0x11b
			}
		case n > 6 && i%n == 4:
			t = substitute(t)
		}
		w[i] = w[i-n] ^ t
	}
	skip := maxRounds - int(s.rounds)
	for i := range int(s.rounds) + 1 {
		at := i
		if i > 0 {
			at += skip
		}
		for j := range 4 {
			binary.BigEndian.PutUint32(s.keys[at][4*j:], w[4*i+j])
		}
	}
	clear(w[:])
}

// NonceSize implements cipher.AEAD.
func (v *vector) NonceSize() int { return nonceSize }

// Overhead implements cipher.AEAD.
func (v *vector) Overhead() int { return tagSize }

// Seal implements cipher.AEAD.
func (v *vector) Seal(dst, nonce, plaintext, aad []byte) []byte {
	if len(aad) > blockSize || len(plaintext) > maxText {
		return v.long().Seal(dst, nonce, plaintext, aad)
	}
	s := v.prepare(nonce, aad, len(plaintext))
	out := grow(dst, len(plaintext)+tagSize)
	text := out[len(dst) : len(out)-tagSize]
	copy(text, plaintext)
	if v.wide {
		seal512(s, first(text), len(text))
	} else {
		seal256(s, first(text), len(text))
	}
	copy(out[len(out)-tagSize:], s.tag[:])
	return out
}

var errOpen = errors.New("aesgcm: message authentication failed")

// Open implements cipher.AEAD.
func (v *vector) Open(dst, nonce, ciphertext, aad []byte) ([]byte, error) {
	n := len(ciphertext) - tagSize
	if n < 0 {
		return nil, errOpen
	}
	if len(aad) > blockSize || n > maxText {
		return v.long().Open(dst, nonce, ciphertext, aad)
	}
	s := v.prepare(nonce, aad, n)
	var want [tagSize]byte
	copy(want[:], ciphertext[n:]) // dst may overlap it
	out := grow(dst, n)
	text := out[len(dst):]
	copy(text, ciphertext[:n])
	if v.wide {
		open512(s, first(text), n)
	} else {
		open256(s, first(text), n)
	}
	if subtle.ConstantTimeCompare(s.tag[:], want[:]) != 1 {
		clear(text)
		return nil, errOpen
	}
	return out, nil
}

// prepare sets what one message needs.
func (v *vector) prepare(nonce, aad []byte, n int) *state {
	if len(nonce) != nonceSize {
		panic("aesgcm: internal error: nonce of another length")
	}
	s := &v.s
	copy(s.iv[:], nonce)
	binary.BigEndian.PutUint32(s.iv[nonceSize:], 1)
	clear(s.aad[copy(s.aad[:], aad):])
	binary.BigEndian.PutUint64(s.lens[:], uint64(len(aad))*8)
	binary.BigEndian.PutUint64(s.lens[8:], uint64(n)*8)
	return s
}

// grow returns dst with room for n more bytes.
func grow(dst []byte, n int) []byte {
	if total := len(dst) + n; cap(dst) >= total {
		return dst[:total]
	}
	return append(dst, make([]byte, n)...)
}

// first returns where b begins; a pointer to nothing where it is empty.
func first(b []byte) *byte {
	if len(b) == 0 {
		return nil
	}
	return &b[0]
}

// cpuid and xgetbv are the instructions of these names.
//
//go:noescape
func cpuid(eax, ecx uint32) (a, b, c, d uint32)

//go:noescape
func xgetbv() (low uint32)

// substitute is SubWord of FIPS 197 section 5.2.
//
//go:noescape
func substitute(w uint32) uint32

// encryptBlock encrypts a block in place.
//
//go:noescape
func encryptBlock(s *state, block *[blockSize]byte)

// times fills s.h with the powers of h.
//
//go:noescape
func times(s *state, h *[blockSize]byte)

// seal256 and seal512 encrypt n bytes in place and set s.tag, with vectors of so
// many bits.
//
//go:noescape
func seal256(s *state, text *byte, n int)

//go:noescape
func seal512(s *state, text *byte, n int)

// open256 and open512 decrypt n bytes in place and set s.tag to what it should
// have been.
//
//go:noescape
func open256(s *state, text *byte, n int)

//go:noescape
func open512(s *state, text *byte, n int)
