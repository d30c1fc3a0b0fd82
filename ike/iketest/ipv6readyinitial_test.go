package iketest

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/wire"
)

// initResponse: the response to IKE_SA_INIT goes to where the request came from, and
// has SAr1, KEr and Nr, in that order and once each: one proposal with the number of the
// one that it accepts and no SPI, one of its transforms of each type, a public value of
// the group, and a nonce of 16 to 256 octets, half the key of the PRF at least (RFC 7296
// sections 1.2, 2.7, 2.10, 3.3, 3.4 and 3.9).
func initResponse(t *testing.T) {
	x := ready(t, nil)
	var to netip.AddrPort
	x.lab.Spy = func(_ *Node, d exchange.Datagram) { to = d.Remote }
	m := x.init()
	if to != x.Addr || m.SPIr == 0 {
		t.Errorf("to %v with SPI %x", to, m.SPIr)
	}
	if len(m.Payloads) < 3 {
		t.Fatalf("payloads are %v", m.Payloads)
	}
	answer, isSA := m.Payloads[0].(wire.SA)
	ke, isKE := m.Payloads[1].(wire.KE)
	nonce, isNonce := m.Payloads[2].(wire.Nonce)
	if !isSA || !isKE || !isNonce {
		t.Fatalf("payloads are %v", m.Payloads)
	}
	for _, p := range m.Payloads[3:] {
		if n, ok := p.(wire.Notify); !ok || n.Type.IsError() {
			t.Errorf("there is another payload: %v", p)
		}
	}
	if p := answer.Proposals; len(p) != 1 || p[0].Number != 1 || p[0].Protocol != wire.ProtocolIKE ||
		len(p[0].SPI) != 0 || !slices.Equal(p[0].Transforms, readyIKE) {
		t.Errorf("SAr1 is %+v", answer)
	}
	if ke.Group != sa.KEX25519 || len(ke.Data) != 32 {
		t.Errorf("KEr is %+v", ke)
	}
	if n := len(nonce.Data); n < 16 || n > 256 || n < x.suite.PRF().Size()/2 {
		t.Errorf("Nr has %d octets", n)
	}
}

// authResponse: SK {IDr, AUTH, SAr2, TSi, TSr}. AUTH is that of IDr, with the shared
// key, over the octets of section 2.15; SAr2 is one proposal for ESP with an SPI of four
// octets that is not reserved; the selectors are what was agreed on (RFC 7296 sections
// 1.2, 2.9, 2.15, 3.3.1 and 3.5).
func authResponse(t *testing.T) {
	x := ready(t, nil)
	x.init()
	w := x.wish()
	ps := x.ask(wire.IKEAuth, x.authPayloads(w)...)
	x.authentic(ps)
	var kinds []wire.PayloadType
	for _, p := range ps {
		if p.PayloadType() != wire.TypeNotify {
			kinds = append(kinds, p.PayloadType())
		}
	}
	want := []wire.PayloadType{wire.TypeIDr, wire.TypeAuth, wire.TypeSA, wire.TypeTSi, wire.TypeTSr}
	if !slices.Equal(kinds, want) {
		t.Errorf("payloads are %v, want %v", kinds, want)
	}
	if e := errorOf(ps); e != "" {
		t.Errorf("the answer says %s", e)
	}
	idr, _ := wire.Find[wire.IDr](ps)
	proof, _ := wire.Find[wire.Auth](ps)
	if idr.Type != wire.IDIPv6 || proof.Method != wire.AuthSharedKey {
		t.Errorf("IDr has type %v, AUTH method %v", idr.Type, proof.Method)
	}
	c := x.child(w, ps)
	if !slices.Equal(c.Local, tnSide) || !slices.Equal(c.Remote, nutSide) {
		t.Errorf("selectors are %v and %v", c.Local, c.Remote)
	}
	x.has(c)
}

// useOfChild: the child SA of IKE_AUTH carries packets between the networks both ways,
// under the SPI of whoever receives them (RFC 7296 sections 1.2 and 2.17).
func useOfChild(t *testing.T) {
	x, c := readyUp(t, nil)
	x.carry(c).both(c)
}

