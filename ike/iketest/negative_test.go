package iketest

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/secret"
)

var strangerAddr = netip.MustParseAddrPort("192.0.2.66:500")

// alone is a gateway with nobody but a stranger.
func alone(t *testing.T, tune func(*exchange.Config)) (*Lab, *Node, *Stranger) {
	t.Helper()
	l := New(11, Faults{})
	cfg := GatewayConfig()
	if tune != nil {
		tune(&cfg)
	}
	g := l.Add("gateway", GatewayAddr, cfg)
	g.Authorise = Grant
	t.Cleanup(func() { noTrouble(t, l) })
	return l, g, NewStranger(g, strangerAddr)
}

// without returns ps without the payloads of one type.
func without(ps wire.Payloads, t wire.PayloadType) wire.Payloads {
	return slices.DeleteFunc(slices.Clone(ps), func(p wire.Payload) bool { return p.PayloadType() == t })
}

// replaced returns ps with the payload of p's type replaced by p.
func replaced(ps wire.Payloads, p wire.Payload) wire.Payloads {
	ps = slices.Clone(ps)
	for i := range ps {
		if ps[i].PayloadType() == p.PayloadType() {
			ps[i] = p
		}
	}
	return ps
}

// notifyOf returns the first error notification of a message in clear.
func notifyOf(b []byte) string {
	m, err := wire.ParseMessage(b)
	if err != nil {
		return err.Error()
	}
	return errorOf(m.Payloads)
}

func errorOf(ps wire.Payloads) string {
	for _, p := range ps {
		if n, ok := p.(wire.Notify); ok && (n.Type.IsError() || n.Type == wire.Cookie) {
			return n.Type.String()
		}
	}
	return ""
}

