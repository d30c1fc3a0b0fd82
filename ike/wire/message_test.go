package wire

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/esp/sa"
)

// saInit is the first message of Wireshark's ikev2-decrypt-aes256gcm16.pcap,
// sent by strongSwan.
const saInit = `0158b8fb90b7623d 0000000000000000 21202208 00000000 000000f8
	22000028 00000024 01010003 0300000c 01000014 800e0100 03000008 02000005 00000008 04000013
	28000048 00130000 4248498e074b233630bb01542d37308a52e14cdfa03bfa778b56ae63dab7912e
	ea25319fb2183e60a74d3d352ed219932ebc9d72a5a2c284816dbe4b286cc110
	29000024 cdda22134a2a1b97778d03afce21db2c302cec7b1ac62767ec74b505b636566a
	2900001c 00004004 66bad0f6278cc3104d0daac697000d49964bd180
	2900001c 00004005 beb343655a8d3eef79ec25ff5f1a1799935d1a56
	00000010 0000402f 0001000200030004`

// skDelete is the request of the same capture that ends the IKE SA.
const skDelete = `0158b8fb90b7623d 13514610cea16160 2e202500 00000000 00000041
	2a000025 84d4f502cfb09a1a 60d7c8efe7d5f46ac22c24c6aa94249bbd0f90b9ed1a9c9b09`

func TestMessage(t *testing.T) {
	b := unhex(t, saInit)
	m, err := ParseMessage(b)
	if err != nil {
		t.Fatal(err)
	}
	want := Header{SPIi: 0x0158b8fb90b7623d, NextPayload: TypeSA, Version: Version2, Exchange: IKESAInit,
		Flags: FlagInitiator, Length: 248}
	if diff := cmp.Diff(want, m.Header); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	if !m.Initiator() || m.Response() {
		t.Error("flags are read wrongly")
	}
	var kinds []string
	for _, p := range m.Payloads {
		kinds = append(kinds, p.PayloadType().String())
	}
	if got := strings.Join(kinds, " "); got != "SA KE nonce N N N" {
		t.Errorf("payloads %q", got)
	}
	if got := AppendMessage(nil, m.Header, m.Payloads...); !bytes.Equal(got, b) {
		t.Errorf("appended\n got %x\nwant %x", got, b)
	}
	for n := range b {
		if _, err := ParseMessage(b[:n]); err == nil {
			t.Errorf("prefix of %d bytes was accepted", n)
		}
	}
	if _, err := ParseMessage(append(b, 0)); err == nil {
		t.Error("a byte after the end was accepted")
	}
}

func TestFind(t *testing.T) {
	m, err := ParseMessage(unhex(t, saInit))
	if err != nil {
		t.Fatal(err)
	}
	if ke, ok := Find[KE](m.Payloads); !ok || ke.Group != 19 || len(ke.Data) != 64 {
		t.Errorf("KE: %v %v", ke, ok)
	}
	if _, ok := Find[Auth](m.Payloads); ok {
		t.Error("found an AUTH payload")
	}
	if n := m.Payloads.Count(TypeNotify); n != 3 {
		t.Errorf("%d notifications", n)
	}
	if _, ok := m.Payloads.Notify(NATDetectionDestinationIP); !ok {
		t.Error("no NAT detection")
	}
	if _, ok := m.Payloads.Notify(Cookie); ok {
		t.Error("found a cookie")
	}
	if n := len(m.Payloads.Notifies(NATDetectionSourceIP)); n != 1 {
		t.Errorf("%d notifications", n)
	}
}

func TestEncryptedIsLast(t *testing.T) {
	b := unhex(t, skDelete)
	m, err := ParseMessage(b)
	if err != nil {
		t.Fatal(err)
	}
	sk, ok := Find[SK](m.Payloads)
	if !ok || sk.First != TypeDelete || sk.Offset != 32 || !bytes.Equal(sk.Body, b[32:]) {
		t.Errorf("SK: %+v", sk)
	}
	if got := AppendMessage(nil, m.Header, m.Payloads...); !bytes.Equal(got, b) {
		t.Errorf("appended\n got %x\nwant %x", got, b)
	}
	if _, err := ParsePayloads(TypeSK, b[HeaderLen:]); err == nil {
		t.Error("an SK payload inside another was accepted")
	}
}