// initRepeated: a repeated IKE_SA_INIT request gets the same response once more, bit for
// bit, and makes no other SA; the first response still counts (RFC 7296 section 2.1).
func initRepeated(t *testing.T) {
	x := ready(t, nil)
	first := x.init()
	again := x.one(x.request)
	if !bytes.Equal(first.raw, again.raw) {
		t.Error("the repeat is answered otherwise")
	}
	if n := len(x.nut.Engine.Status()); n != 1 {
		t.Errorf("%d IKE SAs", n)
	}
	x.has(x.auth(x.wish()))
}

// authRepeated: a repeated IKE_AUTH request gets the same response once more, bit for
// bit, and makes no other child SA (RFC 7296 sections 2.1 and 2.3).
func authRepeated(t *testing.T) {
	x := ready(t, nil)
	x.init()
	w := x.wish()
	request := x.Seal(wire.IKEAuth, x.next, x.authPayloads(w)...)
	x.next++
	first := x.one(request)
	c := x.child(w, x.open(first))
	if again := x.one(request); !bytes.Equal(first.raw, again.raw) {
		t.Error("the repeat is answered otherwise")
	}
	x.has(c)
	if n := tally[exchange.IKEUp](x.nut.Events); n != 1 || len(x.nut.Engine.Status()) != 1 {
		t.Errorf("%d IKE SAs came up, %d are there", n, len(x.nut.Engine.Status()))
	}
	x.alive()
}

// unprotected: no IKE message without protection ends or changes an SA, whatever it
// says, nor is it answered (RFC 7296 sections 1.5 and 2.4).
func unprotected(t *testing.T) {
	x, c := readyUp(t, nil)
	for _, kind := range []wire.ExchangeType{wire.Informational, wire.IKEAuth, wire.CreateChildSA} {
		for what, p := range map[string]wire.Payload{
			"INVALID_IKE_SPI":       wire.Notify{Type: wire.InvalidIKESPI},
			"INVALID_MESSAGE_ID":    wire.Notify{Type: wire.InvalidMessageID, Data: []byte{0, 0, 0, 9}},
			"AUTHENTICATION_FAILED": wire.Notify{Type: wire.AuthenticationFailed},
			"INITIAL_CONTACT":       wire.Notify{Type: wire.InitialContact},
			"DELETE of the IKE SA":  wire.Delete{Protocol: wire.ProtocolIKE},
			"DELETE of a child SA":  deleteESP(c.In.SPI),
		} {
			request := x.Header(kind, x.next)
			response := request
			response.Flags |= wire.FlagResponse
			response.MessageID = 0
			for _, h := range []wire.Header{request, response} {
				x.silent(what, wire.AppendMessage(nil, h, p))
			}
		}
	}
	x.alive()
	x.has(c)
}

// initialContact: INITIAL_CONTACT of TN1 says that it has no other IKE SA with NUT, which
// forgets the old one with its child SAs, without a word (RFC 7296 section 2.4).
func initialContact(t *testing.T) {
	x, old := readyUp(t, nil)
	y := x.another()
	y.init()
	w := y.wish()
	c := y.child(w, y.ask(wire.IKEAuth, append(y.authPayloads(w), wire.Notify{Type: wire.InitialContact})...))
	if old.In.SPI == c.In.SPI {
		t.Fatal("both child SAs have one SPI")
	}
	y.has(c)
	if len(x.Requests) != 0 {
		t.Errorf("NUT says something on the old IKE SA: %v", x.Requests)
	}
	x.gone()
	y.alive()
}

