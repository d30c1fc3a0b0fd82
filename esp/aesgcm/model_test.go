package aesgcm

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
)

// The model takes the steps of the assembly in Go: the same table of powers of H,
// times x and with their bytes reversed; 16 blocks multiplied with 16 powers, in
// as many lanes as a vector has blocks, the products of a lane added up before
// they are reduced in two steps; the same treatment of a tail. It shows that the
// steps are right where no processor is at hand that could take them.

// register is 128 bits of a vector, a block with its bytes reversed.
type register struct{ hi, lo uint64 }

func reversed(b []byte) register {
	return register{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

func (r register) bytes() (b [blockLen]byte) {
	binary.BigEndian.PutUint64(b[:], r.hi)
	binary.BigEndian.PutUint64(b[8:], r.lo)
	return b
}

func (r register) xor(o register) register { return register{r.hi ^ o.hi, r.lo ^ o.lo} }

// swapped is VPSHUFD $0x4e.
func (r register) swapped() register { return register{r.lo, r.hi} }

const (
	blockLen = 16
	turn     = 16         // blocks of a turn of the main loop
	polyHigh = 0xc2 << 56 // the upper half of the polynomial; the lower one is 1
)

// carryless is VPCLMULQDQ.
func carryless(a, b uint64) (r register) {
	for i := range 64 {
		if b>>i&1 != 0 {
			r.lo ^= a << i
			if i > 0 {
				r.hi ^= a >> (64 - i)
			}
		}
	}
	return r
}

// products are not yet reduced.
type products struct{ low, middle, high register }

// accumulate is MULTIPLY, after nothing, and ACCUMULATE.
func (p *products) accumulate(a, power register) {
	p.low = p.low.xor(carryless(a.lo, power.lo))
	p.high = p.high.xor(carryless(a.hi, power.hi))
	p.middle = p.middle.xor(carryless(a.hi, power.lo)).xor(carryless(a.lo, power.hi))
}

// reduce is REDUCE for one lane.
func (p products) reduce() register {
	p.middle = p.middle.xor(carryless(p.low.lo, polyHigh)).xor(p.low.swapped())
	return p.high.xor(carryless(p.middle.lo, polyHigh)).xor(p.middle.swapped())
}

// timesX multiplies with x.
func timesX(r register) register {
	out := register{r.hi<<1 | r.lo>>63, r.lo << 1}
	if r.hi>>63 != 0 {
		out = out.xor(register{polyHigh, 1})
	}
	return out
}

// model is AES-GCM with vectors of lanes blocks.
type model struct {
	block cipher.Block
	h     [turn + 1]register // H^17, H^16, ... H
	lanes int
}

func newModel(key []byte, lanes int) *model {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	m := &model{block: block, lanes: lanes}
	h := m.encrypted(make([]byte, blockLen))
	m.h[turn] = timesX(reversed(h[:]))
	for i := turn; i > 0; i-- {
		var p products
		p.accumulate(m.h[i], m.h[turn])
		m.h[i-1] = p.reduce()
	}
	return m
}

func (m *model) encrypted(b []byte) (out [blockLen]byte) {
	m.block.Encrypt(out[:], b)
	return out
}

// power returns H^n.
func (m *model) power(n int) register { return m.h[turn+1-n] }

// fold reduces all lanes, and adds them up.
func fold(lanes []products) (hash register) {
	for _, p := range lanes {
		hash = hash.xor(p.reduce())
	}
	return hash
}

// seal encrypts, or decrypts, and returns the tag.
func (m *model) seal(nonce, text, aad []byte, open bool) (out, tag []byte) {
	counter := append(append([]byte(nil), nonce...), 0, 0, 0, 1)
	first := m.encrypted(counter)
	padded := append(append([]byte(nil), aad...), make([]byte, blockLen-len(aad))...)
	var p products
	p.accumulate(reversed(padded), m.power(1))
	hash := p.reduce()

	blocks := (len(text) + blockLen - 1) / blockLen
	out = make([]byte, len(text))
	hashed := make([]byte, blocks*blockLen) // the ciphertext, with zeros behind it
	for i := range blocks {
		binary.BigEndian.PutUint32(counter[nonceSize:], uint32(i+2))
		stream := m.encrypted(counter)
		b := text[i*blockLen : min((i+1)*blockLen, len(text))]
		for k := range b {
			out[i*blockLen+k] = b[k] ^ stream[k]
		}
	}
	if copy(hashed, out); open {
		copy(hashed, text)
	}

	at := 0
	for ; len(text)-at*blockLen >= turn*blockLen; at += turn {
		lanes := make([]products, m.lanes)
		for i := range turn {
			r := reversed(hashed[(at+i)*blockLen:])
			if i == 0 {
				r = r.xor(hash)
			}
			lanes[i%m.lanes].accumulate(r, m.power(turn-i))
		}
		hash = fold(lanes)
	}
	lanes := make([]products, m.lanes)
	tail := blocks - at
	for i := range tail {
		r := reversed(hashed[(at+i)*blockLen:])
		if i == 0 {
			r, hash = r.xor(hash), register{}
		}
		lanes[i%m.lanes].accumulate(r, m.power(tail+1-i))
	}
	lanes[0].accumulate(register{uint64(len(aad)) * 8, uint64(len(text)) * 8}.xor(hash), m.power(1))
	sum := fold(lanes).xor(reversed(first[:])).bytes()
	return out, sum[:]
}

// product is the multiplication of SP 800-38D, algorithm 1, on blocks.
func product(x, y [blockLen]byte) (z [blockLen]byte) {
	v := y
	for i := range 128 {
		if x[i/8]>>(7-i%8)&1 != 0 {
			for k := range z {
				z[k] ^= v[k]
			}
		}
		odd := v[blockLen-1] & 1
		for k := blockLen - 1; k > 0; k-- {
			v[k] = v[k]>>1 | v[k-1]<<7
		}
		v[0] >>= 1
		if odd != 0 {
			v[0] ^= 0xe1
		}
	}
	return z
}

// TestReduction: the products of the model, reduced, are those of the standard.
func TestReduction(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 8))
	for range 1000 {
		a, h := register{r.Uint64(), r.Uint64()}, register{r.Uint64(), r.Uint64()}
		var p products
		p.accumulate(a, timesX(h))
		if got, want := p.reduce().bytes(), product(a.bytes(), h.bytes()); got != want {
			t.Fatalf("% x times % x is % x, want % x", a.bytes(), h.bytes(), got, want)
		}
	}
}

