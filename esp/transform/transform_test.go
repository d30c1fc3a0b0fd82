package transform

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/warrenvpn/warren/esp/sa"
)

// suites are all pairs of encryption and integrity that a proposal can hold.
func suites() (out [][2]string) {
	for _, e := range sa.Transforms(sa.Encryption) {
		if e.AEAD {
			out = append(out, [2]string{e.Name, ""})
			continue
		}
		for _, i := range sa.Transforms(sa.Integrity) {
			out = append(out, [2]string{e.Name, i.Name})
		}
	}
	return out
}

func newCipher(t testing.TB, suite [2]string, esn bool) *Cipher {
	t.Helper()
	e, _ := sa.TransformByName(sa.Encryption, suite[0])
	i, _ := sa.TransformByName(sa.Integrity, suite[1])
	enc, integ, err := KeyLens(e.Transform, i.Transform)
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(newSA(suite[0], suite[1], esn, bytes.Repeat([]byte{0x17, 0x2b, 3}, 64)[:enc],
		bytes.Repeat([]byte{5, 0xc6}, 64)[:integ]), nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// build returns a packet of n inner bytes, not yet sealed.
func build(c *Cipher, n int, seq uint64) []byte {
	b := make([]byte, c.PacketLen(n))
	binary.BigEndian.PutUint32(b, 0x1234)
	binary.BigEndian.PutUint32(b[4:], uint32(seq))
	for i := HeaderLen + c.IVLen(); i < len(b)-c.ICVLen(); i++ {
		b[i] = byte(i * 7)
	}
	return b
}

func TestSealOpen(t *testing.T) {
	for _, suite := range suites() {
		for _, esn := range []bool{false, true} {
			t.Run(fmt.Sprint(suite, esn), func(t *testing.T) {
				c := newCipher(t, suite, esn)
				for n := range 70 {
					seq := uint64(n)<<32 | 9
					b := build(c, n, seq)
					want := append([]byte(nil), b[HeaderLen+c.IVLen():len(b)-c.ICVLen()]...)
					c.Seal(b, seq)
					if bytes.Contains(b, want) {
						t.Fatal("the body is in the clear")
					}
					sealed := append([]byte(nil), b...)
					got, err := c.Open(b, seq)
					if err != nil || !bytes.Equal(got, want) {
						t.Fatalf("%d bytes: opened % x, %v; want % x", n, got, err, want)
					}
					for i := range sealed {
						if esn && suite[1] == "" && i >= 4 && i < 8 {
							continue // what counts is the number that the caller inferred from it
						}
						bad := append([]byte(nil), sealed...)
						bad[i] ^= 1
						if _, err := c.Open(bad, seq); !errors.Is(err, ErrIntegrity) {
							t.Fatalf("%d bytes: byte %d changed: %v", n, i, err)
						}
					}
					for i := range sealed {
						if _, err := c.Open(append([]byte(nil), sealed[:i]...), seq); err == nil {
							t.Fatalf("%d bytes: a prefix of %d opened", n, i)
						}
					}
					_, err = c.Open(append([]byte(nil), sealed...), seq+1<<32)
					if esn != errors.Is(err, ErrIntegrity) && suite[1] != "" {
						t.Fatalf("another upper half of the sequence number: %v", err)
					}
				}
			})
		}
	}
}

func TestLengths(t *testing.T) {
	for _, suite := range suites() {
		c := newCipher(t, suite, false)
		for n := range 300 {
			if m := c.MaxInner(c.PacketLen(n)); m < n || c.PacketLen(m) != c.PacketLen(n) ||
				c.PacketLen(m+1) == c.PacketLen(n) {
				t.Fatalf("%v: %d inner bytes make %d, which holds %d", suite, n, c.PacketLen(n), m)
			}
		}
	}
	// The figures that everybody quotes for a path of 1500 bytes, IPv4 and NAT.
	if got := newCipher(t, [2]string{"aes-256-gcm", ""}, false).MaxInner(1500 - 28); got != 1438 {
		t.Errorf("AES-GCM: %d inner bytes", got)
	}
	if got := newCipher(t, [2]string{"aes-256-cbc", "sha256"}, false).MaxInner(1500 - 28); got != 1422 {
		t.Errorf("AES-CBC with SHA2: %d inner bytes", got)
	}
}

func TestIVsDiffer(t *testing.T) {
	for _, suite := range suites() {
		c, again := newCipher(t, suite, false), newCipher(t, suite, false)
		seen := map[string]bool{}
		for seq := range uint64(1000) {
			b := build(c, 20, seq)
			c.Seal(b, seq)
			seen[string(b[HeaderLen:HeaderLen+c.IVLen()])] = true
		}
		if len(seen) != 1000 {
			t.Errorf("%v: %d IVs for 1000 packets", suite, len(seen))
		}
		a, b := build(c, 20, 1), build(again, 20, 1)
		c.Seal(a, 1)
		again.Seal(b, 1)
		if predictable := bytes.Equal(a[HeaderLen:HeaderLen+c.IVLen()],
			b[HeaderLen:HeaderLen+c.IVLen()]); predictable != (suite[1] == "") {
			t.Errorf("%v: predictable IV: %v", suite, predictable)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		sa   *sa.SA
	}{
		{"no algorithm", &sa.SA{}},
		{"short key", newSA("aes-256-gcm", "", false, make([]byte, 35), nil)},
		{"integrity key with an AEAD", newSA("aes-256-gcm", "", false, make([]byte, 36), make([]byte, 20))},
		{"no integrity", newSA("aes-256-cbc", "", false, make([]byte, 32), nil)},
		{"short integrity key", newSA("aes-256-cbc", "sha256", false, make([]byte, 32), make([]byte, 31))},
		{"prf as integrity", &sa.SA{Encryption: sa.Transform{Type: sa.Encryption, ID: sa.EncrAESCBC, KeyBits: 128},
			Integrity: sa.Transform{Type: sa.PRF, ID: 12}}},
	} {
		if _, err := New(tt.sa, nil); err == nil {
			t.Errorf("%s: no error", tt.name)
		}
	}
	if _, err := New(newSA("aes-128-cbc", "sha1", false, make([]byte, 16), make([]byte, 20)),
		bytes.NewReader(nil)); err == nil {
		t.Error("no randomness: no error")
	}
}

func TestAllocs(t *testing.T) {
	for _, suite := range suites() {
		for _, esn := range []bool{false, true} {
			c := newCipher(t, suite, esn)
			b := build(c, 1400, 1)
			seq := uint64(0)
			if n := testing.AllocsPerRun(100, func() {
				seq++
				c.Seal(b, seq)
				if _, err := c.Open(b, seq); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%v, ESN %v: %v allocations", suite, esn, n)
			}
		}
	}
}

func FuzzOpen(f *testing.F) {
	c := newCipher(f, [2]string{"aes-128-gcm", ""}, true)
	d := newCipher(f, [2]string{"aes-128-cbc", "sha256"}, true)
	f.Add([]byte{}, uint64(0))
	f.Add(make([]byte, 100), uint64(1))
	f.Fuzz(func(t *testing.T, b []byte, seq uint64) {
		for _, c := range []*Cipher{c, d} {
			if _, err := c.Open(append([]byte(nil), b...), seq); err == nil {
				t.Error("a forgery opened")
			}
		}
	})
}

func BenchmarkSeal(b *testing.B) { benchmark(b, false) }
func BenchmarkOpen(b *testing.B) { benchmark(b, true) }

func benchmark(b *testing.B, open bool) {
	for _, suite := range [][2]string{{"aes-128-gcm", ""}, {"aes-256-gcm", ""}, {"chacha20-poly1305", ""},
		{"aes-256-cbc", "sha256"}} {
		for _, n := range []int{64, 576, 1400, 8192} {
			b.Run(fmt.Sprint(suite[0], "/", n), func(b *testing.B) {
				c := newCipher(b, suite, false)
				packet := build(c, n, 1)
				c.Seal(packet, 1)
				sealed := append([]byte(nil), packet...)
				b.SetBytes(int64(n))
				b.ReportAllocs()
				for b.Loop() {
					if !open {
						c.Seal(packet, 1)
						continue
					}
					copy(packet, sealed)
					if _, err := c.Open(packet, 1); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// TestClear: a cipher forgets its keys, and its clone goes on; before and after its first packet.
func TestClear(t *testing.T) {
	for _, suite := range suites() {
		for _, used := range []bool{false, true} {
			c := newCipher(t, suite, true)
			if used {
				c.Seal(build(c, 100, 1), 1)
			}
			clone := c.Clone()
			c.Clear()
			packet := build(clone, 100, 2)
			clone.Seal(packet, 2)
			if _, err := clone.Open(packet, 2); err != nil {
				t.Errorf("%v, used %v: a clone does not outlive its original: %v", suite, used, err)
			}
			switch m := c.mode.(type) {
			case *aead:
				if *m != (aead{}) {
					t.Errorf("%v, used %v: left is %+v", suite, used, *m)
				}
			case *cbc:
				if *m != (cbc{}) {
					t.Errorf("%v, used %v: left is %+v", suite, used, *m)
				}
			}
		}
	}
}

// TestFirstPacketTakesTheKey: what an AEAD needs for packets is made for the first one, sealed or
// forged, and the key itself is not kept beside it.
func TestFirstPacketTakesTheKey(t *testing.T) {
	for _, suite := range suites() {
		for _, forged := range []bool{false, true} {
			c := newCipher(t, suite, true)
			m, ok := c.mode.(*aead)
			if !ok {
				continue
			}
			if m.aead != nil || m.key == ([maxAEADKey]byte{}) {
				t.Errorf("%v: the keys are expanded before there is a packet", suite)
			}
			if packet := build(c, 100, 1); !forged {
				c.Seal(packet, 1)
			} else if _, err := c.Open(packet, 1); err == nil {
				t.Errorf("%v: a forgery opened", suite)
			}
			if m.aead == nil || m.key != ([maxAEADKey]byte{}) {
				t.Errorf("%v, forged %v: the key is still there beside its expansion", suite, forged)
			}
		}
	}
}
