package iketest

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/ike/wire"
)

// v6 is the host of a /64.
func v6(network string, host int) netip.AddrPort {
	a := netip.MustParseAddr(network).As16()
	binary.BigEndian.PutUint64(a[8:], uint64(host))
	return netip.AddrPortFrom(netip.AddrFrom16(a), 500)
}

// v4 is one of many addresses.
func v4(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(2 + i>>8), byte(i)}), 500)
}

// TestFloodOfRealSources: attackers who are where they say, and return their
// cookies, keep nobody out: an honest peer gets a place, and keeps it until it has
// authenticated.
func TestFloodOfRealSources(t *testing.T) {
	for _, tt := range []struct {
		name   string
		source func(i int) netip.AddrPort
		most   int // half-open SAs that they get
	}{
		{"one IPv6 network", func(i int) netip.AddrPort { return v6("2001:db8:bad::", i) }, 25},
		{"four hosts", func(i int) netip.AddrPort { return v4(i % 4) }, 100},
		{"many hosts", v4, 400},
		{"many IPv6 networks", func(i int) netip.AddrPort {
			a := netip.MustParseAddr("2001:db8:bad::1").As16()
			binary.BigEndian.PutUint16(a[6:], uint16(i))
			return netip.AddrPortFrom(netip.AddrFrom16(a), 500)
		}, 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, g, _ := alone(t, func(c *exchange.Config) { c.MaxHalfOpen, c.CookieThreshold = 400, 40 })
			attack := func(n int) {
				for i := range n {
					s := NewStranger(g, tt.source(i))
					s.InitWithCookie()
				}
			}
			attack(600)
			if n := g.Engine.Usage().HalfOpen; n > tt.most {
				t.Errorf("%d half-open SAs, want %d at most", n, tt.most)
			}
			for _, from := range []netip.AddrPort{netip.MustParseAddrPort("198.51.100.77:500"),
				v6("2001:db8:600d::", 7)} {
				honest := NewStranger(g, from)
				if !honest.InitWithCookie() {
					t.Fatalf("honest peer at %v is not answered: %v", from, g.Errors[len(g.Errors)-1])
				}
				attack(150) // while it computes
				id, _ := identity.Parse("client@example")
				honest.iv = uint64(len(g.Journal)) // another SPI
				if honest.Request(wire.IKEAuth, honest.AuthPayloads(id, "key of the client")...).
					Count(wire.TypeSA) != 1 {
					t.Errorf("honest peer at %v lost its place", from)
				}
			}
		})
	}
}

// TestRefusedTakeNoPlace: peers with a wrong key do not fill the table, and each
// gets its refusal repeated while there are few.
func TestRefusedTakeNoPlace(t *testing.T) {
	l, g, _ := alone(t, func(c *exchange.Config) { c.CookieThreshold, c.MaxHalfOpen = 5, 40 })
	id, _ := identity.Parse("client@example")
	for i := range 300 {
		s := NewStranger(g, v4(i))
		if !s.InitWithCookie() {
			t.Fatalf("attacker %d is not answered", i)
		}
		request := s.Seal(wire.IKEAuth, 1, s.AuthPayloads(id, "guess")...)
		for range 2 {
			if sent := s.Send(request); len(sent) != 1 || errorOf(s.Open(sent[0])) != "AUTHENTICATION_FAILED" {
				t.Fatalf("attacker %d is not refused", i)
			}
		}
	}
	if u, all := g.Engine.Usage(), len(g.Engine.Status()); u.HalfOpen != 0 || all > 130 {
		t.Errorf("%+v half-open, %d SAs", u, all)
	}
	c := l.Add("client", ClientAddr, ClientConfig())
	l.Faults.Delay = 10 * time.Millisecond
	if !l.Until(time.Second, func() bool { return Up(g, c) }) {
		t.Errorf("a client cannot come in: %v", c.Events)
	}
}

