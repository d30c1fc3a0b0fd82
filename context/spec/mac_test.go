package spec

import (
	"encoding/json"
	"testing"
)

func TestParseMAC(t *testing.T) {
	for text, want := range map[string]string{
		"02:00:5e:10:00:0a": "02:00:5e:10:00:0a",
		"02-00-5E-10-00-0A": "02:00:5e:10:00:0a",
		"0200.5e10.000a":    "02:00:5e:10:00:0a",
		"":                  "error", "02:00:5e:10:00": "error", "02:00:5e:10:00:0g": "error", "02005e10000a": "error",
		"01:00:5e:10:00:0a": "error", "00:00:00:00:00:00": "error", "02:00-5e:10:00:0a": "error",
		"ff:ff:ff:ff:ff:ff": "error", "02:00:5e:10:00:é": "error", "éé:éé:éé:éé:éé:éé": "error",
	} {
		got := "error"
		if m, err := ParseMAC(text); err == nil {
			got = m.String()
		}
		if got != want {
			t.Errorf("ParseMAC(%q) = %s, want %s", text, got, want)
		}
	}
}

func TestMACInJSON(t *testing.T) {
	for _, m := range []MAC{{}, {2, 0, 0x5e, 0x10, 0, 1}} {
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var back MAC
		if err := json.Unmarshal(b, &back); err != nil || back != m {
			t.Errorf("%s became %s: %v", m, back, err)
		}
	}
	var m MAC
	if err := json.Unmarshal([]byte(`"x"`), &m); err == nil {
		t.Error("a MAC of one letter was accepted")
	}
}

func FuzzParseMAC(f *testing.F) {
	f.Add("02:00:5e:10:00:0a")
	f.Add("0200.5e10.000a")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := ParseMAC(text)
		if err != nil {
			return
		}
		if back, err := ParseMAC(m.String()); err != nil || back != m {
			t.Errorf("%q: %v became %v: %v", text, m, back, err)
		}
	})
}