// TestMalformedMessages changes one thing in a good message.
func TestMalformedMessages(t *testing.T) {
	const critical = 0x80
	tests := []struct {
		name   string
		change func(b []byte) []byte
		notify NotifyType
		data   []byte // of the response
	}{
		{"version 1", func(b []byte) []byte { b[17] = 0x10; return b }, InvalidMajorVersion, []byte{0x20}},
		{"version 3", func(b []byte) []byte { b[17] = 0x30; return b }, InvalidMajorVersion, []byte{0x20}},
		{"minor version 1", func(b []byte) []byte { b[17] = 0x21; return b }, 0, nil},
		{"reserved flags", func(b []byte) []byte { b[19] |= 0xc7; return b }, 0, nil},
		{"unknown payload", func(b []byte) []byte { b[16] = 99; return b }, 0, nil},
		{"IKEv1 payload", func(b []byte) []byte { b[16] = 1; return b }, 0, nil},
		{"unknown critical payload", func(b []byte) []byte { b[16] = 99; b[29] = critical; return b },
			UnsupportedCriticalPayload, []byte{99}},
		{"known critical payload", func(b []byte) []byte { b[29] = critical; return b }, 0, nil},
		{"reserved bits of a payload", func(b []byte) []byte { b[29] = 0x7f; return b }, 0, nil},
		{"payload of length 0", func(b []byte) []byte { b[31] = 0; return b }, InvalidSyntax, nil},
		{"payload of length 3", func(b []byte) []byte { b[31] = 3; return b }, InvalidSyntax, nil},
		{"payload beyond the message", func(b []byte) []byte { b[30] = 0xff; return b }, InvalidSyntax, nil},
		{"chain ends early", func(b []byte) []byte { b[28] = 0; return b }, InvalidSyntax, nil},
		{"no payloads but bytes", func(b []byte) []byte { b[16] = 0; return b }, InvalidSyntax, nil},
		{"chain goes on after the end", func(b []byte) []byte { b[len(b)-16] = 41; return b }, InvalidSyntax, nil},
		{"length too low", func(b []byte) []byte { b[27]--; return b }, InvalidSyntax, nil},
		{"length too high", func(b []byte) []byte { b[27]++; return b }, InvalidSyntax, nil},
		{"length 4 GiB", func(b []byte) []byte { b[24] = 0xff; return b }, InvalidSyntax, nil},
		{"header only", func(b []byte) []byte { b[16], b[27] = 0, 28; return b[:28] }, 0, nil},
		{"larger than a datagram", func(b []byte) []byte {
			b[25], b[26], b[27] = 1, 0, 0
			return append(b, make([]byte, 65536-len(b))...)
		}, InvalidSyntax, nil},
	}
	for _, tt := range tests {
		_, err := ParseMessage(tt.change(unhex(t, saInit)))
		var e *Error
		switch {
		case tt.notify == 0 && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.notify != 0 &&
			(!errors.As(err, &e) || e.Notify != tt.notify || !bytes.Equal(e.Response().Data, tt.data)):
			t.Errorf("%s: got %v", tt.name, err)
		}
	}
}

// TestPayloadLimit has the most payloads that are accepted, and one more.
func TestPayloadLimit(t *testing.T) {
	for _, n := range []int{1, MaxPayloads, MaxPayloads + 1} {
		ps := make([]Payload, n)
		for i := range ps {
			ps[i] = Unknown{Number: 200}
		}
		_, err := ParsePayloads(200, AppendPayloads(nil, ps...))
		if (err == nil) != (n <= MaxPayloads) {
			t.Errorf("%d payloads: %v", n, err)
		}
	}
}

