package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/warrenvpn/warren/esp/sa"
)

// unhex decodes hexadecimal with blanks in it.
func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// golden are bodies of payloads with what they mean. "captured" ones are from
// decrypted or clear messages of strongSwan in Wireshark's test captures, the
// others are laid out by hand after the figures of the section named.
var golden = []struct {
	name string
	kind PayloadType
	body string
	want Payload
}{
	{"SA captured, IKE", TypeSA, "00000024 01010003 0300000c 01000014 800e0100 03000008 02000005 00000008 04000013",
		SA{[]Proposal{{Number: 1, Protocol: ProtocolIKE, Transforms: sa.Proposal{
			{Type: sa.Encryption, ID: sa.EncrAESGCM16, KeyBits: 256},
			{Type: sa.PRF, ID: sa.PRFHMACSHA256},
			{Type: sa.KeyExchange, ID: sa.KEECP256},
		}}}}},
	{"SA captured, ESP", TypeSA,
		"00000028 01030403 ce245507 0300000c 01000015 800e0100 03000008 02000005 00000008 05000000",
		SA{[]Proposal{{Number: 1, Protocol: ProtocolESP, SPI: []byte{0xce, 0x24, 0x55, 0x07}, Transforms: sa.Proposal{
			{Type: sa.Encryption, ID: 21, KeyBits: 256},
			{Type: sa.PRF, ID: 5},
			{Type: sa.Sequence, ID: sa.SeqShort},
		}}}}},
	{"SA, two proposals, unknown transform type and attribute", TypeSA, `
		02000018 01010002 03000008 f1000007 00000008 02000005
		00000028 02010002 0300000c 0100000c 800e0080 00000014 0100000c 800e0080 80220007 00230000`,
		SA{[]Proposal{
			{Number: 1, Protocol: ProtocolIKE, Transforms: sa.Proposal{{Type: 0xf1, ID: 7}, {Type: sa.PRF, ID: 5}}},
			{Number: 2, Protocol: ProtocolIKE, Transforms: sa.Proposal{
				{Type: sa.Encryption, ID: sa.EncrAESCBC, KeyBits: 128}, {Type: sa.Encryption, ID: sa.EncrAESCBC},
			}, Odd: map[int][]byte{1: {0x80, 0x0e, 0, 0x80, 0x80, 0x22, 0, 7, 0, 0x23, 0, 0}}},
		}}},
	{"KE captured", TypeKE, `00130000 4248498e074b233630bb01542d37308a52e14cdfa03bfa778b56ae63dab7912e
		ea25319fb2183e60a74d3d352ed219932ebc9d72a5a2c284816dbe4b286cc110`, nil},
	{"IDi captured", TypeIDi, "01000000 c0a80102", IDi{ID{Type: IDIPv4, Data: []byte{192, 168, 1, 2}}}},
	{"IDr captured", TypeIDr, "01000000 c0a8010e", IDr{ID{Type: IDIPv4, Data: []byte{192, 168, 1, 14}}}},
	{"IDr with reserved bytes", TypeIDr, "02010203 6777",
		IDr{ID{Type: IDFQDN, Reserved: [3]byte{1, 2, 3}, Data: []byte("gw")}}},
	{"CERT, section 3.6", TypeCert, "04 3003020105", Cert{CertX509, []byte{0x30, 3, 2, 1, 5}}},
	{"CERTREQ, section 3.7", TypeCertReq, "04 000102030405060708090a0b0c0d0e0f10111213", nil},
	{"AUTH captured", TypeAuth, "02000000 bc404a4c66a36c59a0b3fd700bbc5597176ad2c5e5df5bba82c4a6b6b4ef8b31", nil},
	{"nonce captured", TypeNonce, "cdda22134a2a1b97778d03afce21db2c302cec7b1ac62767ec74b505b636566a", nil},
	{"N captured, NAT detection", TypeNotify, "00004004 66bad0f6278cc3104d0daac697000d49964bd180",
		Notify{Type: NATDetectionSourceIP, Data: []byte{0x66, 0xba, 0xd0, 0xf6, 0x27, 0x8c, 0xc3, 0x10, 0x4d, 0x0d,
			0xaa, 0xc6, 0x97, 0, 0x0d, 0x49, 0x96, 0x4b, 0xd1, 0x80}}},
	{"N captured, hash algorithms", TypeNotify, "0000402f 0001000200030004",
		Notify{Type: SignatureHashAlgorithms, Data: []byte{0, 1, 0, 2, 0, 3, 0, 4}}},
	{"N captured, initial contact", TypeNotify, "00004000", Notify{Type: InitialContact}},
	{"N, rekey", TypeNotify, "03044009 01020304", Notify{Protocol: ProtocolESP, SPI: []byte{1, 2, 3, 4},
		Type: RekeySA}},
	{"D captured", TypeDelete, "01000000", Delete{Protocol: ProtocolIKE}},
	{"D, section 3.11", TypeDelete, "03040002 01020304 a0b0c0d0",
		Delete{ProtocolESP, []sa.SPI{0x01020304, 0xa0b0c0d0}}},
	{"V, section 3.12", TypeVendor, "4f4505", Vendor{[]byte{0x4f, 0x45, 5}}},
	{"TSi captured", TypeTSi, "01000000 07000010 0000ffff c0a80102 c0a80102",
		TSi{TS{Selectors: []sa.Selector{sa.SelectorOf(netip.MustParsePrefix("192.168.1.2/32"))}}}},
	{"TSr, both families and one unknown", TypeTSr, `03000000 07110010 00350035 0a000000 0affffff
		08000028 0000ffff 20010db8000000000000000000000000 20010db8ffffffffffffffffffffffff 0a000008 01020304`,
		TSr{TS{
			Selectors: []sa.Selector{
				{Start: netip.MustParseAddr("10.0.0.0"), End: netip.MustParseAddr("10.255.255.255"), Protocol: 17,
					StartPort: 53, EndPort: 53},
				sa.SelectorOf(netip.MustParsePrefix("2001:db8::/32")),
			},
			Others: []OtherSelector{{10, []byte{0, 1, 2, 3, 4}}},
		}}},
	{"SK, section 3.14", TypeSK, "0001020304050607 a0a1a2a3",
		SK{Body: []byte{0, 1, 2, 3, 4, 5, 6, 7, 0xa0, 0xa1, 0xa2, 0xa3}, Offset: payloadHeaderLen}},
	{"SKF, RFC 7383 section 2.5", TypeSKF, "00020003 0001020304", SKF{Number: 2, Total: 3, Body: []byte{0, 1, 2, 3, 4},
		Offset: payloadHeaderLen + fragmentHeaderLen}},
	{"CP, section 3.15 request", TypeCP, "01000000 00010000 00030000 00080000 70010002 abcd",
		CP{CPRequest, []Attribute{{Type: InternalIP4Address}, {Type: InternalIP4DNS}, {Type: InternalIP6Address},
			{0x7001, []byte{0xab, 0xcd}}}}},
	{"CP, section 3.15 reply", TypeCP, `02000000 00010004 0a4d0001 00030004 0a4d00fe 000d0008 0a000000ff000000
		00080011 20010db8000000000000000000000001 40`,
		CP{CPReply, []Attribute{
			AddrAttribute(InternalIP4Address, netip.MustParseAddr("10.77.0.1")),
			AddrAttribute(InternalIP4DNS, netip.MustParseAddr("10.77.0.254")),
			PrefixAttribute(InternalIP4Subnet, netip.MustParsePrefix("10.0.0.0/8")),
			PrefixAttribute(InternalIP6Address, netip.MustParsePrefix("2001:db8::1/64")),
		}}},
	{"EAP, section 3.16", TypeEAP, "01010005 01", EAP{[]byte{1, 1, 0, 5, 1}}},
	{"unknown", 200, "0102", Unknown{Number: 200, Body: []byte{1, 2}}},
}