// TestHalfOpenLife: the fuller the table, the sooner a handshake is given up.
func TestHalfOpenLife(t *testing.T) {
	l, g, _ := alone(t, func(c *exchange.Config) { c.MaxHalfOpen, c.CookieThreshold = 100, 10 })
	first := NewStranger(g, v4(0))
	first.InitWithCookie()
	l.Run(29 * time.Second)
	if n := g.Engine.Usage().HalfOpen; n != 1 {
		t.Errorf("a quiet table: %d half-open SAs after 29 s", n)
	}
	l.Run(2 * time.Second)
	for i := range 100 {
		NewStranger(g, v4(i)).InitWithCookie()
	}
	l.Run(6 * time.Second)
	if n := g.Engine.Usage().HalfOpen; n > 92 || n < 50 {
		t.Errorf("a full table: %d half-open SAs after 6 s", n)
	}
	l.Run(22 * time.Second)
	if n := g.Engine.Usage().HalfOpen; n > 18 || n < 10 {
		t.Errorf("a full table: %d half-open SAs after 28 s, want those that began while it was nearly empty", n)
	}
	l.Run(3 * time.Second)
	if n := g.Engine.Usage().HalfOpen; n != 0 {
		t.Errorf("%d half-open SAs are left", n)
	}
}

// TestLongInit: a first message far longer than any peer's is not parsed before
// its sender has returned a cookie.
func TestLongInit(t *testing.T) {
	_, g, s := alone(t, nil)
	var p sa.Proposal
	for i := range 127 {
		p = append(p, sa.Transform{Type: sa.KeyExchange, ID: uint16(1000 + i)})
	}
	var many []sa.Proposal
	for range 60 {
		many = append(many, append(p[:127:127], IKEProposal[0]))
	}
	ps := replaced(s.InitPayloads(), suite.Offer(many, wire.ProtocolIKE, nil))
	sent := s.Send(wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0), ps...))
	if len(sent) != 1 || notifyOf(sent[0]) != "COOKIE" {
		t.Fatalf("answered %x", sent)
	}
	m, _ := wire.ParseMessage(sent[0])
	n, _ := m.Payloads.Notify(wire.Cookie)
	sent = s.Send(wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0), append(wire.Payloads{n}, ps...)...))
	if len(sent) != 1 || notifyOf(sent[0]) != "NO_PROPOSAL_CHOSEN" {
		t.Errorf("with a cookie: answered %x", sent)
	}
	if u := g.Engine.Usage(); u.HalfOpen != 0 {
		t.Errorf("%+v", u)
	}
}

// TestCookieIsForOneSender: what a cookie is made from cannot be cut in another
// way, nor be another's.
func TestCookieIsForOneSender(t *testing.T) {
	_, g, s := alone(t, func(c *exchange.Config) { c.CookieThreshold = 1 })
	NewStranger(g, netip.MustParseAddrPort("192.0.2.200:500")).Init()
	long := make([]byte, 32)
	copy(long[20:], netip.MustParseAddr("2001:db8:1:2:3:4:c000:242").AsSlice()[:12])
	ps := func(nonce []byte) wire.Payloads { return replaced(s.InitPayloads(), wire.Nonce{Data: nonce}) }
	sent := s.Send(wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0), ps(long)...))
	m, _ := wire.ParseMessage(sent[0])
	cookie, ok := m.Payloads.Notify(wire.Cookie)
	if !ok {
		t.Fatal("no cookie")
	}
	for _, tt := range []struct {
		name  string
		from  string
		nonce []byte
		want  string
	}{
		{"an IPv6 address that ends as the IPv4 address, and begins as the nonce ends",
			"[2001:db8:1:2:3:4:c000:242]:500", long[:20], "COOKIE"},
		{"another port", "192.0.2.66:501", long, "COOKIE"},
		{"another address", "192.0.2.67:500", long, "COOKIE"},
		{"the sender", "192.0.2.66:500", long, ""},
	} {
		other := *s
		other.Addr = netip.MustParseAddrPort(tt.from)
		sent := other.Send(wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0),
			append(wire.Payloads{cookie}, ps(tt.nonce)...)...))
		if len(sent) != 1 || notifyOf(sent[0]) != tt.want {
			t.Errorf("%s: answered %x, want %q", tt.name, sent, tt.want)
		}
	}
}
