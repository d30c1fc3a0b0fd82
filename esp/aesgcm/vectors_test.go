package aesgcm_test

import (
	"bytes"
	"testing"

	"github.com/warrenvpn/warren/esp/aesgcm"
	"github.com/warrenvpn/warren/internal/datatest"
)

// TestWycheproof runs the vectors with our nonce and tag lengths.
func TestWycheproof(t *testing.T) {
	var file struct {
		Groups []struct {
			IVSize  int `json:"ivSize"`
			TagSize int `json:"tagSize"`
			Tests   []struct {
				ID                         int `json:"tcId"`
				Key, IV, AAD, Msg, CT, Tag datatest.Hex
				Result                     string
			} `json:"tests"`
		} `json:"testGroups"`
	}
	datatest.JSON(t, "wycheproof/aes_gcm_test.json", &file)
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
