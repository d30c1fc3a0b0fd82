package identity

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestIdentityInJSON: what was parsed is the same, byte by byte, in another process.
func TestIdentityInJSON(t *testing.T) {
	for _, text := range []string{
		"", "198.51.100.1", "2001:db8::1", "gw.example", "fqdn:198.51.100.1", "email:user", "keyid:branch-7",
		"keyid:#0aff", "keyid:ä",
		"asn1dn:CN=gw,O=Example", "asn1dn:#3000", "keyid:" + strings.Repeat("ä", 500),
		"asn1dn:CN=" + strings.Repeat("x", 1000),
	} {
		var id, back Identity
		if text != "" {
			var err error
			if id, err = Parse(text); err != nil {
				t.Fatal(err)
			}
		}
		b, err := json.Marshal(id)
		if err == nil {
			err = json.Unmarshal(b, &back)
		}
		if err != nil || back != id {
			t.Errorf("%q: %s became %v, %v", text, b, back, err)
		}
	}
	var id Identity
	for _, text := range []string{`"two words"`, `"` + strings.Repeat("a", maxText+1) + `"`} {
		if err := json.Unmarshal([]byte(text), &id); err == nil {
			t.Errorf("%.20q was accepted as %v", text, id)
		}
	}
}

// TestPatternInJSON: a pattern is the text that it was read from.
func TestPatternInJSON(t *testing.T) {
	for _, text := range []string{"", "*", "*.example", "*@Example", "asn1dn:CN=*,O=Example", "keyid:#0aff",
		"user@example"} {
		var p, back Pattern
		if text != "" {
			var err error
			if p, err = ParsePattern(text); err != nil {
				t.Fatal(err)
			}
		}
		b, err := json.Marshal(p)
		if err == nil {
			err = json.Unmarshal(b, &back)
		}
		if err != nil || p.String() != text || !back.Equal(p) || back.Rank() != p.Rank() {
			t.Errorf("%q: %s became %v, %v", text, b, back, err)
		}
	}
	var p Pattern
	if err := json.Unmarshal([]byte(`"*x"`), &p); err == nil {
		t.Errorf("*x was accepted as %v", p)
	}
}
