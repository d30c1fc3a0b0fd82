package iketest

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/wire"
)

// Where the client of these tests may be, and the second address of the gateway.
var (
	cafe       = netip.MustParseAddrPort("203.0.113.80:4500")
	train      = netip.MustParseAddrPort("[2001:db8:1::80]:4500")
	gateway6   = netip.MustParseAddr("2001:db8::1")
	gatewayNAT = netip.AddrPortFrom(GatewayAddr, 4500)
)

// mobile is a gateway with two addresses, and a client of it that moves.
func mobile(t *testing.T, tune func(*exchange.Config), more ...wire.Payload) (*Lab, *Node, *Foreign) {
	t.Helper()
	l, g, s := alone(t, func(c *exchange.Config) {
		second := c.Entries[0]
		second.Local = gateway6
		c.Entries = append(c.Entries, second)
		if tune != nil {
			tune(c)
		}
	})
	g.Also = gateway6
	s.To, s.Addr = gatewayNAT, netip.MustParseAddrPort("192.0.2.66:4500")
	if !s.Init() {
		t.Fatal("no answer to IKE_SA_INIT")
	}
	id, _ := identity.Parse("client@example")
	ps := s.Request(wire.IKEAuth, append(s.AuthPayloads(id, "key of the client"), more...)...)
	if ps.Count(wire.TypeSA) != 1 {
		t.Fatalf("not connected: %v", g.Errors)
	}
	if _, on := ps.Notify(wire.MOBIKESupported); on != (g.Established()[0].MOBIKE) {
		t.Errorf("the answer says MOBIKE: %v", on)
	}
	if n, _ := ps.Notify(wire.AdditionalIP6Address); g.Established()[0].MOBIKE && len(g.Config.Entries) > 1 &&
		!bytes.Equal(n.Data, gateway6.AsSlice()) {
		t.Errorf("the further address of the gateway: %x", n.Data)
	}
	return l, g, newForeign(s)
}

var supported = wire.Notify{Type: wire.MOBIKESupported}

// behindNAT are the notifications of somebody who is behind a NAT.
var behindNAT = []wire.Payload{
	wire.Notify{Type: wire.NATDetectionSourceIP, Data: make([]byte, 20)},
	wire.Notify{Type: wire.NATDetectionDestinationIP, Data: make([]byte, 20)},
}

// update says that the client is at another address.
func (f *Foreign) update(at netip.AddrPort, more ...wire.Payload) wire.Payloads {
	f.Addr, f.To = at, gatewayNAT
	if at.Addr().Is6() {
		f.To = netip.AddrPortFrom(gateway6, 4500)
	}
	return f.Ask(wire.Informational, append([]wire.Payload{wire.Notify{Type: wire.UpdateSAAddresses}}, more...)...)
}

// where returns the addresses of the IKE SA and the child SA of g that stand.
func where(t *testing.T, g *Node) (ike, esp netip.AddrPort) {
	t.Helper()
	up := g.Established()
	if len(up) != 1 || len(up[0].Children) != 1 {
		t.Fatalf("%d IKE SAs stand: %v", len(up), g.Errors)
	}
	p := g.Plane[up[0].Children[0].ID]
	if p.RemoteAddr.Addr().Is4() != p.LocalAddr.Addr().Is4() {
		t.Errorf("the child SA is between %v and %v", p.LocalAddr, p.RemoteAddr)
	}
	return up[0].Peer.Remote, p.RemoteAddr
}

// TestMove: UPDATE_SA_ADDRESSES brings the IKE SA and its child SA to where it comes
// from (RFC 4555 section 3.5), to another family too, whatever happens to the worker
// before, after or between, and after rekeyings of the IKE SA.
func TestMove(t *testing.T) {
	nothing := func(*testing.T, *Node, **Foreign) {}
	kill := func(_ *testing.T, g *Node, _ **Foreign) { g.Kill() }
	takeover := func(_ *testing.T, g *Node, _ **Foreign) { g.Takeover(g.Epoch+1, 0) }
	rekey := func(t *testing.T, g *Node, f **Foreign) {
		g.lab.Run(9 * time.Second) // or it is told TEMPORARY_FAILURE
		next, err := (*f).RekeyIKE(IKEProposal)
		if err != nil {
			t.Fatal(err)
		}
		(*f).Ask(wire.Informational, wire.Delete{Protocol: wire.ProtocolIKE})
		next.To = (*f).To
		*f = next
	}
	for name, between := range map[string]func(*testing.T, *Node, **Foreign){
		"nothing": nothing, "kill": kill, "takeover": takeover, "rekeying": rekey,
	} {
		t.Run(name, func(t *testing.T) {
			_, g, f := mobile(t, nil, supported)
			for _, at := range []netip.AddrPort{cafe, train, cafe, train} {
				between(t, g, &f)
				ps := f.update(at, behindNAT...)
				if ps.Count(wire.TypeNotify) != 2 {
					t.Fatalf("answer to the move to %v: %v, %v", at, ps, g.Errors)
				}
				if ike, esp := where(t, g); ike != at || esp != at {
					t.Errorf("moved to %v: IKE SA at %v, child SA at %v", at, ike, esp)
				}
				if c := g.Established()[0]; c.Children[0].Encap != sa.EncapUDP || !c.NAT {
					t.Errorf("behind a NAT: %v, NAT %v", c.Children[0].Encap, c.NAT)
				}
				between(t, g, &f)
				if ike, esp := where(t, g); ike != at || esp != at {
					t.Errorf("and then: IKE SA at %v, child SA at %v", ike, esp)
				}
				if !g.Established()[0].NAT {
					t.Error("and then: no NAT")
				}
				g.CheckSnapshot()
			}
			if n := tally[exchange.Moved](g.Events); n != 4 {
				t.Errorf("%d moves were told", n)
			}
		})
	}
}

