package tun

import (
	"math/rand/v2"
	"testing"
)

// TestSumWide compares with the sum that needs no vectors, at every length and
// with the numbers that carry most.
func TestSumWide(t *testing.T) {
	if !wide {
		t.Log("this processor has no wide vectors: the same code runs twice")
	}
	has := wide
	defer func() { wide = has }()
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 2000 {
		b := make([]byte, n)
		for i := range b {
			b[i] = 0xff
			if n%3 > 0 {
				b[i] = byte(r.Uint32())
			}
		}
		start := r.Uint64()
		wide = has
		got := fold(sum(b, start))
		wide = false
		if want := fold(sum(b, start)); got != want {
			t.Fatalf("%d bytes: %04x, want %04x", n, got, want)
		}
	}
}

func BenchmarkSum(b *testing.B) {
	p := make([]byte, 1438)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		sum(p, 0)
	}
}