func TestCountLimits(t *testing.T) {
	many := func(n int) SA {
		var p SA
		for range n {
			p.Proposals = append(p.Proposals,
				Proposal{Number: 1, Protocol: ProtocolIKE, Transforms: make(sa.Proposal, 1)})
		}
		return p
	}
	wide := func(n int) SA { return SA{[]Proposal{{Number: 1, Transforms: make(sa.Proposal, n)}}} }
	attributes := func(n int) CP { return CP{CPRequest, make([]Attribute, n)} }
	tests := []struct {
		name string
		p    Payload
		ok   bool
	}{
		{"proposals", many(MaxProposals), true},
		{"proposals", many(MaxProposals + 1), false},
		{"transforms", wide(MaxTransforms), true},
		{"transforms", wide(MaxTransforms + 1), false},
		{"attributes", attributes(MaxAttributes), true},
		{"attributes", attributes(MaxAttributes + 1), false},
		{"SPIs", Delete{ProtocolESP, make([]sa.SPI, MaxDeletes)}, true},
		{"SPIs", Delete{ProtocolESP, make([]sa.SPI, MaxDeletes+1)}, false},
	}
	for _, tt := range tests {
		if _, err := parsePayload(tt.p.PayloadType(), tt.p.AppendBody(nil)); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestNames(t *testing.T) {
	tests := []struct{ got, want string }{
		{IKESAInit.String(), "IKE_SA_INIT"},
		{ExchangeType(99).String(), "exchange 99"},
		{TypeTSi.String(), "TSi"},
		{PayloadType(99).String(), "payload 99"},
		{TSUnacceptable.String(), "TS_UNACCEPTABLE"},
		{NotifyType(50000).String(), "notify 50000"},
		{IDFQDN.String(), "ID_FQDN"},
		{AuthSharedKey.String(), "shared key"},
		{InternalIP4DNS.String(), "INTERNAL_IP4_DNS"},
		{Version2.String(), "2.0"},
		{ProtocolESP.String(), "ESP"},
		{CPReply.String(), "CFG_REPLY"},
		{CertX509.String(), "X.509"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
	if !NoProposalChosen.IsError() || InitialContact.IsError() {
		t.Error("errors and states are mixed up")
	}
}

func TestSubnetAttributes(t *testing.T) {
	tests := []struct {
		value string
		want  string
	}{
		{"0a000000 ff000000", "10.0.0.0/8"},
		{"0a010203 ffffffff", "10.1.2.3/32"},
		{"00000000 00000000", "0.0.0.0/0"},
		{"0a000000 ff00ff00", ""},
		{"20010db8000000000000000000000000 20", "2001:db8::/32"},
		{"20010db8000000000000000000000000 81", ""},
		{"", ""},
	}
	for _, tt := range tests {
		p, ok := Attribute{Type: InternalIP4Subnet, Value: unhex(t, tt.value)}.Prefix()
		if ok != (tt.want != "") || ok && p.String() != tt.want {
			t.Errorf("%s: got %v %v, want %q", tt.value, p, ok, tt.want)
		}
		if ok && !bytes.Equal(PrefixAttribute(InternalIP4Subnet, p).Value, unhex(t, tt.value)) {
			t.Errorf("%s does not survive", tt.value)
		}
	}
}

func BenchmarkParseMessage(b *testing.B) {
	m := unhex(b, saInit)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseMessage(m); err != nil {
			b.Fatal(err)
		}
	}
}

// TestClearResponse: the answer has the SPIs and the number of what it answers, and
// says which of both ends sends it.
func TestClearResponse(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		flags      Flags
	}{
		{"to the initiator", "0102030405060708 1112131415161718 2920 2220 00000007 00000026 0000000a 00004006 aabb",
			FlagInitiator},
		{"to the responder", "0102030405060708 1112131415161718 2920 2228 00000007 00000026 0000000a 00004006 aabb", 0},
	} {
		h := &Header{SPIi: 0x0102030405060708, SPIr: 0x1112131415161718, Version: Version2, Exchange: IKESAInit,
			Flags: tt.flags, MessageID: 7, NextPayload: TypeSA, Length: 999}
		got := ClearResponse(h, Notify{Type: Cookie, Data: []byte{0xaa, 0xbb}})
		if !bytes.Equal(got, unhex(t, tt.want)) {
			t.Errorf("%s: got %x", tt.name, got)
		}
	}
}
