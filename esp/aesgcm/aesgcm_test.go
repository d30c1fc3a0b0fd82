package aesgcm_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/warrenvpn/warren/esp/aesgcm"
)

// TestImplementations says which implementations the tests of this package run,
// in lines that `make unit` prints: what this processor cannot execute is not
// tested by being green.
func TestImplementations(t *testing.T) {
	for _, i := range aesgcm.Implementations {
		if i.Runs() {
			t.Logf("AES-GCM %v: run", i)
		} else {
			t.Logf("AES-GCM %v: NOT RUN, because this processor has not what it needs; only the model of its steps was",
				i)
		}
	}
}

// each runs fn as a subtest for each implementation that runs here.
func each(t *testing.T, fn func(t *testing.T, i aesgcm.Implementation)) {
	for _, i := range aesgcm.Implementations {
		if i.Runs() {
			t.Run(i.String(), func(t *testing.T) { fn(t, i) })
		}
	}
}

// pair returns an AEAD of i and the standard library's, for the same key.
func pair(t testing.TB, i aesgcm.Implementation, key []byte) (ours, standard cipher.AEAD) {
	t.Helper()
	ours, err := i.New(key)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	standard, err = cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return ours, standard
}

// compare seals with both and opens with both, in place and elsewhere, and
// checks that nothing around the text is touched.
func compare(t testing.TB, i aesgcm.Implementation, key, nonce, text, aad []byte) {
	t.Helper()
	ours, standard := pair(t, i, key)
	want := standard.Seal(nil, nonce, text, aad)
	const before = "before"
	dst := append(append([]byte(before), make([]byte, len(want))...), "after"...)
	got := ours.Seal(dst[:len(before)], nonce, text, aad)
	if !bytes.Equal(got[len(before):], want) || string(dst[:len(before)]) != before ||
		string(dst[len(before)+len(want):]) != "after" {
		t.Fatalf("key of %d, %d bytes, %d of additional data: sealed\n% x, want\n% x", len(key), len(text), len(aad),
			dst, want)
	}
	inPlace := append(append([]byte(nil), text...), make([]byte, 16)...)
	if got := ours.Seal(inPlace[:0], nonce, inPlace[:len(text)], aad); !bytes.Equal(got, want) ||
		&got[0] != &inPlace[0] {
		t.Fatalf("key of %d, %d bytes: sealed in place\n% x, want\n% x", len(key), len(text), got, want)
	}
	opened, err := ours.Open(got[len(before):len(before)], nonce, got[len(before):], aad)
	if err != nil || !bytes.Equal(opened, text) || string(dst[:len(before)]) != before ||
		string(dst[len(before)+len(want):]) != "after" {
		t.Fatalf("key of %d, %d bytes: opened % x, %v, want % x", len(key), len(text), opened, err, text)
	}
	if len(want) > 0 {
		for _, at := range []int{0, len(want) / 2, len(want) - 16, len(want) - 1} {
			forged := append([]byte(nil), want...)
			forged[at] ^= 0x20
			if _, err := ours.Open(nil, nonce, forged, aad); err == nil {
				t.Fatalf("key of %d, %d bytes: opened with byte %d changed", len(key), len(text), at)
			}
		}
	}
	if _, err := ours.Open(nil, nonce, want, append(aad[:len(aad):len(aad)], 0)); err == nil {
		t.Fatalf("key of %d, %d bytes: opened with other additional data", len(key), len(text))
	}
}

