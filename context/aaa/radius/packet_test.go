package radius

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

// octets reads hexadecimal with spaces.
func octets(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The example of RFC 2865 section 7.1: nemo logs in with the password arctangent, and the
// key is xyzzy5461.
const (
	rfcKey     = "xyzzy5461"
	rfcRequest = `01 00 00 38 0f 40 3f 94 73 97 80 57 bd 83 d5 cb 98 f4 22 7a
		01 06 6e 65 6d 6f 02 12 0d be 70 8d 93 d4 13 ce 31 96 e4 3f 78 2a 0a ee
		04 06 c0 a8 01 10 05 06 00 00 00 03`
	rfcAccept = `02 00 00 26 86 fe 22 0e 76 24 ba 2a 10 05 f6 bf 9b 55 e0 b2
		06 06 00 00 00 01 0f 06 00 00 00 00 0e 06 c0 a8 01 03`
)

func TestParsePacket(t *testing.T) {
	golden := octets(t, rfcRequest)
	p, err := ParsePacket(golden)
	if err != nil {
		t.Fatal(err)
	}
	if p.Code != AccessRequest || p.Identifier != 0 || p.Authenticator[0] != 0x0f {
		t.Errorf("header: %+v", p)
	}
	if v, ok := p.Attributes.Find(TypeUserName); !ok || string(v) != "nemo" {
		t.Errorf("User-Name: %q %t", v, ok)
	}
	if v, ok := p.Attributes.Find(TypeNASPort); !ok || !bytes.Equal(v, []byte{0, 0, 0, 3}) {
		t.Errorf("NAS-Port: %x %t", v, ok)
	}
	if _, ok := p.Attributes.Find(TypeState); ok {
		t.Error("there is no State")
	}
	if got := p.Append(nil); !bytes.Equal(got, golden) {
		t.Errorf("appended:\n%x\nwant\n%x", got, golden)
	}
	for n := range golden {
		if _, err := ParsePacket(golden[:n]); err == nil {
			t.Errorf("a packet of %d octets was read from %d", len(golden), n)
		}
	}
	if padded, err := ParsePacket(append(bytes.Clone(golden), 1, 2, 3)); err != nil ||
		!bytes.Equal(padded.Append(nil), golden) {
		t.Errorf("with padding: %v", err)
	}
}

func TestParsePacketRefuses(t *testing.T) {
	header := func(length string) string { return "02 00 " + length + strings.Repeat(" 00", 16) }
	for _, tt := range []struct {
		name, packet string
		want         error
	}{
		{"length below that of a header", header("00 13"), errShort},
		{"length above what came", header("00 15"), errShort},
		{"length above the largest", "02 00 10 01" + strings.Repeat(" 00", 4093), errLong},
		{"attribute of length 0", header("00 16") + " 01 00", errAttribute},
		{"attribute of length 1", header("00 16") + " 01 01", errAttribute},
		{"attribute beyond the packet", header("00 17") + " 01 04 61", errAttribute},
		{"half an attribute", header("00 15") + " 01", errAttribute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := ParsePacket(octets(t, tt.packet)); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestSplitAndJoin(t *testing.T) {
	for _, size := range []int{1, 252, 253, 254, 506, 610, 2000} {
		var a Attributes
		want := bytes.Repeat([]byte{0xe5}, size)
		if err := a.Split(TypeEAPMessage, want); err != nil {
			t.Fatal(err)
		}
		n := 0
		for typ, v := range a.All() {
			n++
			if typ != TypeEAPMessage || len(v) > MaxValue || len(v) < MaxValue && n != (size+MaxValue-1)/MaxValue {
				t.Errorf("%d octets: attribute %d has %d", size, n, len(v))
			}
		}
		if got, ok := a.Join(TypeEAPMessage); !ok || !bytes.Equal(got, want) {
			t.Errorf("%d octets: %d joined", size, len(got))
		}
	}
	var none Attributes
	if err := none.Split(TypeEAPMessage, nil); err != nil || len(none.raw) != 0 {
		t.Error("nothing makes an attribute")
	}
	if _, ok := none.Join(TypeEAPMessage); ok {
		t.Error("nothing is an EAP packet")
	}
}

func TestAddBounds(t *testing.T) {
	var a Attributes
	if err := a.Add(TypeClass, make([]byte, MaxValue+1)); !errors.Is(err, errValue) {
		t.Errorf("254 octets: %v", err)
	}
	if err := a.Split(TypeEAPMessage, make([]byte, MaxPacket)); !errors.Is(err, errFull) {
		t.Errorf("4096 octets: %v", err)
	}
	p := Packet{Attributes: a}
	if n := len(p.Append(nil)); n > MaxPacket {
		t.Errorf("a packet has %d octets", n)
	}
	if err := a.Append(Attributes{raw: make([]byte, 500)}); !errors.Is(err, errFull) {
		t.Errorf("appending 500 octets: %v", err)
	}
	if err := a.addVendor(vendorMicrosoft, 1, make([]byte, 248)); !errors.Is(err, errValue) {
		t.Errorf("248 octets of a vendor: %v", err)
	}
}

func FuzzParsePacket(f *testing.F) {
	f.Add(octets(f, rfcRequest))
	f.Add(octets(f, rfcAccept))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePacket(b)
		if err != nil {
			return
		}
		got := p.Append(nil)
		if !bytes.Equal(got, b[:len(got)]) {
			t.Errorf("% x was read, % x is written", b, got)
		}
		for range p.Attributes.vendor() {
		}
	})
}

func FuzzParseAttributes(f *testing.F) {
	f.Add(octets(f, rfcRequest)[headerSize:])
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ParseAttributes(b)
		if err == nil && !bytes.Equal(a.raw, b) {
			t.Errorf("% x was read, % x is kept", b, a.raw)
		}
	})
}
