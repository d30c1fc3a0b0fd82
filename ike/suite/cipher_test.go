package suite

import (
	"bytes"
	"crypto/rand"
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/secret"
)

// TestRFC7634Message is the IKEv2 message of RFC 7634 appendix B.
func TestRFC7634Message(t *testing.T) {
	s, err := New(sa.Proposal{
		{Type: sa.Encryption, ID: sa.EncrChaCha20Poly1305}, {Type: sa.PRF, ID: sa.PRFHMACSHA256},
		{Type: sa.KeyExchange, ID: sa.KEX25519},
	})
	if err != nil {
		t.Fatal(err)
	}
	key := unhex(t, "808182838485868788898a8b8c8d8e8f 909192939495969798999a9b9c9d9e9f a0a1a2a3")
	c, err := s.NewCipher(secret.New(key), secret.Value{})
	if err != nil {
		t.Fatal(err)
	}
	h := wire.Header{
		SPIi: 0xc0c1c2c3c4c5c6c7, SPIr: 0xd0d1d2d3d4d5d6d7, Version: wire.Version2,
		Exchange: wire.Informational, MessageID: 9,
	}
	n := wire.Notify{Type: wire.SetWindowSize, Data: []byte{0, 0, 0, 10}}
	want := unhex(t, `c0c1c2c3c4c5c6c7d0d1d2d3d4d5d6d72e202500000000090000004529000029
		1011121314151617 61039470 1f8d017f 7c129248 89 6b71bfe2 5236efd7 cdc67066 906315b2`)
	got, err := c.Seal(nil, h, 0x1011121314151617, nil, n)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("message\n got %x\nwant %x", got, want)
	}
	plain, err := c.Open(nil, want, 32)
	if err != nil {
		t.Fatal(err)
	}
	ps, err := wire.ParsePayloads(wire.TypeNotify, plain)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wire.Payloads{n}, ps); diff != "" {
		t.Errorf("payloads (-want +got):\n%s", diff)
	}
}

// suites returns a Suite for every encryption and integrity.
func suites(tb testing.TB) []*Suite {
	tb.Helper()
	var out []*Suite
	for _, enc := range sa.Transforms(sa.Encryption) {
		integs := sa.Transforms(sa.Integrity)
		if enc.AEAD {
			integs = []sa.Known{{}}
		}
		for _, integ := range integs {
			p := sa.Proposal{enc.Transform, {Type: sa.PRF, ID: sa.PRFHMACSHA256},
				{Type: sa.KeyExchange, ID: sa.KEX25519}}
			if !enc.AEAD {
				p = append(p, integ.Transform)
			}
			s, err := New(p)
			if err != nil {
				tb.Fatal(err)
			}
			out = append(out, s)
		}
	}
	return out
}

// pair returns the Ciphers of both ends of one direction.
func pair(tb testing.TB, s *Suite) (seal, open *Cipher) {
	tb.Helper()
	x := &Exchange{Shared: secret.Copy([]byte("shared")), Ni: make([]byte, 32), Nr: make([]byte, 32), SPIi: 1, SPIr: 2}
	k := s.DeriveKeys(x)
	seal, err := s.NewCipher(k.Ei, k.Ai)
	if err != nil {
		tb.Fatal(err)
	}
	if open, err = s.NewCipher(k.Ei, k.Ai); err != nil {
		tb.Fatal(err)
	}
	return seal, open
}

func TestSealOpen(t *testing.T) {
	h := wire.Header{SPIi: 1, SPIr: 2, Version: wire.Version2, Exchange: wire.IKEAuth, Flags: wire.FlagInitiator,
		MessageID: 1}
	for _, s := range suites(t) {
		seal, open := pair(t, s)
		for n := range 40 {
			ps := []wire.Payload{wire.Vendor{Data: bytes.Repeat([]byte{7}, n)}}
			if n == 0 {
				ps = nil // an empty message, as for liveness
			}
			prefix := []byte("before")
			b, err := seal.Seal(prefix, h, uint64(n), rand.Reader, ps...)
			if err != nil {
				t.Fatalf("%v: %v", s.Proposal(), err)
			}
			b, ok := bytes.CutPrefix(b, prefix)
			m, err := wire.ParseMessage(b)
			if err != nil || !ok {
				t.Fatalf("%v: %v", s.Proposal(), err)
			}
			sk, _ := wire.Find[wire.SK](m.Payloads)
			before := bytes.Clone(b)
			plain, err := open.Open([]byte("before"), b, sk.Offset)
			if err != nil {
				t.Fatalf("%v: %v", s.Proposal(), err)
			}
			if !bytes.Equal(b, before) {
				t.Errorf("%v: Open changed the message", s.Proposal())
			}
			if want := wire.AppendPayloads([]byte("before"), ps...); !bytes.Equal(plain, want) ||
				sk.First != wire.FirstType(ps) {
				t.Errorf("%v: got %x, want %x", s.Proposal(), plain, want)
			}
		}
	}
}

