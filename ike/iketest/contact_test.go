package iketest

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/wire"
)

// TestContactOfOneDevice: INITIAL_CONTACT is about the SAs of one device, and
// counts when its sender has been let in.
func TestContactOfOneDevice(t *testing.T) {
	first, second := netip.MustParseAddr("10.99.0.10"), netip.MustParseAddr("10.99.0.11")
	for _, tt := range []struct {
		name    string
		from    string
		asks    netip.Addr // invalid: for any
		granted netip.Addr
		refuse  exchange.Refusal
		ignore  bool
		ends    bool
	}{
		{name: "another device", from: "192.0.2.77:500", granted: second},
		{name: "same address", from: "192.0.2.66:4711", granted: second, ends: true},
		{name: "another address, same lease asked for", from: "192.0.2.77:500", asks: first, granted: first,
			ends: true},
		{name: "another address, another lease asked for", from: "192.0.2.77:500", asks: second, granted: second},
		{name: "another address, same lease given", from: "192.0.2.77:500", granted: first, ends: true},
		{name: "not let in", from: "192.0.2.66:4711", refuse: exchange.RefuseLimit},
		{name: "not authorised", from: "192.0.2.66:4711", refuse: exchange.RefuseUnauthorised},
		{name: "no address is free", from: "192.0.2.66:4711", refuse: exchange.RefuseNoAddress},
		{name: "the profile does not heed it", from: "192.0.2.66:4711", granted: second, ignore: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, g, s := alone(t, func(c *exchange.Config) { c.Profiles[0].IgnoreContact = tt.ignore })
			if !s.Connect() {
				t.Fatal("not connected")
			}
			old := g.Established()[0].Peer.SPI
			var asked exchange.AskSession
			g.Authorise = func(q exchange.AskSession) exchange.AnswerSession {
				asked = q
				r := Grant(q)
				r.Refuse, r.Session.Addresses = tt.refuse, []netip.Addr{tt.granted}
				return r
			}
			n := NewStranger(g, netip.MustParseAddrPort(tt.from))
			if !n.Init() {
				t.Fatal("not answered")
			}
			n.iv = 100 // another SPI
			id, _ := identity.Parse("client@example")
			a := wire.Attribute{Type: wire.InternalIP4Address}
			if tt.asks.IsValid() {
				a = wire.AddrAttribute(wire.InternalIP4Address, tt.asks)
			}
			ps := replaced(n.AuthPayloads(id, "key of the client"),
				wire.CP{Type: wire.CPRequest, Attributes: []wire.Attribute{a}})
			n.Request(wire.IKEAuth, append(ps, wire.Notify{Type: wire.InitialContact})...)

			ended := !slices.ContainsFunc(g.Established(), func(s exchange.Status) bool { return s.Peer.SPI == old })
			if ended != tt.ends {
				t.Errorf("the other SA has ended: %v, want %v", ended, tt.ends)
			}
			foreseen := tt.ends && tt.name != "another address, same lease given" || tt.refuse != exchange.RefuseNone
			if slices.Contains(asked.Replaces, old) != foreseen {
				t.Errorf("the driver was told that these end: %x, want %016x: %v", asked.Replaces, old, foreseen)
			}
		})
	}
}

// TestClientWithoutAddress: a client that asks for no address gets no child SA, not
// even later, and its IKE SA does not last.
func TestClientWithoutAddress(t *testing.T) {
	for _, tt := range []struct {
		name   string
		asks   bool
		refuse exchange.Refusal
		want   string
	}{
		{"asks for none", false, exchange.RefuseNone, "FAILED_CP_REQUIRED"},
		{"none is given", true, exchange.RefuseNone, "INTERNAL_ADDRESS_FAILURE"},
		{"none is free", true, exchange.RefuseNoAddress, "INTERNAL_ADDRESS_FAILURE"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, g, s := alone(t, nil)
			g.Authorise = func(q exchange.AskSession) exchange.AnswerSession {
				return exchange.AnswerSession{Question: q.Question, Refuse: tt.refuse}
			}
			s.Init()
			id, _ := identity.Parse("client@example")
			ps := s.AuthPayloads(id, "key of the client")
			if !tt.asks {
				ps = without(ps, wire.TypeCP)
			}
			if got := errorOf(s.Request(wire.IKEAuth, ps...)); got != tt.want || len(g.Plane) != 0 {
				t.Errorf("got %q, %d children, want %q", got, len(g.Plane), tt.want)
			}
			if len(g.Established()) != 1 || reasons(g) == "" {
				t.Errorf("state %v, reason %q", g.Engine.Status(), reasons(g))
			}
			child := wire.Payloads{wire.Nonce{Data: make([]byte, 32)}}
			for _, p := range ps {
				switch p.PayloadType() {
				case wire.TypeSA, wire.TypeTSi, wire.TypeTSr:
					child = append(child, p)
				}
			}
			if got := errorOf(s.Request(wire.CreateChildSA, child...)); got != "FAILED_CP_REQUIRED" ||
				len(g.Plane) != 0 {
				t.Errorf("a child later: got %q, %d children", got, len(g.Plane))
			}
			l.Run(40 * time.Second)
			if len(g.Established()) != 0 {
				t.Errorf("%v is left", g.Established())
			}
		})
	}
}