// TestBadInit: what IKE_SA_INIT must refuse, without keeping anything, and
// without answering more than it was sent.
func TestBadInit(t *testing.T) {
	offer := func(p ...sa.Transform) wire.SA {
		return wire.SA{Proposals: []wire.Proposal{{Number: 1, Protocol: wire.ProtocolIKE, Transforms: p}}}
	}
	enc := sa.Transform{Type: sa.Encryption, ID: sa.EncrAESGCM16, KeyBits: 256}
	prf := sa.Transform{Type: sa.PRF, ID: sa.PRFHMACSHA256}
	x25519 := sa.Transform{Type: sa.KeyExchange, ID: sa.KEX25519}
	tests := []struct {
		name string
		make func(s *Stranger) []byte
		want string // notification; "": silence
	}{
		{"response bit", func(s *Stranger) []byte {
			h := s.Header(wire.IKESAInit, 0)
			h.Flags |= wire.FlagResponse
			return wire.AppendMessage(nil, h, s.InitPayloads()...)
		}, ""},
		{"not from the initiator", func(s *Stranger) []byte {
			h := s.Header(wire.IKESAInit, 0)
			h.Flags = 0
			return wire.AppendMessage(nil, h, s.InitPayloads()...)
		}, ""},
		{"message ID 1", func(s *Stranger) []byte {
			return wire.AppendMessage(nil, s.Header(wire.IKESAInit, 1), s.InitPayloads()...)
		}, ""},
		{"SPI of zero", func(s *Stranger) []byte {
			s.SPI = 0
			return wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0), s.InitPayloads()...)
		}, ""},
		{"responder SPI", func(s *Stranger) []byte {
			s.Peer = 7
			return wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0), s.InitPayloads()...)
		}, ""},
		{"version 3", func(s *Stranger) []byte {
			b := wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0), s.InitPayloads()...)
			b[17] = 0x30
			return b
		}, "INVALID_MAJOR_VERSION"},
		{"version 3, short", func(s *Stranger) []byte {
			b := wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0))
			b[17] = 0x30
			return b
		}, ""},
		{"IKEv1", func(s *Stranger) []byte {
			b := wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0), s.InitPayloads()...)
			b[17] = 0x10
			return b
		}, ""},
		{"unknown critical payload", func(s *Stranger) []byte {
			ps := append(s.InitPayloads(), wire.Unknown{Number: 200, Critical: true, Body: []byte("x")})
			return wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0), ps...)
		}, "UNSUPPORTED_CRITICAL_PAYLOAD"},
		{"payload length of zero", func(s *Stranger) []byte {
			b := wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0), s.InitPayloads()...)
			binary.BigEndian.PutUint16(b[30:], 0)
			return b
		}, ""},
		{"payload beyond the end", func(s *Stranger) []byte {
			b := wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0), s.InitPayloads()...)
			binary.BigEndian.PutUint16(b[30:], 0xffff)
			return b
		}, ""},
		{"no SA", func(s *Stranger) []byte {
			return wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0), without(s.InitPayloads(), wire.TypeSA)...)
		}, ""},
		{"no KE", func(s *Stranger) []byte {
			return wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0), without(s.InitPayloads(), wire.TypeKE)...)
		}, ""},
		{"no nonce", func(s *Stranger) []byte {
			return wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0), without(s.InitPayloads(), wire.TypeNonce)...)
		}, ""},
		{"two nonces", func(s *Stranger) []byte {
			return wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0),
				append(s.InitPayloads(), wire.Nonce{Data: s.ni})...)
		}, ""},
		{"too many payloads (CVE-2026-12413)", func(s *Stranger) []byte {
			ps := s.InitPayloads()
			for range wire.MaxPayloads {
				ps = append(ps, wire.Unknown{Number: 200})
			}
			return wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0), ps...)
		}, ""},
		{"no key exchange in the proposal (CVE-2016-5391)", func(s *Stranger) []byte {
			return wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0), replaced(s.InitPayloads(), offer(enc, prf))...)
		}, "NO_PROPOSAL_CHOSEN"},
		{"no PRF (CVE-2018-10811)", func(s *Stranger) []byte {
			return wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0),
				replaced(s.InitPayloads(), offer(enc, x25519))...)
		}, "NO_PROPOSAL_CHOSEN"},
		{"PRF MD5 only", func(s *Stranger) []byte {
			p := offer(enc, sa.Transform{Type: sa.PRF, ID: sa.PRFHMACMD5}, x25519)
			return wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0), replaced(s.InitPayloads(), p)...)
		}, "NO_PROPOSAL_CHOSEN"},
		{"group 1025 (CVE-2014-9221)", func(s *Stranger) []byte {
			p := offer(enc, prf, sa.Transform{Type: sa.KeyExchange, ID: 1025})
			return wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0), replaced(s.InitPayloads(), p)...)
		}, "NO_PROPOSAL_CHOSEN"},
		{"KE of another group", func(s *Stranger) []byte {
			return wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0),
				replaced(s.InitPayloads(), wire.KE{Group: 14, Data: make([]byte, 256)})...)
		}, "INVALID_KE_PAYLOAD"},
		{"KE too short (CVE-2023-41913)", func(s *Stranger) []byte {
			return wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0),
				replaced(s.InitPayloads(), wire.KE{Group: sa.KEX25519, Data: make([]byte, 31)})...)
		}, "INVALID_SYNTAX"},
		{"KE too long (CVE-2023-41913)", func(s *Stranger) []byte {
			return wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0),
				replaced(s.InitPayloads(), wire.KE{Group: sa.KEX25519, Data: make([]byte, 4096)})...)
		}, "INVALID_SYNTAX"},
		{"informational from nowhere (CVE-2009-0790)", func(s *Stranger) []byte {
			s.Peer = 9
			return wire.AppendMessage(nil, s.Header(wire.Informational, 0), wire.Delete{Protocol: wire.ProtocolIKE})
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, g, s := alone(t, nil)
			b := tt.make(s)
			sent := s.Send(b)
			got := ""
			if len(sent) > 0 {
				got = notifyOf(sent[0])
				if len(sent) > 1 || len(sent[0]) > len(b) {
					t.Errorf("%d answers, %d bytes to %d", len(sent), len(sent[0]), len(b))
				}
			}
			if got != tt.want || len(g.Engine.Status()) != 0 || g.Recorded() != 0 {
				t.Errorf("answer %q, want %q; state kept: %v", got, tt.want, g.Engine.Status())
			}
			if s := NewStranger(g, strangerAddr); !s.Connect() {
				t.Error("a good client is not served afterwards")
			}
		})
	}
}

