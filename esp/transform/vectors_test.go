package transform

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/internal/datatest"
	"github.com/warrenvpn/warren/internal/secret"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func newSA(enc, integ string, esn bool, key, integKey []byte) *sa.SA {
	e, _ := sa.TransformByName(sa.Encryption, enc)
	i, _ := sa.TransformByName(sa.Integrity, integ)
	return &sa.SA{Encryption: e.Transform, Integrity: i.Transform, ESN: esn, EncryptionKey: secret.Copy(key),
		IntegrityKey: secret.Copy(integKey)}
}

// TestWholePackets opens ESP packets that DPDK's tests hold.
func TestWholePackets(t *testing.T) {
	var packets []struct {
		Name     string
		Algs     []string
		Key      datatest.Hex
		AuthKey  datatest.Hex `json:"auth_key"`
		Salt     datatest.Hex
		Plain    datatest.Hex `json:"plain_ip"`
		ESP      datatest.Hex `json:"esp_ip"`
		Verified bool
		Outer    int
	}
	datatest.JSON(t, "esp/esp_packets.json", &packets)
	names := map[string]string{
		"AEAD_AES_GCM": "aes-%d-gcm", "CIPHER_AES_CBC": "aes-%d-cbc", "CIPHER_3DES_CBC": "3des",
		"AUTH_MD5_HMAC": "md5", "AUTH_SHA256_HMAC": "sha256", "AUTH_SHA384_HMAC": "sha384",
		"AUTH_SHA512_HMAC": "sha512",
	}
	done := 0
	for _, p := range packets {
		enc := names[p.Algs[0]]
		if !p.Verified || enc == "" {
			continue
		}
		if strings.Contains(enc, "%d") {
			enc = fmt.Sprintf(enc, len(p.Key)*8)
		}
		integ := ""
		if len(p.Algs) > 1 {
			integ = names[p.Algs[1]]
		}
		c, err := New(newSA(enc, integ, false, append(append([]byte(nil), p.Key...), p.Salt...), p.AuthKey), nil)
		if err != nil {
			t.Errorf("%s: %v", p.Name, err)
			continue
		}
		outer := 20
		if p.Outer == 6 {
			outer = 40
		}
		packet := p.ESP[outer:]
		body, err := c.Open(packet, uint64(binary.BigEndian.Uint32(packet[4:])))
		if err != nil {
			t.Errorf("%s: %v", p.Name, err)
			continue
		}
		done++
		if !bytes.HasPrefix(body, p.Plain) {
			// Transport mode vectors carry the packet without its header.
			if !bytes.HasPrefix(body, p.Plain[outer:]) {
				t.Errorf("%s: body % x is not of packet % x", p.Name, body, []byte(p.Plain))
			}
		}
	}
	if done < 13 {
		t.Errorf("only %d packets were opened", done)
	}
}

type wycheproof struct {
	TestGroups []struct {
		KeySize, IVSize, TagSize int
		Tests                    []struct {
			TCID                       int
			Key, IV, AAD, Msg, CT, Tag datatest.Hex
			Result                     string
		}
	}
}

// TestWycheproofAEAD puts the vectors that fit ESP's nonce through the ciphers
// as they are built here.
func TestWycheproofAEAD(t *testing.T) {
	for file, format := range map[string]string{"aes_gcm_test.json": "aes-%d-gcm",
		"chacha20_poly1305_test.json": "chacha20-poly1305"} {
		var w wycheproof
		datatest.JSON(t, "wycheproof/"+file, &w)
		n := 0
		for _, g := range w.TestGroups {
			if g.IVSize != 96 || g.TagSize != 128 {
				continue
			}
			for _, v := range g.Tests {
				enc := format
				if strings.Contains(enc, "%d") {
					enc = fmt.Sprintf(enc, g.KeySize)
				}
				c, err := New(newSA(enc, "", false, append(append([]byte(nil), v.Key...), v.IV[:4]...), nil), nil)
				if err != nil {
					t.Fatal(err)
				}
				a := c.mode.(*aead)
				copy(a.nonce[:], v.IV)
				got, err := a.ready().Open(nil, a.nonce[:], append(append([]byte(nil), v.CT...), v.Tag...), v.AAD)
				if (err == nil) != (v.Result == "valid") || err == nil && !bytes.Equal(got, v.Msg) {
					t.Errorf("%s %d: got %v, want %s", file, v.TCID, err, v.Result)
				}
				n++
			}
		}
		if n < 60 {
			t.Errorf("%s: only %d vectors fit", file, n)
		}
	}
}

