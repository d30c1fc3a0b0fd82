package identity

import (
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/ike/wire"
)

// cn returns "asn1dn:CN=gw" with the string type tag.
func cn(tag string) string { return "300d310b3009060355040" + "3" + tag + "026777" }

func TestIdentity(t *testing.T) {
	tests := []struct {
		text   string
		kind   wire.IDType
		data   string // hexadecimal if it begins with "#"
		prints string // empty: text
	}{
		{"198.51.100.1", wire.IDIPv4, "#c6336401", ""},
		{"2001:db8::1", wire.IDIPv6, "#20010db8000000000000000000000001", ""},
		{"2001:DB8:0::1", wire.IDIPv6, "#20010db8000000000000000000000001", "2001:db8::1"},
		{"::ffff:198.51.100.1", wire.IDIPv4, "#c6336401", "198.51.100.1"},
		{"gw.example", wire.IDFQDN, "gw.example", ""},
		{"fqdn:gw.example", wire.IDFQDN, "gw.example", "gw.example"},
		{"fqdn:198.51.100.1", wire.IDFQDN, "198.51.100.1", ""},
		{"fqdn:a@b", wire.IDFQDN, "a@b", ""},
		{"fqdn:keyid:a", wire.IDFQDN, "keyid:a", ""},
		{"user@example", wire.IDRFC822, "user@example", ""},
		{"email:user", wire.IDRFC822, "user", ""},
		{"keyid:branch-7", wire.IDKeyID, "branch-7", ""},
		{"keyid:#0aff", wire.IDKeyID, "#0aff", ""},
		{"keyid:#62", wire.IDKeyID, "b", "keyid:b"},
		{"asn1dn:CN=gw", wire.IDDN, "#" + cn("13"), ""},
		{"asn1dn: cn = gw ", wire.IDDN, "#" + cn("13"), "asn1dn:CN=gw"},
		{"asn1dn:#" + cn("0c"), wire.IDDN, "#" + cn("0c"), "asn1dn:CN=gw"},
		{"asn1dn:#3000", wire.IDDN, "#3000", ""},
		{"asn1dn:#ff", wire.IDDN, "#ff", ""},
		{`asn1dn:CN=a\, b+OU=x\+y,O=Example Ltd.,C=CH`, wire.IDDN, "", `asn1dn:OU=x\+y+CN=a\, b,O=Example Ltd.,C=CH`},
		{"asn1dn:1.2.840.113549.1.9.1=#160361406 2", 0, "", ""},
		{"asn1dn:1.2.840.113549.1.9.1=#1603614062", wire.IDDN, "", "asn1dn:1.2.840.113549.1.9.1=#0c03614062"},
		{"", 0, "", ""},
		{"two words", 0, "", ""},
		{"bell\x07", 0, "", ""},
		{"fe80::1%eth0", 0, "", ""},
		{"keyid:", 0, "", ""},
		{"keyid:#0", 0, "", ""},
		{"asn1dn:", 0, "", ""},
		{"asn1dn:gw", 0, "", ""},
		{"asn1dn:XX=gw", 0, "", ""},
		{"asn1dn:CN=", 0, "", ""},
		{`asn1dn:CN=a\`, 0, "", ""},
		{"asn1dn:CN=#16", 0, "", ""},
		{"asn1dn:9999999999999.1=a", 0, "", ""},
		{"asn1dn:7.1=a", 0, "", ""},
		{strings.Repeat("a", 1025), 0, "", ""},
	}
	for _, tt := range tests {
		id, err := Parse(tt.text)
		if (err == nil) != (tt.kind != 0) {
			t.Errorf("%q: %v %v", tt.text, id, err)
			continue
		}
		if err != nil {
			continue
		}
		data := tt.data
		if h, ok := strings.CutPrefix(data, "#"); ok {
			b, err := hex.DecodeString(h)
			if err != nil {
				t.Fatal(err)
			}
			data = string(b)
		}
		if id.Type != tt.kind || data != "" && id.Data != data {
			t.Errorf("%q: %v %x", tt.text, id.Type, id.Data)
		}
		want := tt.prints
		if want == "" {
			want = tt.text
		}
		if got := id.String(); got != want {
			t.Errorf("%q: printed %q, want %q", tt.text, got, want)
		}
		if back, err := Parse(id.String()); err != nil || !back.Equal(id) {
			t.Errorf("%q: %q is read as %v %v", tt.text, id.String(), back, err)
		}
		if FromWire(id.Wire()) != id {
			t.Errorf("%q does not survive the wire", tt.text)
		}
	}
}

// TestHostileIdentity prints what a peer may send: nothing but what can be
// printed, and never the text of another identity.
func TestHostileIdentity(t *testing.T) {
	tests := []struct {
		id   Identity
		want string
	}{
		{Identity{wire.IDFQDN, "gw.example\x00.evil"}, `ID_FQDN "gw.example\x00.evil"`},
		{Identity{wire.IDFQDN, "a\x1b[31m\n\";id;"}, `ID_FQDN "a\x1b[31m\n\";id;"`},
		{Identity{wire.IDRFC822, "u@e\u202emoc"}, `ID_RFC822_ADDR "u@e\u202emoc"`},
		{Identity{wire.IDFQDN, ""}, `ID_FQDN ""`},
		{Identity{wire.IDFQDN, "asn1dn:CN=gw"}, "fqdn:asn1dn:CN=gw"},
		{Identity{wire.IDKeyID, "\x00"}, "keyid:#00"},
		{Identity{wire.IDKeyID, "#00"}, "keyid:#233030"},
		{Identity{wire.IDIPv4, "abc"}, "ID_IPV4_ADDR #616263"},
		{Identity{wire.IDGN, "x"}, "ID_DER_ASN1_GN #78"},
		{Identity{wire.IDType(200), "x"}, "identity type 200 #78"},
		{Identity{wire.IDNull, ""}, "ID_NULL #"},
		{Identity{}, ""},
	}
	for _, tt := range tests {
		if got := tt.id.String(); got != tt.want {
			t.Errorf("%v %q: got %s, want %s", tt.id.Type, tt.id.Data, got, tt.want)
		}
	}
}

func TestFromAddr(t *testing.T) {
	for addr, want := range map[string]string{"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1",
		"fe80::1%x": "fe80::1"} {
		if got := FromAddr(netip.MustParseAddr(addr)).String(); got != want {
			t.Errorf("%s: got %s", addr, got)
		}
	}
}

func TestPattern(t *testing.T) {
	raw := func(kind wire.IDType, data string) Identity { return Identity{kind, data} }
	id := func(text string) Identity {
		id, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	dn, err := hex.DecodeString(cn("0c")) // UTF8String, where Parse makes a PrintableString
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		pattern string
		id      Identity
		want    bool
	}{
		{"*", id("a@b"), true},
		{"*", raw(wire.IDKeyID, "\x00"), true},
		{"*", Identity{}, false},
		{"*@example.com", id("user@example.com"), true},
		{"*@example.com", id("USER@Example.COM"), true},
		{"*@example.com", id("user@sub.example.com"), false},
		{"*@example.com", id("user@example.com.evil"), false},
		{"*@example.com", raw(wire.IDRFC822, "@example.com"), false},
		{"*@example.com", raw(wire.IDRFC822, "a@b@example.com"), false},
		{"*@example.com", raw(wire.IDRFC822, "a\x00@example.com"), false},
		{"*@example.com", raw(wire.IDFQDN, "user@example.com"), false},
		{"*@example.com", raw(wire.IDKeyID, "user@example.com"), false},
		{"*.example.com", id("a.example.com"), true},
		{"*.example.com", id("a.b.example.com"), true},
		{"*.example.com", id("example.com"), false},
		{"*.example.com", raw(wire.IDFQDN, ".example.com"), false},
		{"*.example.com", raw(wire.IDFQDN, "..example.com"), false},
		{"*.example.com", id("aexample.com"), false},
		{"*.example.com", id("a.example.com.evil"), false},
		{"*.example.com", raw(wire.IDFQDN, "a.evil\x00.example.com"), false},
		{"gw.example", id("GW.example"), true},
		{"gw.example", raw(wire.IDFQDN, "gw.example\x00"), false},
		{"gw.example", raw(wire.IDFQDN, "gw.example."), false},
		{"gw.example", raw(wire.IDRFC822, "gw.example"), false},
		{"kiosk", raw(wire.IDFQDN, "\u212aiosk"), false}, // the Kelvin sign folds to k
		{"198.51.100.1", id("198.51.100.1"), true},
		{"198.51.100.1", raw(wire.IDFQDN, "198.51.100.1"), false},
		{"198.51.100.1", id("198.51.100.2"), false},
		{"keyid:A", id("keyid:a"), false},
		{"keyid:a", id("keyid:a"), true},
		{"asn1dn:CN=gw", raw(wire.IDDN, string(dn)), true},
		{"asn1dn:CN=gw", raw(wire.IDDN, string(dn)+"\x00"), false},
		{"asn1dn:CN=gw", raw(wire.IDDN, string(dn[:len(dn)-1])), false},
		{"asn1dn:CN=gw", id("asn1dn:CN=gw,O=x"), false},
		{"asn1dn:CN=gw", id("asn1dn:CN=GW"), false},
		{"asn1dn:CN=gw", id("asn1dn:OU=gw"), false},
		{"asn1dn:CN=*,OU=laptops,O=Example", id("asn1dn:CN=alice,OU=laptops,O=Example"), true},
		{"asn1dn:CN=*,OU=laptops,O=Example", id("asn1dn:CN=alice,OU=phones,O=Example"), false},
		{"asn1dn:CN=*,OU=laptops,O=Example", id("asn1dn:CN=alice,OU=Laptops,O=Example"), false},
		{"asn1dn:CN=*,OU=laptops,O=Example", id("asn1dn:CN=alice,OU=x,OU=laptops,O=Example"), false},
		{"asn1dn:CN=*,OU=laptops,O=Example", id("asn1dn:OU=laptops,O=Example"), false},
		{"asn1dn:CN=*,OU=laptops,O=Example", id("asn1dn:O=Example,OU=laptops,CN=alice"), false},
		{"asn1dn:CN=*,OU=laptops,O=Example", id("asn1dn:CN=alice+SERIALNUMBER=7,OU=laptops,O=Example"), false},
		{"asn1dn:CN=*+SERIALNUMBER=7,O=Example", id("asn1dn:SERIALNUMBER=7+CN=alice,O=Example"), true},
		{"asn1dn:CN=*+SERIALNUMBER=7,O=Example", id("asn1dn:SERIALNUMBER=8+CN=alice,O=Example"), false},
		{"asn1dn:CN=*,O=*", id("asn1dn:CN=alice,O=Example"), true},
		{"asn1dn:CN=*", id("user@example.com"), false},
		{"asn1dn:CN=*", raw(wire.IDDN, string(dn)), true},
		{"asn1dn:CN=*", raw(wire.IDDN, string(dn)+"\x00"), false},
		{"asn1dn:CN=*", raw(wire.IDDN, "gw"), false},
		{`asn1dn:CN=\*`, id("asn1dn:CN=gw"), false},
		{`asn1dn:CN=\*`, id(`asn1dn:CN=\*`), true},
	}
	for _, tt := range tests {
		p, err := ParsePattern(tt.pattern)
		if err != nil {
			t.Errorf("%q: %v", tt.pattern, err)
			continue
		}
		if got := p.Matches(tt.id); got != tt.want {
			t.Errorf("%q matches %v: %v, want %v", tt.pattern, tt.id, got, tt.want)
		}
	}
	for _, bad := range []string{"", "**", "*@", "*.", "*x", "*@a@b", "*.*.example", "*@ex ample", "a b",
		"asn1dn:CN=*,x", "asn1dn:CN=*+CN=a", "asn1dn:CN=*,O=#0401ff"} {
		if p, err := ParsePattern(bad); err == nil {
			t.Errorf("%q is read as %+v", bad, p)
		}
	}
	if (Pattern{}).Matches(id("a")) || (Pattern{}).Matches(Identity{}) {
		t.Error("the zero Pattern matches")
	}
}

// FuzzParse reads what it prints.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"gw.example", "user@example", "198.51.100.1", "2001:db8::1", "keyid:#00ff",
		`asn1dn:CN=a\,b,O=x`, "*"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := Parse(text)
		if err != nil {
			return
		}
		if back, err := Parse(id.String()); len(id.String()) <= maxIdentity && (err != nil || !back.Equal(id)) {
			t.Fatalf("%q: %q is read as %v: %v", text, id, back, err)
		}
	})
}

// FuzzIdentityFromWire prints whatever a peer may send: only what can be
// printed, and what is read back is the same identity.
func FuzzIdentityFromWire(f *testing.F) {
	for i := range 14 {
		f.Add(uint8(i), []byte("gw.example"))
	}
	f.Add(uint8(9), []byte{0x30, 0x0d, 0x31, 0x0b, 0x30, 0x09, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, 0x02, 0x67, 0x77})
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		id := FromWire(wire.ID{Type: wire.IDType(kind), Data: data})
		text := id.String()
		for _, r := range text {
			if !strconv.IsPrint(r) {
				t.Fatalf("%q", text)
			}
		}
		if back, err := Parse(text); err == nil && !back.Equal(id) {
			t.Fatalf("%v %x prints %q, which is %v %x", id.Type, id.Data, text, back.Type, back.Data)
		}
		for _, p := range []string{"*@example.com", "*.example.com", "gw.example", "asn1dn:CN=gw"} {
			pattern, err := ParsePattern(p)
			if err != nil {
				t.Fatal(err)
			}
			pattern.Matches(id)
		}
	})
}

// FuzzParsePattern must not panic, and a pattern without a star matches what
// it names.
func FuzzParsePattern(f *testing.F) {
	for _, s := range []string{"*", "*@example.com", "*.example.com", "gw.example",
		"asn1dn:CN=*,OU=laptops,O=Example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePattern(text)
		if err != nil || strings.HasPrefix(text, "*") || p.dn != nil {
			return
		}
		if id, err := Parse(text); err != nil || !p.Matches(id) {
			t.Fatalf("%q does not match itself: %v", text, err)
		}
	})
}