// TestBadAuth: what IKE_AUTH must refuse, with what, and what the operator reads.
func TestBadAuth(t *testing.T) {
	id := func(text string) identity.Identity {
		i, err := identity.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	client := id("client@example")
	const key = "key of the client"
	tests := []struct {
		name   string
		make   func(s *Stranger) wire.Payloads
		want   string
		reason string
	}{
		{"wrong key", func(s *Stranger) wire.Payloads { return s.AuthPayloads(client, "wrong") },
			"AUTHENTICATION_FAILED", "wrong pre-shared key or identity of peer client@example"},
		{"our own key (reflection)", func(s *Stranger) wire.Payloads {
			return s.AuthPayloads(client, "key of the gateway")
		},
			"AUTHENTICATION_FAILED", "wrong pre-shared key"},
		{"unknown identity (CVE-2024-2357)", func(s *Stranger) wire.Payloads {
			return s.AuthPayloads(id("eve@evil"), key)
		},
			"AUTHENTICATION_FAILED", "no tunnel group is for peer eve@evil"},
		{"another IDr", func(s *Stranger) wire.Payloads {
			return append(s.AuthPayloads(client, key), wire.IDr{ID: id("other.example").Wire()})
		}, "AUTHENTICATION_FAILED", "wants to reach other.example"},
		{"hostile identity (CVE-2023-28771)", func(s *Stranger) wire.Payloads {
			return s.AuthPayloads(identity.Identity{Type: wire.IDFQDN, Data: "\";id;\x00\n\x1b[31m%n"}, key)
		}, "AUTHENTICATION_FAILED", "no tunnel group is for peer "},
		{"huge identity (CVE-2023-33009)", func(s *Stranger) wire.Payloads {
			return s.AuthPayloads(identity.Identity{Type: wire.IDKeyID, Data: strings.Repeat("A", 60000)}, key)
		}, "AUTHENTICATION_FAILED", "no tunnel group is for peer "},
		{"no AUTH: EAP is wanted", func(s *Stranger) wire.Payloads {
			return without(s.AuthPayloads(client, key), wire.TypeAuth)
		}, "AUTHENTICATION_FAILED", "wants EAP"},
		{"empty AUTH (CVE-2013-2944)", func(s *Stranger) wire.Payloads {
			return replaced(s.AuthPayloads(client, key), wire.Auth{Method: wire.AuthSharedKey, Data: []byte{}})
		}, "INVALID_SYNTAX", "AUTH payload"},
		{"AUTH cut by one byte (CVE-2026-50721)", func(s *Stranger) wire.Payloads {
			ps := s.AuthPayloads(client, key)
			a, _ := wire.Find[wire.Auth](ps)
			return replaced(ps, wire.Auth{Method: a.Method, Data: a.Data[:len(a.Data)-1]})
		}, "AUTHENTICATION_FAILED", "wrong pre-shared key"},
		{"AUTH longer by one byte (CVE-2026-50722)", func(s *Stranger) wire.Payloads {
			ps := s.AuthPayloads(client, key)
			a, _ := wire.Find[wire.Auth](ps)
			return replaced(ps, wire.Auth{Method: a.Method, Data: append(a.Data[:len(a.Data):len(a.Data)], 0)})
		}, "AUTHENTICATION_FAILED", "wrong pre-shared key"},
		{"RSA signature", func(s *Stranger) wire.Payloads {
			return replaced(s.AuthPayloads(client, key), wire.Auth{Method: wire.AuthRSA, Data: make([]byte, 256)})
		}, "AUTHENTICATION_FAILED", "authenticates with"},
		{"NULL authentication", func(s *Stranger) wire.Payloads {
			return replaced(s.AuthPayloads(client, key), wire.Auth{Method: wire.AuthNull, Data: []byte{0}})
		}, "AUTHENTICATION_FAILED", "authenticates with"},
		{"no IDi", func(s *Stranger) wire.Payloads { return without(s.AuthPayloads(client, key), wire.TypeIDi) },
			"INVALID_SYNTAX", "IDi"},
		{"no SA", func(s *Stranger) wire.Payloads { return without(s.AuthPayloads(client, key), wire.TypeSA) },
			"INVALID_SYNTAX", "SA"},
		{"no TSr (CVE-2023-23009)", func(s *Stranger) wire.Payloads {
			return without(s.AuthPayloads(client, key), wire.TypeTSr)
		}, "INVALID_SYNTAX", "TSr"},
		{"unknown critical payload", func(s *Stranger) wire.Payloads {
			return append(s.AuthPayloads(client, key), wire.Unknown{Number: 201, Critical: true})
		}, "UNSUPPORTED_CRITICAL_PAYLOAD", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, g, s := alone(t, nil)
			if !s.Init() {
				t.Fatal("IKE_SA_INIT was not answered")
			}
			b := s.Seal(wire.IKEAuth, 1, tt.make(s)...)
			sent := s.Send(b)
			if len(sent) != 1 {
				t.Fatalf("%d answers", len(sent))
			}
			ps := s.Open(sent[0])
			if got := errorOf(ps); got != tt.want || len(ps) != 1 {
				t.Errorf("got %v, want only %s", ps, tt.want)
			}
			reason := ""
			for _, e := range g.Events {
				if r, ok := e.(exchange.Refused); ok {
					reason = r.Reason
				}
			}
			if !strings.Contains(reason, tt.reason) || len(reason) > 500 || strings.ContainsAny(reason, "\x00\n\x1b") {
				t.Errorf("operator reads %q, want %q", reason, tt.reason)
			}
			if again := s.Send(b); len(again) != 1 || string(again[0]) != string(sent[0]) {
				t.Error("a repeat is not answered with the same bytes")
			}
			if g.Recorded() != 0 || len(g.Plane) != 0 {
				t.Error("something was recorded")
			}
			l.Run(time.Minute)
			if len(g.Engine.Status()) != 0 {
				t.Errorf("state is kept: %v", g.Engine.Status())
			}
		})
	}
}

