package ike_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/iketest"
	"github.com/warrenvpn/warren/ike/wire"
)

// resumed is a half-open SA of another first exchange than IKE_SA_INIT: it knows no
// more than an Engine asks.
type resumed struct {
	exchange.SA
	index  exchange.Index
	spi    uint64
	d      exchange.Datagram
	phase  exchange.Phase
	reason string // why it has ended
}

func (s *resumed) Index() *exchange.Index    { return &s.index }
func (s *resumed) SPI() uint64               { return s.spi }
func (s *resumed) PeerSPI() uint64           { return s.spi + 1 }
func (s *resumed) Phase() exchange.Phase     { return s.phase }
func (s *resumed) Remote() netip.AddrPort    { return s.d.Remote }
func (s *resumed) Peer() exchange.Peer       { return exchange.Peer{SPI: s.spi, Remote: s.d.Remote} }
func (s *resumed) PeerKey() exchange.PeerKey { return exchange.PeerKey{} }
func (s *resumed) Entry() string             { return "" }
func (s *resumed) Deadline() time.Time       { return time.Time{} }
func (s *resumed) Status() exchange.Status {
	return exchange.Status{Peer: s.Peer(), State: "RESUMED"}
}

func (s *resumed) End(_ time.Time, reason string, _ *exchange.Output) {
	s.phase, s.reason = exchange.PhaseDead, reason
}

// Respond implements exchange.First.
func (s *resumed) Respond(time.Time, bool, *exchange.Output) (exchange.SA, error) { return s, nil }

// TestFirstExchangesAreCountedOnce adds a first exchange to the Engine's table. Its
// SAs are half-open beside those of IKE_SA_INIT: one limit, one cookie and one order
// in which they give way are for both.
func TestFirstExchangesAreCountedOnce(t *testing.T) {
	l := iketest.New(1, iketest.Faults{Delay: time.Millisecond})
	g, c := l.Pair(func(g, _ *exchange.Config) { g.MaxHalfOpen = 3 })
	var made []*resumed
	g.Engine.AddOpening(wire.IKESessionResume, func(d exchange.Datagram) (exchange.First, error) {
		s := &resumed{spi: uint64(100 + len(made)), d: d, phase: exchange.PhaseHalfOpen}
		made = append(made, s)
		return s, nil
	})
	c.Deaf = true // it sends IKE_SA_INIT, and that is all
	l.Run(100 * time.Millisecond)

	resume := func(from string, before ...wire.Payload) (answer wire.Payloads) {
		t.Helper()
		h := wire.Header{SPIi: uint64(len(from)) << 8, Version: wire.Version2, Exchange: wire.IKESessionResume,
			Flags: wire.FlagInitiator}
		d := exchange.Datagram{Local: netip.AddrPortFrom(iketest.GatewayAddr, 500),
			Remote:  netip.MustParseAddrPort(from),
			Payload: wire.AppendMessage(nil, h, append(before, wire.Nonce{Data: make([]byte, 64)})...)}
		g.Do(func(out *exchange.Output) error {
			err := g.Engine.Receive(l.Now, d, out)
			for _, r := range out.Send {
				m, parse := wire.ParseMessage(r.Payload)
				if parse != nil {
					t.Fatal(parse)
				}
				answer = append(answer, m.Payloads...)
			}
			return err
		})
		return answer
	}
	resume("203.0.113.1:500")
	resume("203.0.113.22:500")
	if u := g.Engine.Usage(); u.HalfOpen != 3 || u.Begun != 3 || u.Busy != 0 || len(made) != 2 {
		t.Fatalf("%+v, %d SAs", u, len(made))
	}
	cookie, asked := resume("203.0.113.133:5000").Notify(wire.Cookie)
	if u := g.Engine.Usage(); !asked || u.HalfOpen != 3 || len(made) != 2 {
		t.Fatalf("cookie %v, %+v", asked, u)
	}
	resume("203.0.113.133:5000", cookie)
	if u := g.Engine.Usage(); u.HalfOpen != 3 || u.Busy != 1 || len(made) != 3 {
		t.Errorf("%+v, %d SAs", u, len(made))
	}
	for _, s := range g.Engine.Status() {
		if s.State != "RESUMED" {
			t.Errorf("the oldest SA, of IKE_SA_INIT, has not given way: %+v", s)
		}
	}
	cookie, _ = resume("203.0.113.144:50000").Notify(wire.Cookie)
	resume("203.0.113.144:50000", cookie)
	if made[0].reason == "" || g.Engine.Usage().HalfOpen != 3 {
		t.Errorf("the oldest SA has not given way: %+v", g.Engine.Usage())
	}
}
