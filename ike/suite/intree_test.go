package suite

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/secret"
)

// The vectors of this file are part of the project, for those who do not have
// the third-party files that the other tests read.

// TestPRFVectors has test case 1 of RFC 2202 and RFC 4231.
func TestPRFVectors(t *testing.T) {
	tests := []struct {
		id     uint16
		keyLen int
		want   string
	}{
		{sa.PRFHMACMD5, 16, "9294727a3638bb1c13f48ef8158bfc9d"},
		{sa.PRFHMACSHA1, 20, "b617318655057264e28bc0b6fb378c8ef146be00"},
		{sa.PRFHMACSHA256, 20, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
		{sa.PRFHMACSHA384, 20, `afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59c
			faea9ea9076ede7f4af152e8b2fa9cb6`},
		{sa.PRFHMACSHA512, 20, `87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde
			daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854`},
	}
	for _, tt := range tests {
		prf, ok := NewPRF(tt.id)
		if !ok {
			t.Fatalf("no PRF %d", tt.id)
		}
		key := bytes.Repeat([]byte{0x0b}, tt.keyLen)
		if got := prf.Sum(key, []byte("Hi "), []byte("There")); !bytes.Equal(got, unhex(t, tt.want)) {
			t.Errorf("PRF %d: %x", tt.id, got)
		}
	}
	if _, ok := NewPRF(4); ok {
		t.Error("a PRF that is not supported")
	}
}

// TestKDFVector was computed with libreswan's NIST CAVP program (HMAC-SHA2-256).
func TestKDFVector(t *testing.T) {
	s, err := New(sa.Proposal{
		{Type: sa.Encryption, ID: sa.EncrAESCBC, KeyBits: 256}, {Type: sa.Integrity, ID: sa.IntegSHA256128},
		{Type: sa.PRF, ID: sa.PRFHMACSHA256}, {Type: sa.KeyExchange, ID: sa.KEX25519},
	})
	if err != nil {
		t.Fatal(err)
	}
	x := &Exchange{
		Shared: secret.New(unhex(t, "d1ef487a4cf9520415d948f2ad31704b6b3ca04d85c993f3f2db0f4555ae4136")),
		Ni:     unhex(t, "b96c943f040e898f91113812c7d52f5a"),
		Nr:     unhex(t, "12ae317819a3a4c063bd8178061543a9"),
		SPIi:   0xb415724ec11cf11e,
		SPIr:   0xa72fa98c766e6582,
	}
	k := s.DeriveKeys(x)
	checkPrefix(t, 0, "DKM",
		unhex(t, `83ece089864bfefc19eec91d875bce116a84c5abd14d78621e7f33d570b5390628f58ea9aa06bf2e6cf9b2e1d5fba3b4
		2246e964c58d3128b6874326ede5f06c33c48f09219df6dfb0cee4855bd263a785955bc1cc343e4ae8d30aeab1f07658
		a18f3a3baa127483a190243b2e9a14f37243bd2895edafe3abd99953783e15a519c3eff3d0ee829ecf19fb214d188eea
		672612ef61e33855f810f5f5e3cd9317ab61ce0c64b73e67166e207552ed12ecacd12864257880f35c8f4bd80fb853c7
		799c9490efc06d3a4adc217d0376d462382fe14803a0674b2f5edaac6a587296`), k.D, k.Ai, k.Ar, k.Ei, k.Er, k.Pi, k.Pr)
	toR, toI, err := s.DeriveChild(k.D, &Exchange{Ni: x.Ni, Nr: x.Nr}, s.Proposal())
	if err != nil {
		t.Fatal(err)
	}
	checkPrefix(t, 0, "child",
		unhex(t, `3d2eca0f40b8cab0aa96a35d1bff2e48c44c612040c2016b249dd2f5dd16991a62f325839f2db202db171c95a71b25c8
		ab4f11c7114e53062a4088279f0e92c984a10fb7ec4151603280e38301c5c3d3264229342264edbe134cdcfbe914b58f
		1c528699b9bf37fade594ca5156c32e664084e63c2d057893b703b66954c04a2`), toR.Encryption, toR.Integrity,
		toI.Encryption, toI.Integrity)
}

// TestRecordedMessage is a message of strongSwan with AES-GCM-256, from
// Wireshark's ikev2-decrypt-aes256gcm16.pcap, with its key.
func TestRecordedMessage(t *testing.T) {
	s, err := New(sa.Proposal{
		{Type: sa.Encryption, ID: sa.EncrAESGCM16, KeyBits: 256},
		{Type: sa.PRF, ID: sa.PRFHMACSHA256}, {Type: sa.KeyExchange, ID: sa.KEECP256},
	})
	if err != nil {
		t.Fatal(err)
	}
	key := unhex(t, "15c9eae6f94631d63068bf44bb69999abc07b3d15e915fd8f0ed99ad481efd75deb02a5e")
	c, err := s.NewCipher(secret.New(key), secret.Value{})
	if err != nil {
		t.Fatal(err)
	}
	b := unhex(t, `0158b8fb90b7623d13514610cea161602e20250000000000000000412a000025
		84d4f502cfb09a1a60d7c8efe7d5f46ac22c24c6aa94249bbd0f90b9ed1a9c9b09`)
	m, err := wire.ParseMessage(b)
	if err != nil {
		t.Fatal(err)
	}
	sk, _ := wire.Find[wire.SK](m.Payloads)
	plain, err := c.Open(nil, b, sk.Offset)
	if err != nil {
		t.Fatal(err)
	}
	ps, err := wire.ParsePayloads(sk.First, plain)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wire.Payloads{wire.Delete{Protocol: wire.ProtocolIKE}}, ps); diff != "" {
		t.Errorf("payloads (-want +got):\n%s", diff)
	}
	again, err := c.Seal(nil, m.Header, 0x84d4f502cfb09a1a, nil, ps...)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again, b) {
		t.Errorf("sealed again\n got %x\nwant %x", again, b)
	}
}