func random(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// TestStandard compares with the standard library, at every length up to more
// than two turns of the main loop, and at the edges of what is taken.
func TestStandard(t *testing.T) {
	var lengths []int
	for n := range 800 {
		lengths = append(lengths, n)
	}
	lengths = append(lengths, 1438, 8191, 8192, 65535, 65536, 65537)
	each(t, func(t *testing.T, i aesgcm.Implementation) {
		r := rand.New(rand.NewPCG(1, 2))
		for _, size := range []int{16, 24, 32} {
			for _, n := range lengths {
				compare(t, i, random(r, size), random(r, 12), random(r, n), random(r, n%18))
			}
		}
	})
}

// TestBest: New returns the fastest that runs here.
func TestBest(t *testing.T) {
	ours, err := aesgcm.New(make([]byte, 16))
	if err != nil {
		t.Fatal(err)
	}
	want, _ := pair(t, aesgcm.Best, make([]byte, 16))
	if got := reflect.TypeOf(ours); got != reflect.TypeOf(want) && !fips140.Enabled() {
		t.Errorf("New returns a %v, want that of %v", got, aesgcm.Best)
	}
}

func TestKeyLength(t *testing.T) {
	for _, n := range []int{0, 15, 17, 33} {
		if _, err := aesgcm.New(make([]byte, n)); err == nil {
			t.Errorf("a key of %d bytes is taken", n)
		}
	}
}

func TestShort(t *testing.T) {
	each(t, func(t *testing.T, i aesgcm.Implementation) {
		ours, _ := pair(t, i, make([]byte, 32))
		for n := range 16 {
			if _, err := ours.Open(nil, make([]byte, 12), make([]byte, n), nil); err == nil {
				t.Errorf("%d bytes were opened", n)
			}
		}
	})
}

// TestClear: nothing of a key is left, and its clone goes on.
func TestClear(t *testing.T) {
	each(t, func(t *testing.T, i aesgcm.Implementation) {
		key := bytes.Repeat([]byte("0123456789abcdef"), 2)
		ours, standard := pair(t, i, key)
		clone := aesgcm.Clone(ours)
		aesgcm.Clear(ours)
		if i.String() != "standard" {
			v := reflect.ValueOf(ours).Elem().FieldByName("s")
			if !v.IsZero() {
				t.Error("the state of a cleared cipher is not zero")
			}
			aad, nonce := []byte("header"), make([]byte, 12)
			if got, want := clone.Seal(nil, nonce, key, aad),
				standard.Seal(nil, nonce, key, aad); !bytes.Equal(got, want) {
				t.Error("a clone does not outlive its original")
			}
		}
	})
}

func TestAllocs(t *testing.T) {
	each(t, func(t *testing.T, i aesgcm.Implementation) {
		ours, _ := pair(t, i, make([]byte, 32))
		b, nonce, aad := make([]byte, 1500), make([]byte, 12), make([]byte, 8)
		if n := testing.AllocsPerRun(100, func() {
			sealed := ours.Seal(b[:0], nonce, b[:1400], aad)
			if _, err := ours.Open(sealed[:0], nonce, sealed, aad); err != nil {
				t.Error(err)
			}
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

func FuzzStandard(f *testing.F) {
	f.Add(make([]byte, 32), []byte("text"), []byte("12345678"), uint8(0))
	f.Add(make([]byte, 16), make([]byte, 256), []byte("123456789012"), uint8(1))
	f.Fuzz(func(t *testing.T, key, text, aad []byte, size uint8) {
		k := make([]byte, 16+int(size%3)*8)
		copy(k, key)
		nonce := make([]byte, 12)
		copy(nonce, aad)
		for _, i := range aesgcm.Implementations {
			if i.Runs() {
				compare(t, i, k, nonce, text, aad)
			}
		}
	})
}

func BenchmarkSeal(b *testing.B) { benchmark(b, false) }
func BenchmarkOpen(b *testing.B) { benchmark(b, true) }

// benchmark measures all implementations that run here, side by side.
func benchmark(b *testing.B, open bool) {
	for _, i := range aesgcm.Implementations {
		if !i.Runs() {
			b.Logf("%v: NOT RUN", i)
			continue
		}
		aead, _ := pair(b, i, make([]byte, 32))
		for _, n := range []int{64, 160, 1400} {
			b.Run(fmt.Sprintf("%v/%d", i, n), func(b *testing.B) {
				buf, nonce, aad := make([]byte, n+16), make([]byte, 12), make([]byte, 8)
				kept := aead.Seal(nil, nonce, buf[:n], aad)
				b.SetBytes(int64(n))
				for b.Loop() {
					if !open {
						aead.Seal(buf[:0], nonce, buf[:n], aad)
						continue
					}
					copy(buf, kept)
					if _, err := aead.Open(buf[:0], nonce, buf, aad); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
