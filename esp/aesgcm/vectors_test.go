package aesgcm_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/warrenvpn/warren/esp/aesgcm"
)

// data reads a file of the third-party vectors. They are not part of the
// project; CI must have them.
func data(t *testing.T, name string) []byte {
	t.Helper()
	dir := os.Getenv("WARREN_TEST_DATA")
	if dir == "" {
		dir = "../../../shared/data"
	}
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("third-party vectors are missing: %v", err)
		}
		t.Skipf("third-party vectors are not here (set WARREN_TEST_DATA): %v", err)
	}
	return b
}

// hexBytes is bytes that JSON writes in hexadecimal.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(b []byte) error {
	out, err := hex.DecodeString(string(b))
	*h = out
	return err
}

// TestWycheproof runs the vectors with our nonce and tag lengths.
func TestWycheproof(t *testing.T) {
	var file struct {
		Groups []struct {
			IVSize  int `json:"ivSize"`
			TagSize int `json:"tagSize"`
			Tests   []struct {
				ID                         int `json:"tcId"`
				Key, IV, AAD, Msg, CT, Tag hexBytes
				Result                     string
			} `json:"tests"`
		} `json:"testGroups"`
	}
	if err := json.Unmarshal(data(t, "wycheproof/aes_gcm_test.json"), &file); err != nil {
		t.Fatal(err)
	}
	each(t, func(t *testing.T, i aesgcm.Implementation) {
		ran := 0
		for _, g := range file.Groups {
			if g.IVSize != 96 || g.TagSize != 128 {
				continue
			}
			for _, v := range g.Tests {
				ran++
				a, err := i.New(v.Key)
				if err != nil {
					t.Fatal(err)
				}
				sealed := append(append([]byte(nil), v.CT...), v.Tag...)
				opened, err := a.Open(nil, v.IV, sealed, v.AAD)
				if v.Result == "invalid" {
					if err == nil {
						t.Errorf("test %d: opened", v.ID)
					}
					continue
				}
				if err != nil || !bytes.Equal(opened, v.Msg) {
					t.Errorf("test %d: opened % x, %v, want % x", v.ID, opened, err, v.Msg)
				}
				if got := a.Seal(nil, v.IV, v.Msg, v.AAD); !bytes.Equal(got, sealed) {
					t.Errorf("test %d: sealed % x, want % x", v.ID, got, sealed)
				}
			}
		}
		if ran < 100 {
			t.Errorf("only %d vectors were for us", ran)
		}
	})
}
