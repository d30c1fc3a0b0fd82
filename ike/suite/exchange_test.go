package suite

import (
	"bytes"
	"crypto/rand"
	"math/big"
	"testing"

	"github.com/warrenvpn/warren/esp/sa"
)

// TestRFCExchanges has the test vectors of RFC 5903 section 8 and RFC 7748
// section 6.1: both private keys, both public values, the secret.
func TestRFCExchanges(t *testing.T) {
	tests := []struct {
		name               string
		group              uint16
		i, gi, r, gr, want string
	}{
		{"RFC 5903 8.1", sa.KEECP256,
			"C88F01F510D9AC3F70A292DAA2316DE544E9AAB8AFE84049C62A9C57862D1433",
			`DAD0B65394221CF9B051E1FECA5787D098DFE637FC90B9EF945D0C3772581180
			5271A0461CDB8252D61F1C456FA3E59AB1F45B33ACCF5F58389E0577B8990BB3`,
			"C6EF9C5D78AE012A011164ACB397CE2088685D8F06BF9BE0B283AB46476BEE53",
			`D12DFB5289C8D4F81208B70270398C342296970A0BCCB74C736FC7554494BF63
			56FBF3CA366CC23E8157854C13C58D6AAC23F046ADA30F8353E74F33039872AB`,
			"D6840F6B42F6EDAFD13116E0E12565202FEF8E9ECE7DCE03812464D04B9442DE"},
		{"RFC 5903 8.2", sa.KEECP384,
			"099F3C7034D4A2C699884D73A375A67F7624EF7C6B3C0F160647B67414DCE655E35B538041E649EE3FAEF896783AB194",
			`667842D7D180AC2CDE6F74F37551F55755C7645C20EF73E31634FE72B4C55EE6DE3AC808ACB4BDB4C88732AEE95F41AA
			9482ED1FC0EEB9CAFC4984625CCFC23F65032149E0E144ADA024181535A0F38EEB9FCFF3C2C947DAE69B4C634573A81C`,
			"41CB0779B4BDB85D47846725FBEC3C9430FAB46CC8DC5060855CC9BDA0AA2942E0308312916B8ED2960E4BD55A7448FC",
			`E558DBEF53EECDE3D3FCCFC1AEA08A89A987475D12FD950D83CFA41732BC509D0D1AC43A0336DEF96FDA41D0774A3571
			DCFBEC7AACF3196472169E838430367F66EEBE3C6E70C416DD5F0C68759DD1FFF83FA40142209DFF5EAAD96DB9E6386C`,
			"11187331C279962D93D604243FD592CB9D0A926F422E47187521287E7156C5C4D603135569B9E9D09CF5D4A270F59746"},
		{"RFC 5903 8.3", sa.KEECP521,
			"0037ADE9319A89F4DABDB3EF411AACCCA5123C61ACAB57B5393DCE47608172A095AA85A30FE1C2952C6771D937BA9777F5957B2639BAB072462F68C27A57382D4A52",
			`0015417E84DBF28C0AD3C278713349DC7DF153C897A1891BD98BAB4357C9ECBEE1E3BF42E00B8E380AEAE57C2D107564941885942AF5A7F4601723C4195D176CED3E
			017CAE20B6641D2EEB695786D8C946146239D099E18E1D5A514C739D7CB4A10AD8A788015AC405D7799DC75E7B7D5B6CF2261A6A7F1507438BF01BEB6CA3926F9582`,
			"0145BA99A847AF43793FDD0E872E7CDFA16BE30FDC780F97BCCC3F078380201E9C677D600B343757A3BDBF2A3163E4C2F869CCA7458AA4A4EFFC311F5CB151685EB9",
			`00D0B3975AC4B799F5BEA16D5E13E9AF971D5E9B984C9F39728B5E5739735A219B97C356436ADC6E95BB0352F6BE64A6C2912D4EF2D0433CED2B6171640012D9460F
			015C68226383956E3BD066E797B623C27CE0EAC2F551A10C2C724D9852077B87220B6536C5C408A1D2AEBB8E86D678AE49CB57091F4732296579AB44FCD17F0FC56A`,
			"01144C7D79AE6956BC8EDB8E7C787C4521CB086FA64407F97894E5E6B2D79B04D1427E73CA4BAA240A34786859810C06B3C715A3A8CC3151F2BEE417996D19F3DDEA"},
		{"RFC 7748 6.1", sa.KEX25519,
			"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
			"8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
			"5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
			"de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
			"4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			i, err := generate(tt.group, bytes.NewReader(unhex(t, tt.i)))
			if err != nil {
				t.Fatal(err)
			}
			r, err := generate(tt.group, bytes.NewReader(unhex(t, tt.r)))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(i.Public(), unhex(t, tt.gi)) || !bytes.Equal(r.Public(), unhex(t, tt.gr)) {
				t.Errorf("public values\n%x\n%x", i.Public(), r.Public())
			}
			a, err := i.shared(r.Public())
			if err != nil {
				t.Fatal(err)
			}
			b, err := r.shared(i.Public())
			if err != nil {
				t.Fatal(err)
			}
			if !a.Equal(b) || !bytes.Equal(a.Reveal(), unhex(t, tt.want)) {
				t.Errorf("secrets %x and %x", a.Reveal(), b.Reveal())
			}
		})
	}
}

