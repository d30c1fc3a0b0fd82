package eap

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestVectors are those of RFC 2759 section 9.2 and RFC 3079 section 3.5.3.
func TestVectors(t *testing.T) {
	for _, name := range []string{"User", `CORP\User`} {
		c := Credentials{Name: name, NTHash: NTHash("clientPass")}
		copy(c.Server[:], unhex(t, "5B5D7C7D7B3F2F3E3C2C602132262628"))
		copy(c.Peer[:], unhex(t, "21402324255E262A28295F2B3A337C7E"))
		response := c.Response()
		msk := c.MSK(response).Reveal()
		for _, tt := range []struct {
			what      string
			got, want []byte
		}{
			{"hash", c.NTHash.Reveal(), unhex(t, "44EBBA8D5312B8D611474411F56989AE")},
			{"challenge", c.challenge(), unhex(t, "D02E4386BCE91226")},
			{"response", response[:], unhex(t, "82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF")},
			{"authenticator", []byte(c.Authenticator(response)), []byte("S=407A5589115FD0D6209F510FE9C04566932CDA56")},
			{"what the server sends with", msk[16:32], unhex(t, "8B7CDC149B993A1BA118CB153F56DCCB")},
			{"padding", msk[32:], make([]byte, 32)},
		} {
			if !bytes.Equal(tt.got, tt.want) {
				t.Errorf("%s, %s: %X, want %X", name, tt.what, tt.got, tt.want)
			}
		}
	}
}

// TestNTHash: a password is UTF-16LE, whatever it consists of.
func TestNTHash(t *testing.T) {
	for password, want := range map[string]string{
		"test":     "0CB6948805F797BF2A82807973B89537",
		"pässwörd": "0553152250AC01ADB4213CB9938663E4",
		"":         "31D6CFE0D16AE931B73C59D7E0C089C0",
	} {
		if got := NTHash(password).Reveal(); !bytes.Equal(got, unhex(t, want)) {
			t.Errorf("%q: %X, want %s", password, got, want)
		}
	}
}