var compareValues = cmp.Options{cmpopts.EquateComparable(netip.Addr{})}

func TestGolden(t *testing.T) {
	for _, tt := range golden {
		t.Run(tt.name, func(t *testing.T) {
			body := unhex(t, tt.body)
			chain := append([]byte{0, 0, 0, byte(4 + len(body))}, body...)
			parse := func(b []byte) (Payloads, error) { return parseChain(tt.kind, b, 0) }

			ps, err := parse(chain)
			if err != nil {
				t.Fatal(err)
			}
			got := ps[0]
			if tt.want != nil {
				if diff := cmp.Diff(tt.want, got, compareValues); diff != "" {
					t.Errorf("parsed (-want +got):\n%s", diff)
				}
			}
			if got.PayloadType() != tt.kind {
				t.Errorf("type %v, want %v", got.PayloadType(), tt.kind)
			}
			if out := AppendPayloads(nil, got); !bytes.Equal(out, chain) {
				t.Errorf("appended\n got %x\nwant %x", out, chain)
			}
			again, err := parse(AppendPayloads(nil, got))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(ps, again, compareValues); diff != "" {
				t.Errorf("appended and parsed (-want +got):\n%s", diff)
			}
			for n := range chain {
				if _, err := parse(chain[:n]); err == nil {
					t.Errorf("prefix of %d bytes was accepted", n)
				}
			}
			if _, err := parse(append(chain[:len(chain):len(chain)], 0)); err == nil {
				t.Error("a byte after the end was accepted")
			}
		})
	}
}