var allGroups = []uint16{
	sa.KEX25519, sa.KEECP256, sa.KEECP384, sa.KEECP521,
	sa.KEModp768, sa.KEModp1024, sa.KEModp1536, sa.KEModp2048, sa.KEModp3072, sa.KEModp4096,
}

// TestExchange runs every group both ways and refuses values that are not in
// it or make the secret predictable.
func TestExchange(t *testing.T) {
	for _, group := range allGroups {
		i, err := generate(group, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		r, err := generate(group, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		a, err := i.shared(r.Public())
		if err != nil {
			t.Fatal(err)
		}
		b, err := r.shared(i.Public())
		if err != nil || !a.Equal(b) {
			t.Errorf("group %d: secrets differ: %v", group, err)
		}
		n, ok := PublicLen(group)
		if !ok || len(i.Public()) != n {
			t.Errorf("group %d: public value of %d bytes, want %d", group, len(i.Public()), n)
		}
		bad := [][]byte{nil, {0}, make([]byte, n), make([]byte, n-1), append([]byte{0}, r.Public()...), r.Public()[1:]}
		if _, ok := curveOf(group); ok {
			bad = append(bad, append([]byte{4}, r.Public()...))
		}
		for _, y := range bad {
			if _, err := i.shared(y); err != ErrPublicValue {
				t.Errorf("group %d: %x: %v", group, y, err)
			}
		}
		if i.Clear(); i.scalar.Len() != 0 || i.ec != nil {
			t.Errorf("group %d: Clear left the key", group)
		}
		if _, err := i.shared(r.Public()); err != ErrPublicValue {
			t.Errorf("group %d: cleared key: %v", group, err)
		}
	}
	if _, err := generate(1025, rand.Reader); err == nil {
		t.Error("a group that does not exist")
	}
	if _, err := generate(sa.KEX25519, bytes.NewReader(nil)); err == nil {
		t.Error("a key without randomness")
	}
}

// TestModp compares with package math/big, an implementation of its own, and
// tries the edges of the range.
func TestModp(t *testing.T) {
	for _, group := range allGroups[4:] {
		g, _ := modpOf(group)
		p := new(big.Int).SetBytes(g.prime)
		x := bytes.Repeat([]byte{0xa5}, g.exponentLen)
		key, err := g.generate(group, bytes.NewReader(x))
		if err != nil {
			t.Fatal(err)
		}
		e := new(big.Int).SetBytes(x)
		if want := new(big.Int).Exp(big.NewInt(2), e, p).FillBytes(make([]byte, len(g.prime))); !bytes.Equal(
			key.Public(), want) {
			t.Errorf("group %d: public value %x, want %x", group, key.Public(), want)
		}
		tests := []struct {
			y  *big.Int
			ok bool
		}{
			{big.NewInt(0), false},
			{big.NewInt(1), false},
			{big.NewInt(2), true},
			{big.NewInt(3), true},
			{new(big.Int).Sub(p, big.NewInt(2)), true},
			{new(big.Int).Sub(p, big.NewInt(1)), false},
			{p, false},
			{new(big.Int).Add(p, big.NewInt(1)), false},
			{new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), uint(p.BitLen())), big.NewInt(1)), false},
		}
		for _, tt := range tests {
			got, err := key.shared(tt.y.FillBytes(make([]byte, len(g.prime))))
			if (err == nil) != tt.ok {
				t.Errorf("group %d: y = %x: %v", group, tt.y, err)
			}
			want := new(big.Int).Exp(tt.y, e, p).FillBytes(make([]byte, len(g.prime)))
			if tt.ok && !bytes.Equal(got.Reveal(), want) {
				t.Errorf("group %d: y = %x: got %x, want %x", group, tt.y, got.Reveal(), want)
			}
		}
	}
}

