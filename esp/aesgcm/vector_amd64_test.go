//go:build amd64 && !purego

package aesgcm

import (
	"bytes"
	"crypto/aes"
	"math/rand/v2"
	"testing"
)

// TestSteps compares the assembly with the model, step by step: the key
// expansion, the powers of H, and after them text and tag for every way that a
// message can end.
func TestSteps(t *testing.T) {
	for i, lanes := range map[implementation]int{vaes256: 2, avx512: 4} {
		t.Run(i.String(), func(t *testing.T) {
			if i > best {
				t.Logf("%v: NOT RUN, because this processor has not what it needs", i)
				return
			}
			r := rand.New(rand.NewPCG(7, 3))
			for _, size := range []int{16, 24, 32} {
				key, nonce := some(r, size), some(r, nonceSize)
				m, v := newModel(key, lanes), newVector(i, key).(*vector)
				block, _ := aes.NewCipher(key)
				for range 100 {
					b := [blockSize]byte(some(r, blockSize))
					want := b
					block.Encrypt(want[:], want[:])
					if encryptBlock(&v.s, &b); b != want {
						t.Fatalf("key of %d: a block is encrypted to % x, want % x", size, b, want)
					}
				}
				for k, want := range m.h {
					// In memory a register has its lower half first.
					b := want.bytes()
					for x := range b[:8] {
						b[x], b[15-x] = b[15-x], b[x]
					}
					if v.s.h[k] != b {
						t.Fatalf("key of %d: H^%d is % x, want % x", size, turn+1-k, v.s.h[k], b)
					}
				}
				for _, n := range lengths() {
					steps(t, m, v, nonce, some(r, n), some(r, n%17))
				}
			}
		})
	}
}

// steps seals and opens one message.
func steps(t *testing.T, m *model, v *vector, nonce, text, aad []byte) {
	t.Helper()
	want, tag := m.seal(nonce, text, aad, false)
	got := v.Seal(nil, nonce, text, aad)
	if !bytes.Equal(got[:len(text)], want) {
		t.Fatalf("%d bytes: sealed % x, want % x", len(text), got[:len(text)], want)
	}
	if !bytes.Equal(v.s.tag[:], tag) {
		t.Fatalf("%d bytes: tag % x, want % x", len(text), v.s.tag, tag)
	}
	opened, err := v.Open(nil, nonce, got, aad)
	if err != nil || !bytes.Equal(opened, text) || !bytes.Equal(v.s.tag[:], tag) {
		t.Fatalf("%d bytes: opened % x, %v, tag % x", len(text), opened, err, v.s.tag)
	}
}