// TestPrefixOfBody cuts the bodies themselves: those that are not simply
// opaque must notice.
func TestPrefixOfBody(t *testing.T) {
	for _, tt := range golden {
		fixed := map[PayloadType]int{ // what of the body is needed; the rest is opaque data of any length
			TypeKE: 5, TypeIDr: 5, TypeCert: 2, TypeCertReq: 1, TypeAuth: 5, TypeNonce: MinNonce, TypeSK: 1, TypeSKF: 5,
		}
		need, opaque := fixed[tt.kind]
		if tt.kind == TypeNotify || tt.kind == TypeVendor || tt.kind >= 200 {
			continue
		}
		body := unhex(t, tt.body)
		for n := range body {
			if strings.HasPrefix(tt.name, "IDr captured") {
				need = len(body)
			}
			if opaque && n >= need {
				break
			}
			// A CP request cut between attributes is a shorter request.
			if tt.kind == TypeCP && n >= 4 {
				break
			}
			if p, err := parsePayload(tt.kind, body[:n]); err == nil {
				t.Errorf("%s: %d bytes accepted: %v", tt.name, n, p)
			}
		}
	}
}

func TestRefusedPayloads(t *testing.T) {
	tests := []struct {
		name string
		kind PayloadType
		body string
	}{
		{"SA empty", TypeSA, ""},
		{"SA without transforms", TypeSA, "00000008 01010000"},
		{"SA whose last proposal says more", TypeSA, "02000010 01010001 00000008 01000003"},
		{"SA with a bad proposal mark", TypeSA, "01000010 01010001 00000008 01000003"},
		{"SA whose transform count is too low", TypeSA, "00000018 01010001 00000008 01000003 00000008 02000002"},
		{"SA whose transform count is too high", TypeSA, "00000010 01010002 03000008 01000003"},
		{"SA whose last transform says more", TypeSA, "00000010 01010001 03000008 01000003"},
		{"SA with transform length 0", TypeSA, "00000010 01010001 00000000 01000003"},
		{"SA with proposal length 0", TypeSA, "00000000 01010001 00000008 01000003"},
		{"SA with SPI beyond the proposal", TypeSA, "00000010 0101ff01 00000008 01000003"},
		{"SA with attribute beyond the transform", TypeSA, "00000014 01010001 0000000c 01000003 000e00ff"},
		{"SA with a cut attribute", TypeSA, "00000012 01010001 0000000a 01000003 800e"},
		{"ID address of 3 bytes", TypeIDi, "01000000 0a0000"},
		{"ID IPv6 address of 4 bytes", TypeIDi, "05000000 0a000001"},
		{"ID without data", TypeIDr, "02000000"},
		{"ID null with data", TypeIDr, "0d000000 01"},
		{"nonce of 257 bytes", TypeNonce, strings.Repeat("00", 257)},
		{"N whose SPI is beyond the end", TypeNotify, "03054009 01020304"},
		{"D for IKE with SPIs", TypeDelete, "01080001 0102030405060708"},
		{"D with SPIs of 8 bytes", TypeDelete, "03080001 0102030405060708"},
		{"D with SPIs missing", TypeDelete, "03040002 01020304"},
		{"D with an SPI too many", TypeDelete, "03040001 01020304 01020304"},
		{"TS with no selectors", TypeTSi, "00000000"},
		{"TS with a selector too many", TypeTSr,
			"01000000 07000010 0000ffff c0a80102 c0a80102 07000010 0000ffff c0a80102 c0a80102"},
		{"TS IPv4 of IPv6's length", TypeTSi,
			"01000000 07000028 0000ffff 20010db8000000000000000000000000 20010db8ffffffffffffffffffffffff"},
		{"TS with length 3", TypeTSi, "01000000 0a000003"},
		{"SKF number 0", TypeSKF, "00000001 00"},
		{"SKF number beyond total", TypeSKF, "00020001 00"},
		{"SKF total too high", TypeSKF, "00010101 00"},
		{"CP address of 3 bytes", TypeCP, "02000000 00010003 0a0000"},
		{"CP attribute beyond the end", TypeCP, "02000000 000100ff 0a000001"},
		{"EAP with another length inside", TypeEAP, "01010006 01"},
	}
	for _, tt := range tests {
		_, err := parsePayload(tt.kind, unhex(t, tt.body))
		var e *Error
		if !errors.As(err, &e) || e.Notify != InvalidSyntax || e.Payload != tt.kind {
			t.Errorf("%s: got %v", tt.name, err)
		}
	}
}
