package suite

import (
	"bytes"
	"crypto/ecdh"
	"math/rand/v2"
	"testing"

	"github.com/warrenvpn/warren/esp/sa"
)

// TestX25519LikeStandardLibrary: keys of every shape have the public values and the secrets that
// crypto/ecdh, an implementation of its own, gives them; public values with any bits, also those above
// the prime and those that no point of the curve has, and the points of low order among them.
func TestX25519LikeStandardLibrary(t *testing.T) {
	random := rand.NewChaCha8([32]byte{25, 5, 19})
	values := [][]byte{
		make([]byte, 32), append([]byte{1}, make([]byte, 31)...), append([]byte{9}, make([]byte, 31)...),
		bytes.Repeat([]byte{0xff}, 32), append(bytes.Repeat([]byte{0xff}, 31), 0x7f),
	}
	for low := byte(0xe8); low != 0; low++ { // around the prime, 2^255-19
		values = append(values, append(append([]byte{low}, bytes.Repeat([]byte{0xff}, 30)...), 0x7f))
	}
	for range 300 {
		values = append(values, make([]byte, 32))
		random.Read(values[len(values)-1])
	}
	refused := 0
	for i, scalar := range values {
		key, err := generate(sa.KEX25519, bytes.NewReader(scalar))
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := ecdh.X25519().NewPrivateKey(scalar)
		if err != nil {
			t.Fatal(err)
		}
		if want := theirs.PublicKey().Bytes(); !bytes.Equal(key.Public(), want) {
			t.Errorf("scalar %x: public value %x, want %x", scalar, key.Public(), want)
		}
		for _, peer := range append(values[:32:32], values[(i+1)%len(values)]) {
			public, err := ecdh.X25519().NewPublicKey(peer)
			if err != nil {
				t.Fatal(err)
			}
			want, wantErr := theirs.ECDH(public)
			got, err := key.shared(peer)
			if (err == nil) != (wantErr == nil) || !bytes.Equal(got.Reveal(), want) {
				t.Errorf("scalar %x, peer %x: secret %x %v, want %x %v", scalar, peer, got.Reveal(), err, want, wantErr)
			}
			if err != nil {
				refused++
			}
		}
		if !bytes.Equal(key.scalar.Reveal(), scalar) {
			t.Errorf("the scalar %x has changed", scalar)
		}
	}
	if refused == 0 {
		t.Error("no point of low order was among them")
	}
}

// BenchmarkX25519 has beside our two halves of a key exchange what is paid for it with crypto/ecdh: one
// ladder when a key is made and one for the secret.
func BenchmarkX25519(b *testing.B) {
	random := rand.NewChaCha8([32]byte{})
	key, err := generate(sa.KEX25519, random)
	if err != nil {
		b.Fatal(err)
	}
	peer := append([]byte{9}, make([]byte, 31)...)
	for _, bb := range []struct {
		name string
		do   func() error
	}{
		{"generate", func() error { _, err := generate(sa.KEX25519, random); return err }},
		{"shared", func() error { _, err := key.shared(peer); return err }},
		{"ladder of crypto/ecdh", func() error { _, err := ecdh.X25519().NewPrivateKey(peer); return err }},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := bb.do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