// TestProbeMovesNothing: what comes from elsewhere without UPDATE_SA_ADDRESSES is
// answered there, and moves nothing; but for another port of a NAT.
func TestProbeMovesNothing(t *testing.T) {
	l, g, f := mobile(t, nil, supported)
	f.update(cafe, behindNAT...) // behind a NAT: without MOBIKE every message would move it
	var to netip.AddrPort
	l.Spy = func(_ *Node, d exchange.Datagram) { to = d.Remote }
	f.Addr = netip.MustParseAddrPort("203.0.113.99:4500")
	cookie := wire.Notify{Type: wire.Cookie2, Data: []byte("eight and more")}
	ps := f.Ask(wire.Informational, cookie)
	if n, ok := ps.Notify(wire.Cookie2); !ok || !bytes.Equal(n.Data, cookie.Data) || to != f.Addr {
		t.Errorf("the probe is answered with %v, to %v", ps, to)
	}
	if ike, esp := where(t, g); ike != cafe || esp != cafe {
		t.Errorf("after a probe: IKE SA at %v, child SA at %v", ike, esp)
	}
	f.Addr = netip.AddrPortFrom(cafe.Addr(), 31337)
	f.Ask(wire.Informational)
	if ike, esp := where(t, g); ike != f.Addr || esp != f.Addr {
		t.Errorf("after another mapping: IKE SA at %v, child SA at %v", ike, esp)
	}
}

// noNATs says which addresses a message was sent with.
func noNATs(from, to netip.AddrPort) wire.Notify {
	b := slices.Concat(from.Addr().AsSlice(), to.Addr().AsSlice())
	b = binary.BigEndian.AppendUint16(b, from.Port())
	return wire.Notify{Type: wire.NoNATsAllowed, Data: binary.BigEndian.AppendUint16(b, to.Port())}
}

// TestMoveRefused: who may not be where a move comes from does not move, and is told.
func TestMoveRefused(t *testing.T) {
	static := func(c *exchange.Config) {
		c.Profiles[0].RemoteAccess = false
		for i := range c.Entries {
			e := &c.Entries[i]
			e.Dynamic, e.Profile, e.Peer = false, "staff", netip.MustParseAddr("192.0.2.66")
			e.RemoteTS = []sa.Selector{sa.SelectorOf(netip.MustParsePrefix("10.77.0.0/16"))}
			e.LocalTS = []sa.Selector{sa.SelectorOf(netip.MustParsePrefix("10.10.0.0/24"))}
		}
		c.Entries = c.Entries[:1]
	}
	tests := []struct {
		name string
		tune func(*exchange.Config)
		on   []wire.Payload
		at   netip.AddrPort
		more []wire.Payload
		want string
		move bool
	}{
		{"no MOBIKE of the peer", nil, nil, cafe, nil, "", false},
		{"no MOBIKE here", func(c *exchange.Config) { c.NoMOBIKE = true }, []wire.Payload{supported}, cafe, nil, "",
			false},
		{"a site elsewhere", static, []wire.Payload{supported}, cafe, nil, "UNACCEPTABLE_ADDRESSES", false},
		{"from everybody", nil, []wire.Payload{supported}, netip.MustParseAddrPort("224.0.0.1:4500"), nil,
			"UNACCEPTABLE_ADDRESSES", false},
		{"no NAT wanted, and there is one", nil, []wire.Payload{supported}, cafe,
			[]wire.Payload{noNATs(netip.MustParseAddrPort("10.0.0.7:4500"), gatewayNAT)}, "UNEXPECTED_NAT_DETECTED", false},
		{"no NAT wanted, and there is none", nil, []wire.Payload{supported}, cafe,
			[]wire.Payload{noNATs(cafe, gatewayNAT)}, "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, g, f := mobile(t, tt.tune, tt.on...)
			before, _ := where(t, g)
			ps := f.update(tt.at, tt.more...)
			if ps == nil || errorOf(ps) != tt.want {
				t.Errorf("answered with %v: %v", ps, g.Errors)
			}
			if ike, esp := where(t, g); ike != esp || (ike != before) != tt.move {
				t.Errorf("IKE SA at %v, child SA at %v", ike, esp)
			}
			f.Addr = before
			if f.Ask(wire.Informational) == nil {
				t.Errorf("the SA does not go on: %v", g.Errors)
			}
		})
	}
}

