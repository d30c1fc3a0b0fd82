package iketest

import (
	"testing"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

// FuzzReceive gives an engine with a half-open and an established SA two
// datagrams: one as it is, and one whose bytes are the plaintext of an authentic
// message of the established peer.
func FuzzReceive(f *testing.F) {
	l := New(41, Faults{})
	seedNode := l.Add("seed", GatewayAddr, GatewayConfig())
	s := NewStranger(seedNode, strangerAddr)
	f.Add(wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0), s.InitPayloads()...), uint8(wire.CreateChildSA),
		uint8(wire.TypeSA))
	f.Add(wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0)), uint8(wire.Informational), uint8(wire.TypeDelete))
	f.Fuzz(func(t *testing.T, b []byte, kind, first uint8) {
		l := New(42, Faults{})
		g := l.Add("gateway", GatewayAddr, GatewayConfig())
		g.Authorise = Grant
		half, up := NewStranger(g, strangerAddr), NewStranger(g, strangerAddr)
		if !half.Init() || !up.Connect() {
			t.Fatal("not connected")
		}
		half.Send(b)
		if len(g.Plane) != 1 {
			t.Fatal("a datagram in clear changed the data plane")
		}
		up.Send(up.Seal(wire.ExchangeType(kind), up.next, wire.Unknown{Number: wire.PayloadType(first),
			Body: b[:min(len(b), 60000)]}))
		g.CheckSnapshot()
		for _, x := range l.Trouble {
			t.Error(x)
		}
		var out exchange.Output
		if at, ok := g.Engine.Deadline(); ok {
			g.Engine.Expire(at, &out)
		}
	})
}
