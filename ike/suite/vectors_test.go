package suite

import (
	"bytes"
	"crypto/cipher"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/internal/datatest"
	"github.com/warrenvpn/warren/internal/secret"
)

// unhex decodes hexadecimal with blanks in it.
func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// hexBytes is a hexadecimal string of a JSON file.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(b))
	return err
}

// TestKDF derives the keys of all vectors that were computed with libreswan's
// NIST CAVP program.
func TestKDF(t *testing.T) {
	var vectors []struct {
		Hash                       string
		Gir, GirNew, NInit, NResp  hexBytes
		SpiInit, SpiResp           hexBytes
		SKeySeed, SKeySeedReKey    hexBytes
		DerivedKeyingMaterial      hexBytes
		DerivedKeyingMaterialChild hexBytes
		DerivedKeyingMaterialDh    hexBytes
	}
	datatest.JSON(t, "kdf/ikev2_kdf.json", &vectors)
	if len(vectors) != 42 {
		t.Fatalf("%d vectors", len(vectors))
	}
	ids := map[string]uint16{
		"SHA-1": sa.PRFHMACSHA1, "SHA2-256": sa.PRFHMACSHA256, "SHA2-384": sa.PRFHMACSHA384,
		"SHA2-512": sa.PRFHMACSHA512,
	}
	for i, v := range vectors {
		prf, ok := NewPRF(ids[v.Hash])
		if !ok {
			t.Fatalf("no %s", v.Hash)
		}
		if got := prf.Sum(append(append([]byte(nil), v.NInit...), v.NResp...), v.Gir); !bytes.Equal(got, v.SKeySeed) {
			t.Errorf("#%d: SKEYSEED %x, want %x", i, got, v.SKeySeed)
		}
		s, err := New(sa.Proposal{
			{Type: sa.Encryption, ID: sa.EncrAESCBC, KeyBits: 256}, {Type: sa.Integrity, ID: sa.IntegSHA256128},
			{Type: sa.PRF, ID: ids[v.Hash]}, {Type: sa.KeyExchange, ID: sa.KEECP256},
		})
		if err != nil {
			t.Fatal(err)
		}
		x := &Exchange{Shared: secret.Copy(v.Gir), Ni: v.NInit, Nr: v.NResp, SPIi: be64(v.SpiInit),
			SPIr: be64(v.SpiResp)}
		k := s.DeriveKeys(x)
		checkPrefix(t, i, "DKM", v.DerivedKeyingMaterial, k.D, k.Ai, k.Ar, k.Ei, k.Er, k.Pi, k.Pr)

		child := sa.Proposal{{Type: sa.Encryption, ID: sa.EncrAESCBC, KeyBits: 256},
			{Type: sa.Integrity, ID: sa.IntegSHA512256}}
		toR, toI, err := s.DeriveChild(k.D, &Exchange{Ni: v.NInit, Nr: v.NResp}, child)
		if err != nil {
			t.Fatal(err)
		}
		checkPrefix(t, i, "child", v.DerivedKeyingMaterialChild, toR.Encryption, toR.Integrity, toI.Encryption,
			toI.Integrity)
		x.Shared = secret.Copy(v.GirNew)
		toR, toI, _ = s.DeriveChild(k.D, x, child)
		checkPrefix(t, i, "child with key exchange", v.DerivedKeyingMaterialDh, toR.Encryption, toR.Integrity,
			toI.Encryption, toI.Integrity)

		r := s.RekeyKeys(prf, k.D, x)
		checkPrefix(t, i, "rekey", prf.Expand(v.SKeySeedReKey, 64, v.NInit, v.NResp, v.SpiInit, v.SpiResp),
			r.D, r.Ai, r.Ar)
	}
}

// checkPrefix compares keys, one after the other, with as much of want as both
// have.
func checkPrefix(t *testing.T, i int, name string, want []byte, keys ...secret.Value) {
	t.Helper()
	var got []byte
	for _, k := range keys {
		got = append(got, k.Reveal()...)
	}
	n := min(len(got), len(want))
	if n < 32 || !bytes.Equal(got[:n], want[:n]) {
		t.Errorf("#%d: %s: got %x, want %x", i, name, got[:n], want[:n])
	}
}

// be64 reads an SPI.
func be64(b []byte) (n uint64) {
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}

// wycheproof is a file of that project; the fields of all kinds of tests.
type wycheproof struct {
	TestGroups []struct {
		KeySize, IvSize, TagSize int
		Tests                    []struct {
			TcID                               int
			Comment, Result                    string
			Flags                              []string
			Key, Iv, Aad, Msg, Ct, Tag, Shared hexBytes
			Public, Private                    hexBytes
		}
	}
}