// TestMoveFlood: moves are bounded in number, as all is that a peer can have us write
// down; one that comes later is followed again.
func TestMoveFlood(t *testing.T) {
	l, g, f := mobile(t, nil, supported)
	before := len(g.Journal)
	for n := range 1000 {
		f.update(netip.AddrPortFrom(cafe.Addr(), uint16(1000+n)))
	}
	if n := tally[exchange.Moved](g.Events); n > 100 || len(g.Journal)-before > 1500 {
		t.Errorf("%d moves, %d records", n, len(g.Journal)-before)
	}
	l.Run(3 * time.Second)
	f.update(train)
	if ike, esp := where(t, g); ike != train || esp != train {
		t.Errorf("IKE SA at %v, child SA at %v", ike, esp)
	}
}

// TestReturnRoutability: with that check the child SA follows when the peer has returned
// a cookie from its new address (section 3.7), and the SA ends when it returns
// another.
func TestReturnRoutability(t *testing.T) {
	check := func(c *exchange.Config) { c.ReturnRoutability = true }
	cookie := func(f *Foreign) []wire.Payload {
		_, ps := f.Last()
		n, _ := ps.Notify(wire.Cookie2)
		return []wire.Payload{n}
	}
	old := netip.MustParseAddrPort("192.0.2.66:4500")
	t.Run("proven", func(t *testing.T) {
		_, g, f := mobile(t, check, supported)
		f.update(cafe)
		if ike, esp := where(t, g); ike != cafe || esp != old {
			t.Errorf("before: IKE SA at %v, child SA at %v", ike, esp)
		}
		f.Answer(cookie(f)...)
		if ike, esp := where(t, g); ike != cafe || esp != cafe {
			t.Errorf("after: IKE SA at %v, child SA at %v", ike, esp)
		}
	})
	t.Run("moved again", func(t *testing.T) {
		_, g, f := mobile(t, check, supported)
		f.update(cafe)
		first := cookie(f)
		f.update(train)
		f.Answer(first...) // it knows that from where it was before
		if ike, esp := where(t, g); ike != train || esp != old {
			t.Errorf("IKE SA at %v, child SA at %v", ike, esp)
		}
		f.Answer(cookie(f)...)
		if _, esp := where(t, g); esp != train {
			t.Errorf("child SA at %v", esp)
		}
	})
	t.Run("wrong cookie", func(t *testing.T) {
		l, g, f := mobile(t, check, supported)
		f.update(cafe)
		f.Answer(wire.Notify{Type: wire.Cookie2, Data: make([]byte, 16)})
		l.Run(time.Second)
		if _, ps := f.Last(); ps.Count(wire.TypeDelete) != 1 || len(g.Plane) != 0 {
			t.Errorf("the SA goes on: %v", ps)
		}
	})
	for name, end := range map[string]func(g *Node){
		"killed": func(g *Node) { g.Kill() }, "taken over": func(g *Node) { g.Takeover(g.Epoch+1, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			l, g, f := mobile(t, check, supported)
			f.update(cafe)
			end(g)
			l.Run(3 * time.Second)
			if ike, esp := where(t, g); ike != cafe || esp != old {
				t.Errorf("before: IKE SA at %v, child SA at %v", ike, esp)
			}
			f.Answer(cookie(f)...)
			if ike, esp := where(t, g); ike != cafe || esp != cafe {
				t.Errorf("after: IKE SA at %v, child SA at %v", ike, esp)
			}
		})
	}
}

// TestOutageFoundByTheGateway: a peer that does not answer where it was is asked at
// its further addresses, too (section 3.10), and is asked there for what was
// outstanding when it has moved.
func TestOutageFoundByTheGateway(t *testing.T) {
	l, g, f := mobile(t, nil, supported, wire.Notify{Type: wire.AdditionalIP6Address, Data: train.Addr().AsSlice()},
		wire.Notify{Type: wire.AdditionalIP4Address, Data: cafe.Addr().AsSlice()},
		wire.Notify{Type: wire.AdditionalIP4Address, Data: []byte{127, 0, 0, 1}},
		wire.Notify{Type: wire.AdditionalIP4Address, Data: []byte{1}})
	to := map[netip.AddrPort]int{}
	l.Lose = func(_ *Node, d exchange.Datagram) bool { to[d.Remote]++; return false }
	g.Kill()
	l.Until(time.Minute, func() bool { return to[cafe] > 0 && to[train] > 0 })
	if len(to) != 3 || to[cafe] == 0 || to[train] == 0 {
		t.Fatalf("requests go to %v", to)
	}
	clear(to)
	f.update(train, wire.Notify{Type: wire.NoAdditionalAddresses})
	l.Run(time.Second)
	if to[train] < 2 {
		t.Errorf("after the move requests and answers go to %v", to)
	}
	f.Answer()
	if ike, esp := where(t, g); ike != train || esp != train {
		t.Errorf("IKE SA at %v, child SA at %v", ike, esp)
	}
}
