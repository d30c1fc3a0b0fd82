package suite

import (
	"bytes"
	"encoding/csv"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/ike/wire/wiretest"
	"github.com/warrenvpn/warren/internal/datatest"
	"github.com/warrenvpn/warren/internal/secret"
)

// TestDecryptCaptures opens recorded messages of other implementations with
// their keys: what is inside must be well-formed, and no change or cut of the message
// may be accepted.
func TestDecryptCaptures(t *testing.T) {
	aes256 := sa.Transform{Type: sa.Encryption, ID: sa.EncrAESCBC, KeyBits: 256}
	gcm256 := sa.Transform{Type: sa.Encryption, ID: sa.EncrAESGCM16, KeyBits: 256}
	des3 := sa.Transform{Type: sa.Encryption, ID: sa.Encr3DES}
	sha1 := sa.Transform{Type: sa.Integrity, ID: sa.IntegSHA1_96}
	sha256 := sa.Transform{Type: sa.Integrity, ID: sa.IntegSHA256128}
	tests := []struct {
		file     string
		keys     Keys
		proposal sa.Proposal
		icv      int // not 0: the checksum is longer than the transform says
		count    int
	}{
		{"wireshark/ikev2-decrypt-aes256cbc.pcapng", wiresharkKeys(t, "191ccd371a7a1f7b"),
			sa.Proposal{aes256, sha256}, 0, 2},
		{"wireshark/ikev2-decrypt-aes256gcm16.pcap", wiresharkKeys(t, "0158b8fb90b7623d"), sa.Proposal{gcm256}, 0, 4},
		// HMAC_SHA1_160, which only Fibre Channel uses, is otherwise the same.
		{"wireshark/ikev2-decrypt-3des-sha1_160.pcap", wiresharkKeys(t, "19ab98963486359f"),
			sa.Proposal{des3, sha1}, 20, 1},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			s, err := New(append(tt.proposal,
				sa.Transform{Type: sa.PRF, ID: sa.PRFHMACSHA256}, sa.Transform{Type: sa.KeyExchange, ID: sa.KEECP256}))
			if err != nil {
				t.Fatal(err)
			}
			if tt.icv > 0 {
				s.integ.icvLen = tt.icv
			}
			opened := 0
			for _, b := range wiretest.Messages(t, tt.file) {
				m, err := wire.ParseMessage(b)
				if err != nil {
					t.Fatal(err)
				}
				sk, ok := wire.Find[wire.SK](m.Payloads)
				if !ok {
					continue
				}
				enc, integ := tt.keys.Er, tt.keys.Ar
				if m.Initiator() {
					enc, integ = tt.keys.Ei, tt.keys.Ai
				}
				c, err := s.NewCipher(enc, integ)
				if err != nil {
					t.Fatal(err)
				}
				checkOpen(t, c, b, sk)
				opened++
			}
			if opened < tt.count {
				t.Errorf("opened %d messages", opened)
			}
		})
	}
}

// checkOpen opens the message b, and refuses it with any byte changed or cut off.
func checkOpen(t *testing.T, c *Cipher, b []byte, sk wire.SK) {
	t.Helper()
	plain, err := c.Open(nil, b, sk.Offset)
	if err != nil {
		t.Fatalf("message %x: %v", b[:28], err)
	}
	ps, err := wire.ParsePayloads(sk.First, plain)
	if err != nil {
		t.Fatalf("payloads %x: %v", plain, err)
	}
	// Whoever sealed it appended these payloads and nothing else.
	if again := wire.AppendPayloads(nil, ps...); !bytes.Equal(again, plain) {
		t.Errorf("payloads\n got %x\nwant %x", again, plain)
	}
	bad := append([]byte(nil), b...)
	for i := range bad {
		bad[i] ^= 1
		if _, err := c.Open(nil, bad, sk.Offset); err != ErrIntegrity {
			t.Fatalf("byte %d changed: %v", i, err)
		}
		bad[i] ^= 1
	}
	for n := range b {
		if _, err := c.Open(nil, b[:n], sk.Offset); err != ErrIntegrity {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
}

// wiresharkKeys reads Wireshark's table of decryption keys.
func wiresharkKeys(t *testing.T, spi string) Keys {
	t.Helper()
	r := csv.NewReader(strings.NewReader(string(datatest.File(t, "wireshark/ikev2_decryption_table.tmpl"))))
	r.Comment = '#'
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if row[0] == spi {
			return Keys{Ei: hexKey(t, row[2]), Er: hexKey(t, row[3]), Ai: hexKey(t, row[5]), Ar: hexKey(t, row[6])}
		}
	}
	t.Fatalf("no keys for %s", spi)
	return Keys{}
}

// hexKey decodes a key; one whose leading zero was left out gets it back.
func hexKey(t *testing.T, s string) secret.Value {
	t.Helper()
	b, err := hex.DecodeString(strings.Repeat("0", len(s)%2) + s)
	if err != nil {
		t.Fatal(err)
	}
	return secret.New(b)
}
