package suite_test

import (
	"encoding/csv"
	"encoding/hex"
	"strconv"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/ike/wire/wiretest"
	"github.com/warrenvpn/warren/internal/secret"
)

// TestDecryptCaptures opens recorded messages of other implementations with
// their keys: what is inside must be well-formed, and sealing it again with the
// same initialisation vector must give the same bytes.
func TestDecryptCaptures(t *testing.T) {
	aes256 := sa.Transform{Type: sa.Encryption, ID: sa.EncrAESCBC, KeyBits: 256}
	gcm256 := sa.Transform{Type: sa.Encryption, ID: sa.EncrAESGCM16, KeyBits: 256}
	sha256 := sa.Transform{Type: sa.Integrity, ID: sa.IntegSHA256128}
	tests := []struct {
		file, spi string
		proposal  sa.Proposal
	}{
		{"wireshark/ikev2-decrypt-aes256cbc.pcapng", "191ccd371a7a1f7b", sa.Proposal{aes256, sha256}},
		{"wireshark/ikev2-decrypt-aes256gcm16.pcap", "0158b8fb90b7623d", sa.Proposal{gcm256}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			keys := wiresharkKeys(t, tt.spi)
			s, err := suite.New(append(tt.proposal,
				sa.Transform{Type: sa.PRF, ID: sa.PRFHMACSHA256}, sa.Transform{Type: sa.KeyExchange, ID: sa.KEECP256}))
			if err != nil {
				t.Fatal(err)
			}
			opened := 0
			for _, b := range wiretest.Messages(t, tt.file) {
				m, err := wire.ParseMessage(b)
				if err != nil {
					t.Fatal(err)
				}
				sk, ok := wire.Find[wire.SK](m.Payloads)
				if !ok || strconv.FormatUint(m.SPIi, 16) != strings.TrimLeft(tt.spi, "0") {
					continue
				}
				enc, integ := keys.Er, keys.Ar
				if m.Initiator() {
					enc, integ = keys.Ei, keys.Ai
				}
				c, err := s.NewCipher(enc, integ)
				if err != nil {
					t.Fatal(err)
				}
				checkOpen(t, c, b, sk)
				opened++
			}
			if opened < 2 {
				t.Errorf("opened %d messages", opened)
			}
		})
	}
}

// checkOpen opens the message b, refuses it with any byte changed, and
// seals it again.
func checkOpen(t *testing.T, c *suite.Cipher, b []byte, sk wire.SK) {
	t.Helper()
	plain, err := c.Open(nil, b, sk.Offset)
	if err != nil {
		t.Fatalf("message %x: %v", b[:28], err)
	}
	ps, err := wire.ParsePayloads(sk.First, plain)
	if err != nil {
		t.Fatalf("payloads %x: %v", plain, err)
	}
	for _, p := range ps {
		t.Logf("%v %x", p.PayloadType(), p.AppendBody(nil))
	}
	bad := append([]byte(nil), b...)
	for i := range bad {
		bad[i] ^= 1
		if _, err := c.Open(nil, bad, sk.Offset); err != suite.ErrIntegrity {
			t.Fatalf("byte %d changed: %v", i, err)
		}
		bad[i] ^= 1
	}
	for n := range b {
		if _, err := c.Open(nil, b[:n], sk.Offset); err != suite.ErrIntegrity {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
}

// wiresharkKeys reads Wireshark's table of decryption keys.
func wiresharkKeys(t *testing.T, spi string) suite.Keys {
	t.Helper()
	r := csv.NewReader(strings.NewReader(string(wiretest.File(t, "wireshark/ikev2_decryption_table.tmpl"))))
	r.Comment = '#'
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if row[0] == spi {
			return suite.Keys{Ei: unhex(t, row[2]), Er: unhex(t, row[3]), Ai: unhex(t, row[5]), Ar: unhex(t, row[6])}
		}
	}
	t.Fatalf("no keys for %s", spi)
	return suite.Keys{}
}

// unhex decodes a key; one whose leading zero was left out gets it back.
func unhex(t *testing.T, s string) secret.Value {
	t.Helper()
	b, err := hex.DecodeString(strings.Repeat("0", len(s)%2) + s)
	if err != nil {
		t.Fatal(err)
	}
	return secret.New(b)
}
