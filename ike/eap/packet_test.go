package eap

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPackets: each is read as it was written, no part of it is a packet, and nothing
// stands behind it.
func TestPackets(t *testing.T) {
	for text, p := range map[string]Packet{
		"01 07 0005 01":            {Code: Request, Identifier: 7, Type: TypeIdentity, Data: []byte{}},
		"02 07 000a 01 616c696365": {Code: Response, Identifier: 7, Type: TypeIdentity, Data: []byte("alice")},
		"02 08 0006 03 1a":         {Code: Response, Identifier: 8, Type: TypeNak, Data: []byte{26}},
		"03 ff 0004":               {Code: Success, Identifier: 255},
		"04 00 0004":               {Code: Failure},
	} {
		b := unhex(t, text)
		got, err := ParsePacket(b)
		if diff := cmp.Diff(p, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", text, err, diff)
		}
		if back := p.AppendTo(nil); !bytes.Equal(back, b) {
			t.Errorf("%s became %x", text, back)
		}
		for n := range b {
			if got, err := ParsePacket(b[:n]); err == nil {
				t.Errorf("%x is %v", b[:n], got)
			}
		}
		if _, err := ParsePacket(append(b, 0)); err == nil {
			t.Errorf("%s with a byte behind it is read", text)
		}
	}
	for _, text := range []string{"01 00 0004", "02 00 0004", "03 00 0005 00", "05 00 0004", "00 00 0005 01"} {
		if got, err := ParsePacket(unhex(t, text)); err == nil {
			t.Errorf("%s is %v", text, got)
		}
	}
}

func TestParseIdentity(t *testing.T) {
	for name, want := range map[string]string{
		"alice": "alice", `CORP\alice`: `CORP\alice`, "alice@example.org": "alice@example.org", "älice": "älice",
		"alice\x00networkid=x": "alice", "": "", "\x00": "", "al\nice": "", "al\x1b[2Jice": "", "\xff": "",
		"a\u202eb":               "",
		strings.Repeat("a", 253): strings.Repeat("a", 253), strings.Repeat("a", 254): "",
	} {
		got, err := ParseIdentity(Packet{Code: Response, Type: TypeIdentity, Data: []byte(name)})
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
	if _, err := ParseIdentity(Packet{Code: Request, Type: TypeIdentity, Data: []byte("a")}); err == nil {
		t.Error("a request says who somebody is")
	}
}

func FuzzParsePacket(f *testing.F) {
	f.Add([]byte{1, 7, 0, 5, 1})
	f.Add([]byte{2, 7, 0, 6, 3, 26})
	f.Add([]byte{3, 0, 0, 4})
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := ParsePacket(b); err == nil && !bytes.Equal(p.AppendTo(nil), b) {
			t.Errorf("%x became %x", b, p.AppendTo(nil))
		}
	})
}

func FuzzParseIdentity(f *testing.F) {
	f.Add([]byte("alice"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseIdentity(Packet{Code: Response, Type: TypeIdentity, Data: b})
		if err == nil && (s == "" || len(s) > MaxName || strings.ContainsAny(s, "\x00\n\x1b")) {
			t.Errorf("%q", s)
		}
	})
}