func TestForgeries(t *testing.T) {
	h := wire.Header{SPIi: 1, SPIr: 2, Version: wire.Version2, Exchange: wire.Informational}
	for _, s := range suites(t) {
		seal, open := pair(t, s)
		b, err := seal.Seal(nil, h, 1, rand.Reader, wire.Delete{Protocol: wire.ProtocolIKE})
		if err != nil {
			t.Fatal(err)
		}
		for i := range b {
			for _, bit := range []byte{1, 0x80} {
				b[i] ^= bit
				if _, err := open.Open(nil, b, 32); err != ErrIntegrity {
					t.Errorf("%v: byte %d changed: %v", s.Proposal(), i, err)
				}
				b[i] ^= bit
			}
		}
		for n := range b {
			if _, err := open.Open(nil, b[:n], min(32, n)); err != ErrIntegrity {
				t.Errorf("%v: cut to %d bytes: %v", s.Proposal(), n, err)
			}
		}
		if _, err := open.Open(nil, append(b, 0), 32); err != ErrIntegrity {
			t.Errorf("%v: a byte more: %v", s.Proposal(), err)
		}
		if _, err := open.Open(nil, b, 32); err != nil {
			t.Errorf("%v: the message itself: %v", s.Proposal(), err)
		}
	}
}

