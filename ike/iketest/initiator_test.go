package iketest

import (
	"testing"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/ike/wire"
)

// TestForgedRefusals: whoever is faster than the peer with a refusal of
// IKE_SA_INIT, which nobody has authenticated, does not keep an initiator from
// the good answer that follows (RFC 7296 section 2.21.1).
func TestForgedRefusals(t *testing.T) {
	ke := wire.KE{Group: sa.KEX25519, Data: make([]byte, 32)}
	nonce := wire.Nonce{Data: make([]byte, 32)}
	other := suite.Offer([]sa.Proposal{{chacha, prf384, x25519}}, wire.ProtocolIKE, nil)
	offered := suite.Offer([]sa.Proposal{{gcm256, prf256, x25519}}, wire.ProtocolIKE, nil)
	tests := map[string][]wire.Payload{
		"NO_PROPOSAL_CHOSEN":         {wire.Notify{Type: wire.NoProposalChosen}},
		"INVALID_SYNTAX":             {wire.Notify{Type: wire.InvalidSyntax}},
		"unknown error":              {wire.Notify{Type: 9999}},
		"unoffered group":            {wire.Notify{Type: wire.InvalidKEPayload, Data: []byte{0, 1}}},
		"unoffered proposal":         {other, ke, nonce},
		"zero public value":          {offered, ke, nonce},
		"short public value":         {offered, wire.KE{Group: sa.KEX25519, Data: []byte{1}}, nonce},
		"public value of another":    {offered, wire.KE{Group: sa.KEECP256, Data: make([]byte, 64)}, nonce},
		"no payloads":                {},
		"nothing but a short COOKIE": {wire.Notify{Type: wire.Cookie}},
	}
	for name, payloads := range tests {
		t.Run(name, func(t *testing.T) {
			l := New(21, Faults{Delay: 10 * time.Millisecond})
			l.Spy = func(from *Node, d exchange.Datagram) {
				m, err := wire.ParseMessage(d.Payload)
				if err != nil || m.Exchange != wire.IKESAInit || m.Response() {
					return
				}
				h := m.Header
				h.Flags, h.SPIr = wire.FlagResponse, 0
				if len(payloads) > 1 {
					h.SPIr = 77
				}
				l.Inject(l.Now.Add(time.Millisecond), exchange.Datagram{Local: d.Local, Remote: d.Remote,
					Payload: wire.AppendMessage(nil, h, payloads...)})
			}
			g, c := l.Pair(nil)
			l.Run(time.Second)
			if !Up(g, c) || tally[exchange.Refused](c.Events) != 0 {
				t.Errorf("not up: %v", c.Events)
			}
			noTrouble(t, l)
		})
	}
}

// TestTrueRefusal: without a good answer the refusal is told, after a few seconds.
func TestTrueRefusal(t *testing.T) {
	l := New(21, Faults{Delay: 10 * time.Millisecond})
	_, c := l.Pair(func(g, _ *exchange.Config) { g.Policies[0].Proposal = sa.Proposal{chacha, prf384, ecp384} })
	if !l.Until(10*time.Second, func() bool { return tally[exchange.Refused](c.Events) > 0 }) {
		t.Fatal("nothing is told")
	}
	for _, e := range c.Events {
		if r, ok := e.(exchange.Refused); ok && (r.Notify != "NO_PROPOSAL_CHOSEN" ||
			r.Reason != "peer refuses IKE_SA_INIT: NO_PROPOSAL_CHOSEN") {
			t.Errorf("told: %+v", r)
		}
	}
	noTrouble(t, l)
}

// TestRepeatsOfInit: one request is answered again as often as an initiator asks
// that does not hear us, and no more.
func TestRepeatsOfInit(t *testing.T) {
	_, _, s := alone(t, nil)
	if !s.Init() {
		t.Fatal("not answered")
	}
	answers := 0
	for range 100 {
		answers += len(s.Send(s.request))
	}
	if answers < 8 || answers > 20 {
		t.Errorf("%d answers to 100 repeats", answers)
	}
}

// TestKeyExchangeInFirstProposal: an IKE_AUTH exchange has none, whatever the
// proposal of its child SA says; it is answered without.
func TestKeyExchangeInFirstProposal(t *testing.T) {
	_, g, s := alone(t, nil)
	if !s.Init() {
		t.Fatal("not answered")
	}
	id, _ := identity.Parse("client@example")
	p := append(sa.Proposal{{Type: sa.KeyExchange, ID: sa.KEModp2048}}, ESPProposal...)
	answer := s.Request(wire.IKEAuth, replaced(s.AuthPayloads(id, "key of the client"),
		suite.Offer([]sa.Proposal{p}, wire.ProtocolESP, []byte{1, 2, 3, 4}))...)
	chosen, ok := wire.Find[wire.SA](answer)
	if !ok || len(chosen.Proposals) != 1 || chosen.Proposals[0].Transforms.One(sa.KeyExchange) != (sa.Transform{}) ||
		len(g.Plane) != 1 {
		t.Errorf("answered with %q, %v", errorOf(answer), chosen)
	}
}