// TestChildRefused: the IKE SA stands, there is no child, and a remote-access
// client that does not try again is sent away.
func TestChildRefused(t *testing.T) {
	id, _ := identity.Parse("client@example")
	selector := func(p string) wire.TS {
		return wire.TS{Selectors: []sa.Selector{sa.SelectorOf(netip.MustParsePrefix(p))}}
	}
	tests := []struct {
		name  string
		tune  func(q exchange.AskSession) exchange.AnswerSession
		alter func(ps wire.Payloads) wire.Payloads
		want  string
		gone  bool // not even the IKE SA stands
	}{
		{"no address", func(q exchange.AskSession) exchange.AnswerSession {
			return exchange.AnswerSession{Question: q.Question, Refuse: exchange.RefuseNoAddress}
		}, nil, "INTERNAL_ADDRESS_FAILURE", false},
		{"limit", func(q exchange.AskSession) exchange.AnswerSession {
			return exchange.AnswerSession{Question: q.Question, Refuse: exchange.RefuseLimit}
		}, nil, "NO_ADDITIONAL_SAS", true},
		{"not authorised", func(q exchange.AskSession) exchange.AnswerSession {
			return exchange.AnswerSession{Question: q.Question, Refuse: exchange.RefuseUnauthorised}
		}, nil, "AUTHENTICATION_FAILED", true},
		{"asks for no address", func(q exchange.AskSession) exchange.AnswerSession {
			r := Grant(q)
			r.Session.Addresses = nil
			return r
		}, func(ps wire.Payloads) wire.Payloads { return without(ps, wire.TypeCP) }, "FAILED_CP_REQUIRED", false},
		{"selectors", Grant, func(ps wire.Payloads) wire.Payloads {
			return replaced(ps, wire.TSr{TS: selector("172.16.0.0/12")})
		}, "TS_UNACCEPTABLE", false},
		{"another's address", Grant, func(ps wire.Payloads) wire.Payloads {
			return replaced(ps, wire.TSi{TS: selector("10.99.0.11/32")})
		}, "TS_UNACCEPTABLE", false},
		{"proposal", Grant, func(ps wire.Payloads) wire.Payloads {
			weak := sa.Proposal{{Type: sa.Encryption, ID: sa.Encr3DES}, {Type: sa.Integrity, ID: sa.IntegMD5_96},
				{Type: sa.Sequence}}
			return replaced(ps, suite.Offer([]sa.Proposal{weak}, wire.ProtocolESP, []byte{1, 2, 3, 4}))
		}, "NO_PROPOSAL_CHOSEN", false},
		{"reserved SPI", Grant, func(ps wire.Payloads) wire.Payloads {
			return replaced(ps, suite.Offer([]sa.Proposal{ESPProposal}, wire.ProtocolESP, []byte{0, 0, 0, 255}))
		}, "NO_PROPOSAL_CHOSEN", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, g, s := alone(t, nil)
			g.Authorise = tt.tune
			if !s.Init() {
				t.Fatal("IKE_SA_INIT was not answered")
			}
			ps := s.AuthPayloads(id, "key of the client")
			if tt.alter != nil {
				ps = tt.alter(ps)
			}
			answer := s.Request(wire.IKEAuth, ps...)
			if got := errorOf(answer); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if has := answer.Count(wire.TypeAuth) == 1; has == tt.gone || answer.Count(wire.TypeSA) != 0 {
				t.Errorf("answer has AUTH %v, SA %d", has, answer.Count(wire.TypeSA))
			}
			if up := len(g.Established()) == 1; up == tt.gone || len(g.Plane) != 0 {
				t.Errorf("IKE SA stands: %v", up)
			}
			g.CheckSnapshot()
			l.Run(5 * time.Minute)
			if len(g.Engine.Status()) != 0 {
				t.Errorf("a session without a child lives on: %v", g.Engine.Status())
			}
		})
	}
}