// TestBadPadding has authentic messages whose pad length is too large.
func TestBadPadding(t *testing.T) {
	for _, s := range suites(t) {
		seal, open := pair(t, s)
		b, err := seal.Seal(nil, wire.Header{Version: wire.Version2}, 1, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if k := seal.schedule; k.aead != nil {
			text := append(bytes.Clone(b[32:40]), 0xff)
			b = k.aead.Seal(b[:40], k.nonce(b[32:40]), text[8:], b[:32])
		} else {
			iv := b[32 : 32+s.enc.ivLen]
			iv[len(iv)-1] ^= 0xff // the last byte of the one block of plaintext
			k.mac.Reset()
			k.mac.Write(b[:len(b)-k.icv])
			copy(b[len(b)-k.icv:], k.mac.Sum(nil))
		}
		var e *wire.Error
		if _, err := open.Open(nil, b, 32); err == nil || err == ErrIntegrity {
			t.Errorf("%v: %v", s.Proposal(), err)
		} else if e, _ = err.(*wire.Error); e == nil || e.Notify != wire.InvalidSyntax {
			t.Errorf("%v: %v", s.Proposal(), err)
		}
	}
}

func TestCounterNeverGoesBack(t *testing.T) {
	for _, s := range suites(t)[:4] {
		if !s.AEAD() {
			t.Fatalf("%v is no AEAD", s.Proposal())
		}
		c, _ := pair(t, s)
		for _, tt := range []struct {
			counter uint64
			ok      bool
		}{
			{0, true}, {0, false}, {1, true}, {100, true}, {99, false}, {100, false}, {101, true},
			{math.MaxUint64, true}, {math.MaxUint64, false}, {0, false},
		} {
			if _, err := c.Seal(nil, wire.Header{}, tt.counter, nil); (err == nil) != tt.ok {
				t.Errorf("%v: counter %d: %v", s.Proposal(), tt.counter, err)
			}
		}
	}
}

// TestRest: a Cipher that was at rest goes on as if it had not been, and does not use a
// counter again. Cleared keys make none.
func TestRest(t *testing.T) {
	h := wire.Header{Version: wire.Version2, Exchange: wire.Informational}
	for _, s := range suites(t) {
		k := s.DeriveKeys(&Exchange{Shared: secret.Copy([]byte("shared")), Ni: make([]byte, 32), Nr: make([]byte, 32)})
		seal, err := s.NewCipher(k.Ei, k.Ai)
		if err != nil {
			t.Fatalf("%v: %v", s.Proposal(), err)
		}
		open, err := s.NewCipher(k.Ei, k.Ai)
		if err != nil {
			t.Fatalf("%v: %v", s.Proposal(), err)
		}
		for counter := range uint64(3) {
			seal.Rest()
			open.Rest()
			b, err := seal.Seal(nil, h, counter, rand.Reader, wire.Vendor{Data: []byte("text")})
			if err != nil {
				t.Fatalf("%v: %v", s.Proposal(), err)
			}
			m, err := wire.ParseMessage(b)
			if err != nil {
				t.Fatalf("%v: %v", s.Proposal(), err)
			}
			sk, _ := wire.Find[wire.SK](m.Payloads)
			if plain, err := open.Open(nil, b, sk.Offset); err != nil || !bytes.Contains(plain, []byte("text")) {
				t.Errorf("%v: %q, %v", s.Proposal(), plain, err)
			}
			seal.Rest()
			if _, err := seal.Seal(nil, h, counter, rand.Reader); (err != nil) != s.AEAD() {
				t.Errorf("%v: counter %d once more: %v", s.Proposal(), counter, err)
			}
		}
		b, err := seal.Seal(nil, h, 3, rand.Reader)
		if err != nil {
			t.Fatalf("%v: %v", s.Proposal(), err)
		}
		k.Clear()
		seal.Rest()
		open.Rest()
		if _, err := seal.Seal(nil, h, 4, rand.Reader); err == nil {
			t.Errorf("%v: sealed with cleared keys", s.Proposal())
		}
		if _, err := open.Open(nil, b, wire.HeaderLen+4); !errors.Is(err, ErrIntegrity) {
			t.Errorf("%v: opened with cleared keys: %v", s.Proposal(), err)
		}
	}
}

func TestCipherErrors(t *testing.T) {
	for _, s := range suites(t) {
		if _, err := s.NewCipher(secret.Copy([]byte("short")), secret.Value{}); err == nil {
			t.Errorf("%v: short key accepted", s.Proposal())
		}
		c, _ := pair(t, s)
		if _, err := c.Seal(nil, wire.Header{}, 0, bytes.NewReader(nil)); (err == nil) != s.AEAD() {
			t.Errorf("%v: without randomness: %v", s.Proposal(), err)
		}
		big := []wire.Payload{wire.Vendor{Data: make([]byte, 40000)}, wire.Vendor{Data: make([]byte, 40000)}}
		if _, err := c.Seal(nil, wire.Header{}, 1, rand.Reader, big...); err == nil {
			t.Errorf("%v: sealed more than a datagram holds", s.Proposal())
		}
	}
}

func TestNew(t *testing.T) {
	gcm := sa.Transform{Type: sa.Encryption, ID: sa.EncrAESGCM16, KeyBits: 256}
	cbc := sa.Transform{Type: sa.Encryption, ID: sa.EncrAESCBC, KeyBits: 128}
	prf := sa.Transform{Type: sa.PRF, ID: sa.PRFHMACSHA512}
	ke := sa.Transform{Type: sa.KeyExchange, ID: sa.KEX25519}
	integ := sa.Transform{Type: sa.Integrity, ID: sa.IntegSHA512256}
	tests := []struct {
		p  sa.Proposal
		ok bool
	}{
		{sa.Proposal{gcm, prf, ke}, true},
		{sa.Proposal{cbc, integ, prf, ke}, true},
		{sa.Proposal{cbc, prf, ke}, false},
		{sa.Proposal{gcm, ke}, false},
		{sa.Proposal{gcm, prf}, false},
		{sa.Proposal{prf, ke}, false},
		{sa.Proposal{{Type: sa.Encryption, ID: sa.EncrAESGCM16, KeyBits: 64}, prf, ke}, false},
		{sa.Proposal{{Type: sa.Encryption, ID: sa.EncrAESGCM16}, prf, ke}, false},
		{nil, false},
	}
	for _, tt := range tests {
		s, err := New(tt.p)
		if (err == nil) != tt.ok {
			t.Errorf("%v: %v", tt.p, err)
		}
		if err == nil && (s.Group() != sa.KEX25519 || s.PRF().Size() != 64) {
			t.Errorf("%v: group %d, PRF of %d bytes", tt.p, s.Group(), s.PRF().Size())
		}
	}
}

func TestKeysClear(t *testing.T) {
	s := suites(t)[4]
	k := s.DeriveKeys(&Exchange{Ni: []byte{1}, Nr: []byte{2}})
	d := k.D
	k.Clear()
	if d.Len() != 0 || k.Er.Len() != 0 {
		t.Error("Clear left keys")
	}
	if _, _, err := s.DeriveChild(d, &Exchange{},
		sa.Proposal{{Type: sa.Encryption, ID: sa.EncrAESCBC, KeyBits: 128}}); err == nil {
		t.Error("a child SA without integrity")
	}
}

// FuzzOpen feeds Open with anything: no panic, nothing accepted.
func FuzzOpen(f *testing.F) {
	all := suites(f)
	f.Add(make([]byte, 100), 32)
	f.Fuzz(func(t *testing.T, b []byte, offset int) {
		if offset < 0 {
			return
		}
		for _, s := range all {
			_, c := pair(t, s)
			if _, err := c.Open(nil, b, offset); err == nil {
				t.Fatalf("%v accepted %x", s.Proposal(), b)
			}
		}
	})
}

func BenchmarkSealOpen(b *testing.B) {
	for _, s := range suites(b)[:7] {
		b.Run(s.Proposal().String(), func(b *testing.B) {
			seal, open := pair(b, s)
			p := wire.Vendor{Data: make([]byte, 200)}
			var counter uint64
			b.ReportAllocs()
			for b.Loop() {
				counter++
				m, err := seal.Seal(make([]byte, 0, 512), wire.Header{}, counter, rand.Reader, p)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := open.Open(make([]byte, 0, 512), m, 32); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDeriveKeys(b *testing.B) {
	s := suites(b)[0]
	x := &Exchange{Shared: secret.Copy(make([]byte, 32)), Ni: make([]byte, 32), Nr: make([]byte, 32)}
	b.ReportAllocs()
	for b.Loop() {
		s.DeriveKeys(x)
	}
}

// TestSealFragment: fragments of every suite are as long as FragmentRoom says, carry
// their number under authentication, and give the text when they are put together.
func TestSealFragment(t *testing.T) {
	h := wire.Header{SPIi: 1, SPIr: 2, Version: wire.Version2, Exchange: wire.IKEAuth, MessageID: 1}
	text := bytes.Repeat([]byte("0123456789"), 40)
	for _, s := range suites(t) {
		seal, open := pair(t, s)
		for _, size := range []int{160, 161, 175, 176, 300} {
			room := seal.FragmentRoom(size)
			var got []byte
			for from := 0; from < len(text); from += room {
				part := text[from:min(from+room, len(text))]
				f := wire.SKF{First: wire.TypeIDi, Number: uint16(1 + from/room),
					Total: uint16((len(text) + room - 1) / room)}
				if f.Number > 1 {
					f.First = wire.NoNextPayload
				}
				b, err := seal.SealFragment(nil, h, f, seal.next, rand.Reader, part)
				if err != nil {
					t.Fatalf("%v: %v", s.Proposal(), err)
				}
				if len(b) > size || len(part) == room && len(b) <= size-s.enc.blockLen {
					t.Errorf("%v: a fragment with room for %d bytes has %d of %d", s.Proposal(), room, len(b), size)
				}
				m, err := wire.ParseMessage(b)
				if err != nil {
					t.Fatalf("%v: %v", s.Proposal(), err)
				}
				skf, _ := wire.Find[wire.SKF](m.Payloads)
				if skf.First != f.First || skf.Number != f.Number || skf.Total != f.Total {
					t.Errorf("%v: fragment %+v is read as %+v", s.Proposal(), f, skf)
				}
				if got, err = open.Open(got, b, skf.Offset); err != nil {
					t.Fatalf("%v: %v", s.Proposal(), err)
				}
				b[skf.Offset-1] ^= 1 // another total
				if _, err := open.Open(nil, b, skf.Offset); !errors.Is(err, ErrIntegrity) {
					t.Errorf("%v: a fragment with another total: %v", s.Proposal(), err)
				}
			}
			if !bytes.Equal(got, text) {
				t.Errorf("%v: the fragments give another text", s.Proposal())
			}
		}
	}
}