// notAuthentic: an IKE_AUTH request with a wrong key, of an identity that nobody knows or
// for another NUT is answered with AUTHENTICATION_FAILED and nothing else, and makes
// nothing (RFC 7296 sections 2.15, 2.21.2 and 3.10.1).
func notAuthentic(t *testing.T) {
	for what, request := range map[string]func(x *readyNode) wire.Payloads{
		"wrong key": func(x *readyNode) wire.Payloads {
			return replaced(x.authPayloads(x.wish()), x.proof(x.id, readyKey+"!"))
		},
		"unknown identity": func(x *readyNode) wire.Payloads {
			x.id = wire.IDi{ID: identity.FromAddr(tnAddr.Next()).Wire()}
			return x.authPayloads(x.wish())
		},
		"AUTH of another identity": func(x *readyNode) wire.Payloads {
			other := wire.IDi{ID: identity.FromAddr(tnAddr.Next()).Wire()}
			return replaced(x.authPayloads(x.wish()), x.proof(other, readyKey))
		},
		"AUTH over another nonce": func(x *readyNode) wire.Payloads {
			nr := x.nr
			x.nr = bytes.Repeat([]byte{1}, len(nr))
			defer func() { x.nr = nr }()
			return x.authPayloads(x.wish())
		},
	} {
		x := ready(t, nil)
		x.init()
		x.refused(wire.IKEAuth, wire.AuthenticationFailed, request(x)...)
		x.has()
		if n := len(x.nut.Established()); n != 0 || x.nut.Recorded() != 0 {
			t.Errorf("%s: %d IKE SAs, %d records", what, n, x.nut.Recorded())
		}
	}
}

// another returns TN1 with another IKE SA to be.
func (x *readyNode) another() *readyNode {
	y := *x
	s := NewStranger(x.nut, x.Addr)
	s.ni, s.IKE = bytes.Repeat([]byte{9}, 32), x.IKE
	y.Foreign = newForeign(s)
	return &y
}

// liveness: an INFORMATIONAL request without payloads is answered by a response without
// payloads (RFC 7296 sections 1.4 and 2.4).
func liveness(t *testing.T) {
	x, c := readyUp(t, nil)
	for range 3 {
		x.alive()
	}
	x.has(c)
}

// endIKESA: a DELETE of the IKE SA is answered by an INFORMATIONAL response without
// payloads, and ends it with all its child SAs (RFC 7296 section 1.4.1).
func endIKESA(t *testing.T) {
	x, _ := readyUp(t, nil)
	if ps := x.ask(wire.Informational, wire.Delete{Protocol: wire.ProtocolIKE}); len(ps) != 0 {
		t.Errorf("answered with %v", ps)
	}
	x.has()
	x.gone()
	if len(x.Requests) != 0 {
		t.Errorf("NUT deletes, too: %v", x.Requests)
	}
}

// endChild: a DELETE of a child SA is answered by that of the other half of the pair,
// and ends both, while the IKE SA goes on (RFC 7296 section 1.4.1).
func endChild(t *testing.T) {
	x, c := readyUp(t, nil)
	x.deleted(c)
	x.has()
	x.alive()
	if n := len(x.nut.Established()); n != 1 {
		t.Errorf("%d IKE SAs", n)
	}
}

// deleted deletes these child SAs, and checks that the answer names the halves that NUT
// receives with, and no others.
func (x *readyNode) deleted(children ...sa.Child) {
	x.t.Helper()
	d := wire.Delete{Protocol: wire.ProtocolESP}
	var want []sa.SPI
	for _, c := range children {
		d.SPIs, want = append(d.SPIs, c.In.SPI), append(want, c.Out.SPI)
	}
	ps := x.ask(wire.Informational, d)
	got, ok := wire.Find[wire.Delete](ps)
	slices.Sort(want)
	slices.Sort(got.SPIs)
	if !ok || len(ps) != 1 || got.Protocol != wire.ProtocolESP || !slices.Equal(got.SPIs, want) {
		x.t.Errorf("DELETE is answered with %v, want that of %v", ps, want)
	}
}

// minorVersion: a higher minor version is served as 2.0, in which the answer is (RFC 7296
// sections 2.5 and 3.1).
func minorVersion(t *testing.T) {
	x := ready(t, nil)
	request := x.initRequest(x.InitPayloads()...)
	request[17] = 0x2f
	x.initWith(request)
	x.has(x.auth(x.wish()))
}