func TestWycheproofHMAC(t *testing.T) {
	for file, integ := range map[string]string{"hmac_sha1_test.json": "sha1", "hmac_sha256_test.json": "sha256",
		"hmac_sha384_test.json": "sha384", "hmac_sha512_test.json": "sha512"} {
		var w wycheproof
		datatest.JSON(t, "wycheproof/"+file, &w)
		n := 0
		for _, g := range w.TestGroups {
			tr, _ := sa.TransformByName(sa.Integrity, integ)
			h := hashes[tr.ID]
			if g.KeySize != h.key*8 || g.TagSize < h.icv*8 {
				continue
			}
			for _, v := range g.Tests {
				c, err := New(newSA("aes-128-cbc", integ, false, make([]byte, 16), v.Key), nil)
				if err != nil {
					t.Fatal(err)
				}
				got := c.mode.(*cbc).check(v.Msg, 0)
				// A full tag that is wrong may be right where it is cut.
				if v.Result == "valid" && !bytes.Equal(got, v.Tag[:h.icv]) {
					t.Errorf("%s %d: got % x", file, v.TCID, got)
				}
				n++
			}
		}
		if n == 0 {
			t.Errorf("%s: no vector fits", file)
		}
	}
}

func TestWycheproofCBC(t *testing.T) {
	var w wycheproof
	datatest.JSON(t, "wycheproof/aes_cbc_pkcs5_test.json", &w)
	for _, g := range w.TestGroups {
		for _, v := range g.Tests {
			if v.Result != "valid" {
				continue // about a padding that ESP does not use
			}
			c, err := New(newSA(fmt.Sprintf("aes-%d-cbc", g.KeySize), "sha256", false, v.Key, make([]byte, 32)), nil)
			if err != nil {
				t.Fatal(err)
			}
			m := c.mode.(*cbc)
			m.dec.SetIV(v.IV)
			got := make([]byte, len(v.CT))
			m.dec.CryptBlocks(got, v.CT)
			if !bytes.HasPrefix(got, v.Msg) {
				t.Errorf("%d: got % x", v.TCID, got)
			}
			m.enc.SetIV(v.IV)
			m.enc.CryptBlocks(got, got)
			if !bytes.Equal(got, v.CT) {
				t.Errorf("%d: sealed % x", v.TCID, got)
			}
		}
	}
}

// TestRFC3602 is the ESP packet of RFC 3602 section 4, case 8: tunnel mode
// without integrity.
func TestRFC3602(t *testing.T) {
	key := unhex(t, "01234567 89abcdef 01234567 89abcdef")
	packet := unhex(t, `00008765 00000002 f4e76524 4f6407ad f13dc138 0f673f37
		773b5241 a4c44922 5e4f3ce5 ed611b0c 237ca96c f74a9301 3c1b0ea1 a0cf70f8
		e4ecaec7 8ac53aad 7a0f022b 859243c6 47752e94 a859352b 8a4d4d2d ecd136e5
		c177f132 ad3fbfb2 201ac990 4c74ee0a 109e0ca1 e4dfe9d5 a100b842 f1c22f0d`)
	plain := unhex(t, "45000054 09040000 4001f988 c0a87b03 c0a87bc8 08009f76 a90a0100 b49c083d")
	c, err := New(newSA("aes-128-cbc", "sha256", false, key, make([]byte, 32)), nil)
	if err != nil {
		t.Fatal(err)
	}
	m := c.mode.(*cbc)
	packet = append(packet, m.check(packet, 2)...)
	body, err := c.Open(packet, 2)
	if err != nil || !bytes.HasPrefix(body, plain) ||
		!bytes.HasSuffix(body, []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 4}) {
		t.Errorf("body is % x, %v", body, err)
	}
}

// TestRFC7634 is the packet of RFC 7634 appendix A.
func TestRFC7634(t *testing.T) {
	key := unhex(t, `80 81 82 83 84 85 86 87 88 89 8a 8b 8c 8d 8e 8f
		90 91 92 93 94 95 96 97 98 99 9a 9b 9c 9d 9e 9f a0 a1 a2 a3`)
	plain := unhex(t, `45 00 00 54 a6 f2 00 00 40 01 e7 78 c6 33 64 05 c0 00 02 05 08 00 5b 7a 3a 08 00 00 55 3b ec 10
		00 07 36 27 08 09 0a 0b 0c 0d 0e 0f 10 11 12 13 14 15 16 17 18 19 1a 1b 1c 1d 1e 1f 20 21 22 23
		24 25 26 27 28 29 2a 2b 2c 2d 2e 2f 30 31 32 33 34 35 36 37 01 02 02 04`)
	packet := unhex(t, `01 02 03 04 00 00 00 05 10 11 12 13 14 15 16 17
		24 03 94 28 b9 7f 41 7e 3c 13 75 3a 4f 05 08 7b 67 c3 52 e6 a7 fa b1 b9 82 d4 66 ef 40 7a e5 c6
		14 ee 80 99 d5 28 44 eb 61 aa 95 df ab 4c 02 f7 2a a7 1e 7c 4c 4f 64 c9 be fe 2f ac c6 38 e8 f3
		cb ec 16 3f ac 46 9b 50 27 73 f6 fb 94 e6 64 da 91 65 b8 28 29 f6 41 e0 76 aa a8 26 6b 7f b0 f7
		b1 1b 36 99 07 e1 ad 43`)
	c, err := New(newSA("chacha20-poly1305", "", false, key, nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Open(packet, 5)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(plain, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
