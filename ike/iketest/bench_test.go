package iketest

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/warrenvpn/warren/ike"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/wire"
)

// BenchmarkResponder measures what a gateway spends on one set-up: IKE_SA_INIT,
// IKE_AUTH with PSK, address and child SA, and the records of all that. The
// work of the client is not counted.
func BenchmarkResponder(b *testing.B) {
	l := New(31, Faults{})
	cfg := GatewayConfig()
	e, err := ike.New(&cfg)
	if err != nil {
		b.Fatal(err)
	}
	var out exchange.Output
	e.Activate(l.Now, &out)
	n := l.Add("client side", ClientAddr, ClientConfig())
	id, _ := identity.Parse("client@example")
	records := 0
	gw := netip.AddrPortFrom(GatewayAddr, 500)

	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		b.StopTimer()
		var addr [4]byte
		binary.BigEndian.PutUint32(addr[:], 0x0a000000+uint32(i))
		s := NewStranger(n, netip.AddrPortFrom(netip.AddrFrom4(addr), 500))
		s.request = wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0), s.InitPayloads()...)
		out = exchange.Output{}
		b.StartTimer()
		err := e.Receive(l.Now, exchange.Datagram{Local: gw, Remote: s.Addr, Payload: s.request}, &out)
		b.StopTimer()
		if err != nil || !s.ReceiveInit(out.Send[0].Payload) {
			b.Fatal(err)
		}
		request := s.Seal(wire.IKEAuth, 1, s.AuthPayloads(id, "key of the client")...)
		out = exchange.Output{}
		b.StartTimer()
		err = e.Receive(l.Now, exchange.Datagram{Local: gw, Remote: s.Addr, Payload: request}, &out)
		if err != nil {
			b.Fatal(err)
		}
		q := out.Events[0].(exchange.AskSession)
		out = exchange.Output{}
		if err := e.Answer(l.Now, Grant(q), &out); err != nil {
			b.Fatal(err)
		}
		for _, r := range out.Changes {
			records += len(ike.AppendRecord(nil, r))
		}
	}
	b.StopTimer()
	if got := len(e.Status()); got != b.N {
		b.Errorf("%d SAs after %d set-ups", got, b.N)
	}
	b.ReportMetric(float64(records)/float64(b.N), "journal-B/op")
}