// majorVersion: a higher major version is answered, in a message of version 2.0, with
// INVALID_MAJOR_VERSION, and makes nothing (RFC 7296 section 2.5).
func majorVersion(t *testing.T) {
	x := ready(t, nil)
	for _, kind := range []wire.ExchangeType{wire.IKESAInit, wire.Informational} {
		h := x.Header(kind, 0)
		h.Version = 0x30
		m := x.one(wire.AppendMessage(nil, h, x.InitPayloads()...))
		n, ok := m.Payloads.Notify(wire.InvalidMajorVersion)
		if !ok || len(m.Payloads) != 1 || len(n.SPI) != 0 || len(x.nut.Engine.Status()) != 0 {
			t.Errorf("%v: answered with %v; NUT has %v", kind, m.Payloads, x.nut.Engine.Status())
		}
	}
	x.init()
	x.has(x.auth(x.wish()))
}

// unknownPayload: a payload that nobody knows and that is not critical is passed over,
// wherever it stands (RFC 7296 sections 2.5 and 3.2).
func unknownPayload(t *testing.T) {
	for _, kind := range []wire.PayloadType{1, 32, 49, 127, 255} {
		x := ready(t, nil)
		odd := wire.Unknown{Number: kind, Body: []byte("whatever")}
		x.initWith(x.initRequest(slices.Insert(x.InitPayloads(), 1, wire.Payload(odd))...))
		w := x.wish()
		c := x.child(w, x.ask(wire.IKEAuth, slices.Insert(x.authPayloads(w), 0, wire.Payload(odd))...))
		if ps := x.ask(wire.Informational, odd); len(ps) != 0 {
			t.Errorf("payload %d: answered with %v", kind, ps)
		}
		x.has(c)
	}
}

// criticalPayload: one that is critical has the whole message refused with
// UNSUPPORTED_CRITICAL_PAYLOAD, whose data are the one octet of its type; a request that
// was authentic ends nothing that stands (RFC 7296 sections 2.5, 2.21.3 and 3.10.1).
func criticalPayload(t *testing.T) {
	odd := wire.Unknown{Number: 213, Critical: true, Body: []byte("whatever")}
	check := func(n wire.Notify) {
		t.Helper()
		if !bytes.Equal(n.Data, []byte{213}) || len(n.SPI) != 0 {
			t.Errorf("notification is %+v", n)
		}
	}
	x := ready(t, nil)
	check(x.refusedInit(wire.UnsupportedCriticalPayload, append(x.InitPayloads(), odd)...))
	x.init()
	check(x.refused(wire.IKEAuth, wire.UnsupportedCriticalPayload, append(x.authPayloads(x.wish()), odd)...))
	x.has()

	y, c := readyUp(t, nil)
	check(y.refused(wire.CreateChildSA, wire.UnsupportedCriticalPayload, append(y.wish().payloads(), odd)...))
	check(y.refused(wire.Informational, wire.UnsupportedCriticalPayload, wire.Delete{Protocol: wire.ProtocolIKE}, odd))
	y.has(c)
	y.alive()
}

// payloadOrder: payloads may come in any order: "implementations MUST NOT reject as
// invalid a message with those payloads in any other order" (RFC 7296 section 2.5). The
// specification, which is of RFC 4306, wants the contrary, as that did.
func payloadOrder(t *testing.T) {
	reversed := func(ps wire.Payloads) []wire.Payload {
		slices.Reverse(ps)
		return ps
	}
	x := ready(t, nil)
	x.initWith(x.initRequest(reversed(x.InitPayloads())...))
	w := x.wish()
	ps := x.ask(wire.IKEAuth, reversed(x.authPayloads(w))...)
	x.authentic(ps)
	c := x.child(w, ps)
	again := x.rekeying(c)
	x.has(c, x.child(again, x.ask(wire.CreateChildSA, reversed(again.payloads())...)))
}

// cookies has NUT want a cookie of everybody.
func cookies(c *exchange.Config) { c.AlwaysCookie = true }

// cookieOf asks for a cookie: the one notification of an answer that leaves nothing
// behind (RFC 7296 section 2.6: 1 to 64 octets).
func (x *readyNode) cookieOf(ps ...wire.Payload) wire.Notify {
	x.t.Helper()
	n := x.refusedInit(wire.Cookie, ps...)
	if len(n.Data) < 1 || len(n.Data) > 64 || n.Protocol != wire.ProtocolNone || len(n.SPI) != 0 {
		x.t.Fatalf("cookie is %+v", n)
	}
	return n
}