func TestWycheproofAEAD(t *testing.T) {
	for file, id := range map[string]uint16{"aes_gcm": sa.EncrAESGCM16, "chacha20_poly1305": sa.EncrChaCha20Poly1305} {
		var w wycheproof
		datatest.JSON(t, "wycheproof/"+file+"_test.json", &w)
		valid, invalid := 0, 0
		for _, g := range w.TestGroups {
			if g.IvSize != 96 || g.TagSize != 128 {
				continue // IKE has no such nonces
			}
			for _, v := range g.Tests {
				a, err := newAEAD(encryption{id: id}, v.Key)
				if err != nil {
					t.Fatal(err)
				}
				c := &schedule{aead: a, salt: [4]byte(v.Iv[:4])}
				got, err := a.Open(nil, c.nonce(v.Iv[4:]), append(v.Ct[:len(v.Ct):len(v.Ct)], v.Tag...), v.Aad)
				if ok := err == nil && bytes.Equal(got, v.Msg); ok != (v.Result == "valid") {
					t.Errorf("%s %d (%s): %s, got %v", file, v.TcID, v.Comment, v.Result, err)
				}
				if v.Result != "valid" {
					invalid++
					continue
				}
				valid++
				if sealed := a.Seal(nil, c.nonce(v.Iv[4:]), v.Msg, v.Aad); !bytes.Equal(sealed,
					append(v.Ct, v.Tag...)) {
					t.Errorf("%s %d (%s): sealed %x", file, v.TcID, v.Comment, sealed)
				}
			}
		}
		t.Logf("%s: %d valid, %d invalid", file, valid, invalid)
		if valid < 50 || invalid < 50 {
			t.Errorf("%s: too few vectors", file)
		}
	}
}

func TestWycheproofCBC(t *testing.T) {
	var w wycheproof
	datatest.JSON(t, "wycheproof/aes_cbc_pkcs5_test.json", &w)
	n := 0
	for _, g := range w.TestGroups {
		for _, v := range g.Tests {
			if v.Result != "valid" {
				continue // they are about a padding that IKE does not have
			}
			b, err := newBlock(encryption{id: sa.EncrAESCBC}, v.Key)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(v.Ct))
			cipher.NewCBCDecrypter(b, v.Iv).CryptBlocks(got, v.Ct)
			if !bytes.HasPrefix(got, v.Msg) {
				t.Errorf("%d: got %x", v.TcID, got)
			}
			n++
		}
	}
	if n < 50 {
		t.Errorf("%d vectors", n)
	}
}

func TestWycheproofHMAC(t *testing.T) {
	tests := []struct {
		file       string
		prf, integ uint16
	}{
		{"hmac_sha1", sa.PRFHMACSHA1, sa.IntegSHA1_96},
		{"hmac_sha256", sa.PRFHMACSHA256, sa.IntegSHA256128},
		{"hmac_sha384", sa.PRFHMACSHA384, sa.IntegSHA384192},
		{"hmac_sha512", sa.PRFHMACSHA512, sa.IntegSHA512256},
	}
	for _, tt := range tests {
		var w wycheproof
		datatest.JSON(t, "wycheproof/"+tt.file+"_test.json", &w)
		prf, _ := NewPRF(tt.prf)
		n := 0
		for _, g := range w.TestGroups {
			for _, v := range g.Tests {
				got := prf.Sum(v.Key, v.Msg)[:g.TagSize/8]
				if bytes.Equal(got, v.Tag) != (v.Result == "valid") {
					t.Errorf("%s %d (%s): %s, got %x", tt.file, v.TcID, v.Comment, v.Result, got)
				}
				n++
			}
		}
		if n < 150 {
			t.Errorf("%s: %d vectors", tt.file, n)
		}
	}
}

func TestWycheproofECDH(t *testing.T) {
	for file, group := range map[string]uint16{
		"ecdh_secp256r1_ecpoint": sa.KEECP256, "ecdh_secp384r1_ecpoint": sa.KEECP384,
		"ecdh_secp521r1_ecpoint": sa.KEECP521, "x25519": sa.KEX25519,
	} {
		var w wycheproof
		datatest.JSON(t, "wycheproof/"+file+"_test.json", &w)
		c, ec := curveOf(group)
		counts := map[bool]int{}
		for _, v := range w.TestGroups[0].Tests {
			public := []byte(v.Public)
			if ec {
				if len(public) == 0 || public[0] != 4 {
					continue // IKE has no compressed points
				}
				public = public[1:]
			}
			scalar := []byte(v.Private)
			if ec { // some have a zero in front
				scalar = bytes.TrimLeft(scalar, "\x00")
				scalar = append(make([]byte, c.scalarLen-len(scalar)), scalar...)
			}
			key, err := generate(group, bytes.NewReader(scalar))
			if err != nil {
				t.Fatalf("%s %d: %v", file, v.TcID, err)
			}
			want := v.Result == "valid" || v.Result == "acceptable"
			if group == sa.KEX25519 && bytes.Count(v.Shared, []byte{0}) == len(v.Shared) {
				want = false // predictable: RFC 8031 refuses it
			}
			got, err := key.shared(public)
			if ok := err == nil && bytes.Equal(got.Reveal(), v.Shared); ok != want {
				t.Errorf("%s %d (%s): %s, got %x %v", file, v.TcID, v.Comment, v.Result, got.Reveal(), err)
			}
			if err != nil && err != ErrPublicValue {
				t.Errorf("%s %d: error %v", file, v.TcID, err)
			}
			counts[want]++
		}
		t.Logf("%s: %v", file, counts)
		if counts[true] < 100 || counts[false] < 5 {
			t.Errorf("%s: too few vectors: %v", file, counts)
		}
	}
}