// TestPrimes derives the primes as RFC 2409 and RFC 3526 define them:
// 2^n - 2^(n-64) - 1 + 2^64 * ([2^(n-130) pi] + c).
func TestPrimes(t *testing.T) {
	one := big.NewInt(1)
	for _, tt := range []struct {
		group uint16
		bits  uint
		c     int64
	}{
		{sa.KEModp768, 768, 149686}, {sa.KEModp1024, 1024, 129093}, {sa.KEModp1536, 1536, 741804},
		{sa.KEModp2048, 2048, 124476}, {sa.KEModp3072, 3072, 1690314}, {sa.KEModp4096, 4096, 240904},
	} {
		p := new(big.Int).Lsh(one, tt.bits)
		p.Sub(p, new(big.Int).Lsh(one, tt.bits-64))
		p.Sub(p, one)
		middle := new(big.Int).Add(pi(tt.bits-130), big.NewInt(tt.c))
		p.Add(p, middle.Lsh(middle, 64))
		g, _ := modpOf(tt.group)
		if !bytes.Equal(p.Bytes(), g.prime) {
			t.Errorf("group %d: %x", tt.group, p)
		}
		if q := new(big.Int).Rsh(p, 1); !p.ProbablyPrime(0) || !q.ProbablyPrime(0) {
			t.Errorf("group %d: not a safe prime", tt.group)
		}
	}
}

// pi returns [2^bits pi] by Machin's formula.
func pi(bits uint) *big.Int {
	const guard = 64
	arctan := func(inverse int64) *big.Int {
		square := big.NewInt(inverse * inverse)
		x := new(big.Int).Div(new(big.Int).Lsh(big.NewInt(1), bits+guard), big.NewInt(inverse))
		sum := new(big.Int).Set(x)
		for k := int64(3); x.Sign() != 0; k += 2 {
			x.Div(x, square)
			term := new(big.Int).Div(x, big.NewInt(k))
			if k%4 == 3 {
				sum.Sub(sum, term)
			} else {
				sum.Add(sum, term)
			}
		}
		return sum
	}
	a := new(big.Int).Mul(big.NewInt(16), arctan(5))
	a.Sub(a, new(big.Int).Mul(big.NewInt(4), arctan(239)))
	return a.Rsh(a, guard)
}

func BenchmarkExchange(b *testing.B) {
	names := map[uint16]string{}
	for _, k := range sa.Transforms(sa.KeyExchange) {
		names[k.ID] = k.Name
	}
	for _, group := range allGroups {
		peer, err := generate(group, rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(names[group], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				k, err := generate(group, rand.Reader)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := k.shared(peer.Public()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestKeyExchangeShape: what Begin, Respond and Finish give is one secret for every
// group; a Response of a value of a wrong length does not come about.
func TestKeyExchangeShape(t *testing.T) {
	for _, group := range allGroups {
		i, err := Begin(group, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Respond(group, rand.Reader, i.Public())
		if err != nil {
			t.Fatal(err)
		}
		a, err := i.Finish(r.Public())
		if err != nil {
			t.Fatal(err)
		}
		if b, err := r.Secret(); err != nil || !a.Equal(b) {
			t.Errorf("group %d: secrets differ: %v", group, err)
		}
		if _, err := Respond(group, rand.Reader, i.Public()[1:]); err != ErrPublicValue {
			t.Errorf("group %d: a short value was answered: %v", group, err)
		}
		if _, err := i.Finish(r.Public()[1:]); err != ErrPublicValue {
			t.Errorf("group %d: a short answer was taken: %v", group, err)
		}
	}
	if _, err := Respond(1025, rand.Reader, nil); err == nil {
		t.Error("an unknown group was answered")
	}
}