// cookie: NUT, which keeps nothing, asks for a cookie, and goes on when TN1 sends its
// request again with the cookie before all else. AUTH covers the second request (RFC 7296
// sections 2.6 and 2.15).
func cookie(t *testing.T) {
	x := ready(t, cookies)
	ps := x.InitPayloads()
	n := x.cookieOf(ps...)
	x.initWith(x.initRequest(append(wire.Payloads{n}, ps...)...))
	x.has(x.auth(x.wish()))
}

// wrongCookie: a request with a wrong cookie is answered as one without (RFC 7296 section
// 2.6).
func wrongCookie(t *testing.T) {
	x := ready(t, cookies)
	ps := x.InitPayloads()
	n := x.cookieOf(ps...)
	for i := range n.Data {
		wrong := bytes.Clone(n.Data)
		wrong[i] ^= 1
		x.cookieOf(append(wire.Payloads{wire.Notify{Type: wire.Cookie, Data: wrong}}, ps...)...)
	}
	for _, wrong := range [][]byte{{1}, n.Data[:len(n.Data)-1], append(bytes.Clone(n.Data), 0), make([]byte, 64)} {
		x.cookieOf(append(wire.Payloads{wire.Notify{Type: wire.Cookie, Data: wrong}}, ps...)...)
	}
	x.initWith(x.initRequest(append(wire.Payloads{n}, ps...)...))
	x.has(x.auth(x.wish()))
}

// otherGroup has NUT accept x25519 alone, while TN1 guesses ecp256.
func otherGroup(x *readyNode) {
	x.IKE, x.Group = []sa.Proposal{{cbc128, prf256, hmac256, ecp256, x25519}}, sa.KEECP256
}

// invalidKE checks that a notification wants x25519 (RFC 7296 section 3.10.1: the data
// are the group, two octets in network order).
func (x *readyNode) invalidKE(n wire.Notify) {
	x.t.Helper()
	if len(n.Data) != 2 || binary.BigEndian.Uint16(n.Data) != sa.KEX25519 {
		x.t.Errorf("INVALID_KE_PAYLOAD has data %x", n.Data)
	}
}

// invalidGroup: a guess of another group than the one that NUT chooses is answered with
// INVALID_KE_PAYLOAD, which names that and leaves nothing behind, under an SPI of zero;
// the second try, with the same proposals, succeeds (RFC 7296 sections 1.2, 2.7 and
// 3.10.1).
func invalidGroup(t *testing.T) {
	x := ready(t, nil)
	otherGroup(x)
	x.invalidKE(x.refusedInit(wire.InvalidKEPayload, x.InitPayloads()...))
	x.Group = sa.KEX25519
	x.init()
	if x.suite.Group() != sa.KEX25519 {
		t.Errorf("the group is %d", x.suite.Group())
	}
	x.has(x.auth(x.wish()))
}

// cookieAndGroup: a TN1 that brings its cookie with the other group, too, needs one
// exchange less: the cookie is still good (RFC 7296 section 2.6.1).
func cookieAndGroup(t *testing.T) {
	x := ready(t, cookies)
	otherGroup(x)
	n := x.cookieOf(x.InitPayloads()...)
	x.invalidKE(x.refusedInit(wire.InvalidKEPayload, append(wire.Payloads{n}, x.InitPayloads()...)...))
	x.Group = sa.KEX25519
	x.initWith(x.initRequest(append(wire.Payloads{n}, x.InitPayloads()...)...))
	x.has(x.auth(x.wish()))
}

// cookieAndGroupAnew: a TN1 that leaves the cookie out with the other group is asked for
// one again (RFC 7296 section 2.6.1).
func cookieAndGroupAnew(t *testing.T) {
	x := ready(t, cookies)
	otherGroup(x)
	n := x.cookieOf(x.InitPayloads()...)
	x.invalidKE(x.refusedInit(wire.InvalidKEPayload, append(wire.Payloads{n}, x.InitPayloads()...)...))
	x.Group = sa.KEX25519
	n = x.cookieOf(x.InitPayloads()...)
	x.initWith(x.initRequest(append(wire.Payloads{n}, x.InitPayloads()...)...))
	x.has(x.auth(x.wish()))
}
