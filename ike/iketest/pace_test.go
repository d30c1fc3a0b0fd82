package iketest

import (
	"net/netip"
	"testing"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

// TestPace: peers begin no more IKE SAs in a second than they may; the half that
// strangers can use up is not the half that is for those who are where they say.
func TestPace(t *testing.T) {
	const rate = 20
	l, g, _ := alone(t, func(c *exchange.Config) { c.SetupRate, c.CookieThreshold, c.MaxHalfOpen = rate, 1000, 1000 })
	for i := range 500 {
		NewStranger(g, netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 500)).Init()
	}
	if u := g.Engine.Usage(); u.Begun != rate/2+1 || u.HalfOpen != rate/2+1 || u.Paced != 0 {
		t.Errorf("after a flood of forged sources: %+v, want %d begun", u, rate/2+1)
	}
	c := l.Add("client", ClientAddr, ClientConfig())
	l.Faults.Delay = 10 * time.Millisecond
	if !l.Until(500*time.Millisecond, func() bool { return Up(g, c) }) {
		t.Errorf("a client cannot come in during the flood: %v", c.Events)
	}
	before := g.Engine.Usage()
	for i := range 500 { // these return their cookies
		s := NewStranger(g, netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 3, byte(i)}), 500))
		ps := s.InitPayloads()
		if sent := s.Send(wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0), ps...)); len(sent) == 1 {
			m, _ := wire.ParseMessage(sent[0])
			if n, ok := m.Payloads.Notify(wire.Cookie); ok {
				s.Send(wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0), append(wire.Payloads{n}, ps...)...))
			}
		}
	}
	u := g.Engine.Usage()
	if u.Begun > before.Begun+rate || u.Paced < 400 || u.HalfOpenPeak < u.HalfOpen {
		t.Errorf("after a flood of real sources: %+v, before it %+v", u, before)
	}
	l.Run(2 * time.Minute)
	if u := g.Engine.Usage(); u.HalfOpen != 0 || u.HalfOpenPeak < rate/2 {
		t.Errorf("when all is over: %+v", u)
	}
}

// TestUsageOfOldVersion: requests for IKEv1 are counted, once per attempt, and
// nothing is kept of them.
func TestUsageOfOldVersion(t *testing.T) {
	_, g, s := alone(t, nil)
	h := s.Header(2, 0) // Identity Protection, main mode
	h.Version = wire.Version1
	first := wire.AppendMessage(nil, h)
	h.SPIr = 7
	later := wire.AppendMessage(nil, h)
	for _, b := range [][]byte{first, later, first} {
		if sent := s.Send(b); len(sent) != 0 {
			t.Errorf("answered: %x", sent)
		}
	}
	if u := g.Engine.Usage(); u.OldVersion != 2 || u.HalfOpen != 0 {
		t.Errorf("got %+v, want 2 requests for IKEv1", u)
	}
}

// TestBusyIsCounted: what gives way in a full table counts.
func TestBusyIsCounted(t *testing.T) {
	_, g, _ := alone(t, func(c *exchange.Config) { c.CookieThreshold, c.MaxHalfOpen = 100, 3 })
	for i := range 10 {
		NewStranger(g, netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 500)).InitWithCookie()
	}
	if u := g.Engine.Usage(); u.HalfOpen != 3 || u.HalfOpenPeak != 3 || u.Busy != 7 {
		t.Errorf("got %+v, want 3 half-open and 7 that gave way", u)
	}
}