// TestBeforeAuth: nothing but IKE_AUTH is served before authentication
// (CVE-2014-2338), even under the right keys.
func TestBeforeAuth(t *testing.T) {
	for _, x := range []wire.ExchangeType{wire.CreateChildSA, wire.Informational, wire.IKEIntermediate, 99} {
		t.Run(x.String(), func(t *testing.T) {
			_, g, s := alone(t, nil)
			if !s.Init() {
				t.Fatal("IKE_SA_INIT was not answered")
			}
			for id := uint32(0); id < 3; id++ {
				if sent := s.Send(s.Seal(x, id, append(s.InitPayloads(),
					wire.Delete{Protocol: wire.ProtocolIKE})...)); len(sent) != 0 {
					t.Errorf("ID %d was answered", id)
				}
			}
			if st := g.Engine.Status(); len(st) != 1 || st[0].State != "HALF-OPEN" || g.Recorded() != 0 {
				t.Errorf("state is %v", st)
			}
			ident, _ := identity.Parse("client@example")
			if s.Request(wire.IKEAuth, s.AuthPayloads(ident, "key of the client")...).Count(wire.TypeSA) != 1 {
				t.Error("IKE_AUTH is not served afterwards")
			}
		})
	}
}

// TestZeroPublicValue: all-zero and low-order public values end the exchange
// (CVE-2015-3240).
func TestZeroPublicValue(t *testing.T) {
	_, g, s := alone(t, nil)
	ps := replaced(s.InitPayloads(), wire.KE{Group: sa.KEX25519, Data: make([]byte, 32)})
	if sent := s.Send(wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0), ps...)); len(sent) == 1 {
		m, _ := wire.ParseMessage(sent[0])
		h := s.Header(wire.IKEAuth, 1)
		h.SPIr = m.SPIr
		if sent := s.Send(wire.AppendMessage(nil, h, wire.SK{First: wire.TypeIDi,
			Body: make([]byte, 64)})); len(sent) != 0 {
			t.Error("IKE_AUTH under a predictable key was answered")
		}
	}
	if n := len(g.Engine.Status()); n != 0 {
		t.Errorf("%d SAs are kept", n)
	}
}

