package radius

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/internal/secret"
)

// authenticator is the reader from which the request of RFC 2865 has its authenticator.
func authenticator(t testing.TB) *bytes.Reader {
	return bytes.NewReader(octets(t, rfcRequest)[4:headerSize])
}

func TestUserPassword(t *testing.T) {
	for _, tt := range []struct{ name, password, want string }{
		{"RFC 2865", "arctangent", "0d be 70 8d 93 d4 13 ce 31 96 e4 3f 78 2a 0a ee"},
		{"three blocks, by another implementation", "a password that needs three blocks....",
			`0dec639881c903c42d86c44b104b7ececd5894eabf6db23274bfda63da8915fc76f4aff5fb4d1ff37a2cf769d778884f`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := newCall(&Request{Password: secret.Copy([]byte(tt.password))}, 7, secret.Copy([]byte(rfcKey)),
				authenticator(t))
			if err != nil {
				t.Fatal(err)
			}
			p, err := ParsePacket(c.packet)
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := p.Attributes.Find(TypeUserPassword); !bytes.Equal(got, octets(t, tt.want)) {
				t.Errorf("got %x", got)
			}
		})
	}
	long := secret.Copy([]byte(strings.Repeat("x", MaxPassword+1)))
	if _, err := newCall(&Request{Password: long}, 7, secret.Copy([]byte(rfcKey)), authenticator(t)); err == nil {
		t.Error("129 octets are no password")
	}
}

// TestSignedFirst: the Message-Authenticator stands before all that others choose.
func TestSignedFirst(t *testing.T) {
	r := &Request{State: []byte("state"), EAP: bytes.Repeat([]byte{2}, 600)}
	if err := r.Attributes.Add(TypeUserName, []byte("alice")); err != nil {
		t.Fatal(err)
	}
	c, err := newCall(r, 9, secret.Copy([]byte(rfcKey)), authenticator(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.packet[headerSize]; Type(got) != TypeMessageAuthenticator {
		t.Errorf("the first attribute is %d", got)
	}
	if signed, err := c.signed(bytes.Clone(c.packet)); !signed || err != nil {
		t.Errorf("signed: %t %v", signed, err)
	}
	p, err := ParsePacket(c.packet)
	if err != nil {
		t.Fatal(err)
	}
	var types []Type
	for typ := range p.Attributes.All() {
		types = append(types, typ)
	}
	if want := []Type{80, 1, 24, 79, 79, 79}; !slices.Equal(types, want) {
		t.Errorf("attributes %v, want %v", types, want)
	}
	if eap, _ := p.Attributes.Join(TypeEAPMessage); !bytes.Equal(eap, r.EAP) {
		t.Errorf("EAP: %d octets", len(eap))
	}
}

func TestMSCHAPv2(t *testing.T) {
	m := &MSCHAPv2{Identifier: 5}
	copy(m.Challenge[:], bytes.Repeat([]byte{1}, 16))
	copy(m.PeerChallenge[:], bytes.Repeat([]byte{2}, 16))
	copy(m.NTResponse[:], bytes.Repeat([]byte{3}, 24))
	c, err := newCall(&Request{MSCHAPv2: m}, 9, secret.Copy([]byte(rfcKey)), authenticator(t))
	if err != nil {
		t.Fatal(err)
	}
	p, err := ParsePacket(c.packet)
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := p.Attributes.findVendor(311, 11); !bytes.Equal(v, m.Challenge[:]) {
		t.Errorf("MS-CHAP-Challenge: %x", v)
	}
	want := octets(t, "05 00"+strings.Repeat(" 02", 16)+strings.Repeat(" 00", 8)+strings.Repeat(" 03", 24))
	if v, _ := p.Attributes.findVendor(311, 25); !bytes.Equal(v, want) {
		t.Errorf("MS-CHAP2-Response: %x", v)
	}

	success := "S=" + strings.Repeat("0123456789", 4)
	var a Attributes
	if err := a.addVendor(vendorMicrosoft, msCHAP2Success, append([]byte{5}, success...)); err != nil {
		t.Fatal(err)
	}
	if got, ok := MSCHAPv2Success(a); !ok || got != success {
		t.Errorf("MS-CHAP2-Success: %q %t", got, ok)
	}
	if err := a.addVendor(vendorMicrosoft, msCHAPError, []byte("\x05E=691 R=0")); err != nil {
		t.Fatal(err)
	}
	if got, ok := MSCHAPError(a); !ok || got != "E=691 R=0" {
		t.Errorf("MS-CHAP-Error: %q %t", got, ok)
	}
}

// TestMSK: the Access-Accept is layeh.com/radius's, of 2023, with keys of 32 and 16 octets.
func TestMSK(t *testing.T) {
	c := rfcCall(t)
	c.identifier = 7
	p, err := c.verify(octets(t, `020700788657813649a5fa4cc85a8dcff6a9f09e
		1a3a000001371134f2a1b54114229c37369ebb10eaeef9c04e88700be8fe3bf9dee819187c1908196025cabd7c610333bbd247340e8367c77202
		1a2a000001371024affb0720da52fc73573ebd127db0082f8ab22085874c8199d99eb87d5d3bc3120b70`), true)
	if err != nil {
		t.Fatal(err)
	}
	msk, err := c.msk(p.Attributes)
	if err != nil {
		t.Fatal(err)
	}
	if want := "0123456789abcdef0123456789ABCDEFfedcba9876543210" + strings.Repeat("\x00", 16); string(
		msk.Reveal()) != want {
		t.Errorf("MSK %q", msk.Reveal())
	}

	recv, _ := p.Attributes.findVendor(vendorMicrosoft, msMPPERecvKey)
	for n := range recv {
		if _, err := c.mppeKey(recv[:n]); err == nil {
			t.Errorf("%d octets are a key", n)
		}
	}
	var half Attributes
	if err := half.addVendor(vendorMicrosoft, msMPPERecvKey, recv); err != nil {
		t.Fatal(err)
	}
	if _, err := c.msk(half); err == nil {
		t.Error("half an MSK is none")
	}
	if msk, err := c.msk(Attributes{}); err != nil || msk.Len() != 0 {
		t.Errorf("without keys: %d octets, %v", msk.Len(), err)
	}
}

func FuzzMPPEKey(f *testing.F) {
	f.Add(binary.BigEndian.AppendUint16(nil, 0x8001))
	f.Fuzz(func(t *testing.T, b []byte) {
		if key, err := rfcCall(t).mppeKey(b); err == nil && (len(key) == 0 || len(key) > mskHalf) {
			t.Errorf("a key of %d octets", len(key))
		}
	})
}