// lengths are those with which steps are compared: every way that a message can
// end, after no, one and two turns of the main loop.
func lengths() (all []int) {
	for n := range 2*turn*blockLen + 70 {
		all = append(all, n)
	}
	return all
}

// TestModel compares the model with the standard library.
func TestModel(t *testing.T) {
	for _, lanes := range []int{2, 4} {
		t.Run(fmt.Sprintf("%d bits", lanes*128), func(t *testing.T) {
			r := rand.New(rand.NewPCG(5, 9))
			for _, size := range []int{16, 24, 32} {
				key, nonce := some(r, size), some(r, nonceSize)
				m := newModel(key, lanes)
				std, err := newStandard(key)
				if err != nil {
					t.Fatal(err)
				}
				for _, n := range lengths() {
					text, aad := some(r, n), some(r, n%17)
					want := std.Seal(nil, nonce, text, aad)
					got, tag := m.seal(nonce, text, aad, false)
					if got = append(got, tag...); !bytes.Equal(got, want) {
						t.Fatalf("key of %d, %d bytes: sealed % x, want % x", size, n, got, want)
					}
					if opened, again := m.seal(nonce, want[:n], aad, true); !bytes.Equal(opened, text) ||
						!bytes.Equal(again, tag) {
						t.Fatalf("key of %d, %d bytes: opened % x, tag % x", size, n, opened, again)
					}
				}
			}
		})
	}
}

func some(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}