// TestBadRequests: what an authenticated peer may try.
func TestBadRequests(t *testing.T) {
	spi := func(s *Stranger) []byte { return []byte{0, 1, 2, 0} }
	any := wire.TS{Selectors: []sa.Selector{sa.SelectorOf(netip.MustParsePrefix("0.0.0.0/0"))}}
	child := func(extra ...wire.Payload) wire.Payloads {
		return append(wire.Payloads{
			suite.Offer([]sa.Proposal{ESPProposal}, wire.ProtocolESP, []byte{9, 9, 9, 9}),
			wire.Nonce{Data: make([]byte, 32)},
			wire.TSi{TS: any}, wire.TSr{TS: any},
		}, extra...)
	}
	rekey := func(p wire.ProtocolID, spi []byte) wire.Payload {
		return wire.Notify{Type: wire.RekeySA, Protocol: p, SPI: spi}
	}
	tests := []struct {
		name     string
		exchange wire.ExchangeType
		make     func(s *Stranger) wire.Payloads
		want     string
		children int // afterwards
	}{
		{"another child", wire.CreateChildSA, func(*Stranger) wire.Payloads { return child() }, "", 2},
		{"rekeying", wire.CreateChildSA, func(s *Stranger) wire.Payloads {
			return child(rekey(wire.ProtocolESP, spi(s)))
		}, "", 2},
		{"REKEY_SA of IKE (CVE-2023-38710)", wire.CreateChildSA,
			func(s *Stranger) wire.Payloads { return child(rekey(wire.ProtocolIKE, spi(s))) }, "INVALID_SYNTAX", 1},
		{"REKEY_SA of AH (CVE-2023-38710)", wire.CreateChildSA,
			func(s *Stranger) wire.Payloads { return child(rekey(wire.ProtocolAH, spi(s))) }, "INVALID_SYNTAX", 1},
		{"REKEY_SA of protocol 255 (CVE-2023-38710)", wire.CreateChildSA,
			func(s *Stranger) wire.Payloads { return child(rekey(255, spi(s))) }, "INVALID_SYNTAX", 1},
		{"REKEY_SA of an unknown SPI", wire.CreateChildSA, func(*Stranger) wire.Payloads {
			return child(rekey(wire.ProtocolESP, []byte{7, 7, 7, 7}))
		}, "CHILD_SA_NOT_FOUND", 1},
		{"no selectors", wire.CreateChildSA, func(*Stranger) wire.Payloads {
			return without(without(child(), wire.TypeTSi), wire.TypeTSr)
		}, "INVALID_SYNTAX", 1},
		{"no nonce", wire.CreateChildSA, func(*Stranger) wire.Payloads { return without(child(), wire.TypeNonce) },
			"INVALID_SYNTAX", 1},
		{"zero selectors (CVE-2023-23009)", wire.CreateChildSA, func(*Stranger) wire.Payloads {
			return replaced(replaced(child(), wire.TSi{}), wire.TSr{})
		}, "INVALID_SYNTAX", 0},
		{"empty", wire.CreateChildSA, func(*Stranger) wire.Payloads { return nil }, "INVALID_SYNTAX", 1},
		{"IKE_AUTH again", wire.IKEAuth, func(*Stranger) wire.Payloads { return nil }, "INVALID_SYNTAX", 1},
		{"unknown exchange", 99, func(*Stranger) wire.Payloads { return nil }, "INVALID_SYNTAX", 1},
		{"unknown critical payload", wire.Informational, func(*Stranger) wire.Payloads {
			return wire.Payloads{wire.Unknown{Number: 222, Critical: true}}
		}, "UNSUPPORTED_CRITICAL_PAYLOAD", 1},
		{"unknown payload", wire.Informational, func(*Stranger) wire.Payloads {
			return wire.Payloads{wire.Unknown{Number: 222}}
		}, "", 1},
		{"liveness", wire.Informational, func(*Stranger) wire.Payloads { return nil }, "", 1},
		{"delete of an unknown child", wire.Informational, func(*Stranger) wire.Payloads {
			return wire.Payloads{wire.Delete{Protocol: wire.ProtocolESP, SPIs: []sa.SPI{0x07070707}}}
		}, "", 1},
		{"delete of the child", wire.Informational, func(s *Stranger) wire.Payloads {
			return wire.Payloads{wire.Delete{Protocol: wire.ProtocolESP,
				SPIs: []sa.SPI{sa.SPI(binary.BigEndian.Uint32(spi(s)))}}}
		}, "", 0},
		{"delete of the child twice and of IKE first (CVE-2023-38712)", wire.Informational,
			func(s *Stranger) wire.Payloads {
				d := wire.Delete{Protocol: wire.ProtocolESP, SPIs: []sa.SPI{sa.SPI(binary.BigEndian.Uint32(spi(s)))}}
				return wire.Payloads{wire.Delete{Protocol: wire.ProtocolIKE}, d, d,
					wire.Notify{Type: wire.InitialContact}}
			}, "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, g, s := alone(t, nil)
			if !s.Connect() {
				t.Fatal("not connected")
			}
			ps := s.Request(tt.exchange, tt.make(s)...)
			if ps == nil {
				t.Fatal("no answer")
			}
			if got := errorOf(ps); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if len(g.Plane) != tt.children {
				t.Errorf("%d children, want %d", len(g.Plane), tt.children)
			}
			g.CheckSnapshot()
		})
	}
}

// TestForgeries: nothing that is not authentic changes an established SA.
func TestForgeries(t *testing.T) {
	_, g, s := alone(t, nil)
	if !s.Connect() {
		t.Fatal("not connected")
	}
	before := len(g.Journal)
	good := s.Seal(wire.Informational, s.next, wire.Delete{Protocol: wire.ProtocolIKE})
	for i := range good {
		for bit := range 8 {
			bad := slices.Clone(good)
			bad[i] ^= 1 << bit
			if sent := s.Send(bad); len(sent) > 0 && i >= wire.HeaderLen {
				t.Fatalf("byte %d bit %d: answered", i, bit)
			}
		}
	}
	for _, h := range []wire.Header{s.Header(wire.Informational, s.next), s.Header(wire.IKEAuth, 1)} {
		for _, ps := range [][]wire.Payload{
			{wire.Delete{Protocol: wire.ProtocolIKE}}, {wire.Notify{Type: wire.InitialContact}},
			{wire.Notify{Type: wire.AuthenticationFailed}},
		} {
			if sent := s.Send(wire.AppendMessage(nil, h, ps...)); len(sent) != 0 {
				t.Error("a message in clear was answered")
			}
		}
	}
	if len(g.Journal) != before || len(g.Established()) != 1 || len(g.Plane) != 1 {
		t.Errorf("state changed: %v", g.Engine.Status())
	}
	if sent := s.Send(good); len(sent) != 1 || len(g.Engine.Status()) != 0 {
		t.Error("the genuine message is not served")
	}
}

// TestInitialContact: it counts only when authenticated, and only for the same
// identity under the same profile.
func TestInitialContact(t *testing.T) {
	_, g, first := alone(t, nil)
	if !first.Connect() {
		t.Fatal("not connected")
	}
	contact := wire.Notify{Type: wire.InitialContact}
	try := func(text, key string) {
		t.Helper()
		s := NewStranger(g, netip.MustParseAddrPort("192.0.2.77:500"))
		if !s.Init() {
			t.Fatal("IKE_SA_INIT was not answered")
		}
		id, _ := identity.Parse(text)
		s.iv = uint64(len(g.Events)) // another SPI
		s.Request(wire.IKEAuth, append(s.AuthPayloads(id, key), contact)...)
	}
	try("client@example", "wrong")
	if len(g.Established()) != 1 {
		t.Error("an unauthenticated INITIAL_CONTACT ended an SA")
	}
	try("other@example", "key of the client")
	if len(g.Established()) != 2 {
		t.Error("INITIAL_CONTACT of another identity ended an SA")
	}
	try("client@example", "key of the client")
	if len(g.Established()) != 2 || tally[exchange.IKEDown](g.Events) != 1 {
		t.Errorf("INITIAL_CONTACT did not replace: %v", g.Events)
	}
}

// TestFlood: half-open state is bounded, cookies keep strangers out and let
// clients in, and they expire with their secret.
func TestFlood(t *testing.T) {
	l, g, _ := alone(t, func(c *exchange.Config) { c.CookieThreshold, c.MaxHalfOpen = 10, 20 })
	for i := range 500 {
		s := NewStranger(g, netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 500))
		s.Init()
	}
	if n := len(g.Engine.Status()); n != 10 {
		t.Errorf("%d half-open SAs after a flood of forged sources, want the threshold", n)
	}
	c := l.Add("client", ClientAddr, ClientConfig())
	l.Faults.Delay = 10 * time.Millisecond
	if !l.Until(5*time.Second, func() bool { return Up(g, c) }) {
		t.Errorf("a client cannot come in during the flood: %v", c.Events)
	}
	for i := range 500 { // these return their cookies: real addresses
		s := NewStranger(g, netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 3, byte(i)}), 500))
		ps := s.InitPayloads()
		if sent := s.Send(wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0), ps...)); len(sent) == 1 {
			m, _ := wire.ParseMessage(sent[0])
			if n, ok := m.Payloads.Notify(wire.Cookie); ok {
				s.Send(wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0), append(wire.Payloads{n}, ps...)...))
			}
		}
	}
	if n := len(g.Engine.Status()); n != 21 {
		t.Errorf("%d SAs, want the limit of half-open ones and the client", n)
	}
	l.Run(2 * time.Minute)
	if n := len(g.Engine.Status()); n != 1 {
		t.Errorf("%d SAs after the flood", n)
	}
}

// TestOldCookie: a cookie is for one nonce, address and SPI, and for two
// minutes at most.
func TestOldCookie(t *testing.T) {
	l, g, s := alone(t, func(c *exchange.Config) { c.CookieThreshold = 1 })
	NewStranger(g, netip.MustParseAddrPort("192.0.2.200:500")).Init()
	ps := s.InitPayloads()
	m, _ := wire.ParseMessage(s.Send(wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0), ps...))[0])
	cookie, ok := m.Payloads.Notify(wire.Cookie)
	if !ok {
		t.Fatal("no cookie")
	}
	try := func(s *Stranger, ps wire.Payloads) string {
		return notifyOf(s.Send(wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0),
			append(wire.Payloads{cookie}, ps...)...))[0])
	}
	elsewhere := *s
	elsewhere.Addr = netip.MustParseAddrPort("192.0.2.67:500")
	if got := try(&elsewhere, ps); got != "COOKIE" {
		t.Errorf("from another address: %q", got)
	}
	if got := try(s, replaced(ps, wire.Nonce{Data: make([]byte, 33)})); got != "COOKIE" {
		t.Errorf("with another nonce: %q", got)
	}
	if got := try(s, ps); got != "" {
		t.Errorf("the right one: %q", got)
	}
	l.Run(5 * time.Minute)
	NewStranger(g, netip.MustParseAddrPort("192.0.2.200:500")).Init()
	if got := try(s, ps); got != "COOKIE" {
		t.Errorf("after five minutes: %q", got)
	}
}

// TestAlwaysCookie: who wants a cookie of everybody gets one of the first peer, and
// of a source that has nothing open.
func TestAlwaysCookie(t *testing.T) {
	_, g, s := alone(t, func(c *exchange.Config) { c.AlwaysCookie = true })
	ps := s.InitPayloads()
	m, _ := wire.ParseMessage(s.Send(wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0), ps...))[0])
	cookie, ok := m.Payloads.Notify(wire.Cookie)
	if n := g.Engine.Usage().HalfOpen; !ok || n != 0 {
		t.Fatalf("cookie %v, %d half-open SAs", ok, n)
	}
	answer := s.Send(wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0), append(wire.Payloads{cookie}, ps...)...))[0]
	if got, n := notifyOf(answer), g.Engine.Usage().HalfOpen; got != "" || n != 1 {
		t.Errorf("with the cookie: %q, %d half-open SAs", got, n)
	}
}

// TestClientRefused: an initiator that is refused tries again, with a pause that
// grows, and says why.
func TestClientRefused(t *testing.T) {
	l := New(12, Faults{Delay: 10 * time.Millisecond})
	g, c := l.Pair(func(_, c *exchange.Config) {
		c.Profiles[0].Local = exchange.PSK{Key: secret.Copy([]byte("wrong"))}
	})
	l.Run(10 * time.Minute)
	n := 0
	for _, e := range c.Events {
		if r, ok := e.(exchange.Refused); ok && strings.Contains(r.Reason, "check pre-shared keys") {
			n++
		}
	}
	if n < 9 || n > 20 {
		t.Errorf("%d attempts in ten minutes", n)
	}
	if g.Recorded()+c.Recorded() != 0 {
		t.Error("something was recorded")
	}
	noTrouble(t, l)
}
