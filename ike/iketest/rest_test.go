package iketest

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

// TestNarrowedToOnePair: the dialling end gets the networks that its peer has left
// out in child SAs of their own, also across a restart, and tells what it has
// lost; nothing is asked for twice.
func TestNarrowedToOnePair(t *testing.T) {
	second := sa.SelectorOf(netip.MustParsePrefix("10.3.0.0/16"))
	for _, tt := range []struct {
		name              string
		later, restart    bool
		children, refused int
	}{
		{"refused", false, false, 1, 1},
		{"a child SA of its own", true, false, 2, 0},
		{"the worker is replaced", true, true, 2, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := New(24, Faults{Delay: 10 * time.Millisecond})
			atA, atB := netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("192.0.2.20")
			atEnd := siteConfig(atB, atA, "10.2.0.0/16", "10.1.0.0/16")
			atEnd.Entries[0].Initiate = false
			b := l.Add("b", atB, atEnd)
			b.Authorise = func(q exchange.AskSession) exchange.AnswerSession {
				return exchange.AnswerSession{Question: q.Question}
			}
			cfg := siteConfig(atA, atB, "10.1.0.0/16", "10.2.0.0/16")
			cfg.Entries[0].RemoteTS = append(cfg.Entries[0].RemoteTS, second)
			a := l.Add("a", atA, cfg)
			if !l.Until(time.Second, func() bool { return len(a.Plane) == 1 }) {
				t.Fatal("not up")
			}
			if tt.later { // from now on it takes the other one
				next := b.Config
				next.Entries = slices.Clone(next.Entries)
				next.Entries[0].LocalTS = []sa.Selector{second}
				if err := b.Engine.Configure(&next); err != nil {
					t.Fatal(err)
				}
			}
			if tt.restart {
				a.Kill()
			}
			l.Run(time.Minute)
			a.Kill()
			l.Run(time.Minute)
			if len(a.Plane) != tt.children || len(b.Plane) != tt.children || len(a.Established()) != 1 {
				t.Errorf("child SAs: %v", a.Plane)
			}
			if n, m := tally[exchange.Narrowed](a.Events), tally[exchange.Refused](a.Events); n != 1 ||
				(m > 0) != (tt.refused > 0) {
				t.Errorf("told %d times that it was narrowed, and %d times that it was refused", n, m)
			}
			noTrouble(t, l)
		})
	}
}

// TestSinglePairRequired: where the peer says SINGLE_PAIR_REQUIRED to the first child SA,
// which was to carry several pairs of networks, the IKE SA stands, and the dialling end
// asks for each pair in a child SA of its own, also across a restart (RFC 7296 section
// 2.9).
func TestSinglePairRequired(t *testing.T) {
	for _, restart := range []bool{false, true} {
		l := New(29, Faults{Delay: 10 * time.Millisecond})
		atA, atB := netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("192.0.2.20")
		cfg := siteConfig(atB, atA, "10.9.0.0/16", "10.1.0.0/16") // nothing in common at first
		cfg.Entries[0].Initiate = false
		b := l.Add("b", atB, cfg)
		b.Authorise = func(q exchange.AskSession) exchange.AnswerSession {
			return exchange.AnswerSession{Question: q.Question}
		}
		l.Lose = func(from *Node, d exchange.Datagram) bool {
			h, err := wire.ParseHeader(d.Payload)
			if err != nil || from != b || h.Exchange != wire.IKEAuth {
				return false
			}
			l.Inject(l.Now.Add(l.Faults.Delay), exchange.Datagram{Local: d.Remote, Remote: d.Local,
				Payload: saysInstead(t, b, d.Payload, wire.TSUnacceptable, wire.SinglePairRequired)})
			return true
		}
		cfg = siteConfig(atA, atB, "10.1.0.0/16", "10.2.0.0/16")
		cfg.Entries[0].RemoteTS = selectorsOf("10.2.0.0/16", "10.3.0.0/16")
		a := l.Add("a", atA, cfg)
		if !l.Until(time.Second, func() bool { return len(a.Established()) == 1 }) || len(a.Plane) != 0 {
			t.Fatalf("not up without a child SA: %v", a.Engine.Status())
		}
		next := b.Config
		next.Entries = slices.Clone(next.Entries)
		next.Entries[0].LocalTS = selectorsOf("10.2.0.0/16", "10.3.0.0/16")
		if err := b.Engine.Configure(&next); err != nil {
			t.Fatal(err)
		}
		if restart {
			a.Kill()
		}
		l.Run(time.Minute)
		var pairs []string
		for _, c := range a.Plane {
			pairs = append(pairs, fmt.Sprint(c.Local, c.Remote))
		}
		slices.Sort(pairs)
		if got, want := fmt.Sprint(pairs), "[[10.1.0.0/16] [10.2.0.0/16] [10.1.0.0/16] [10.3.0.0/16]]"; got != want {
			t.Errorf("restart %v: child SAs for %s, want %s", restart, got, want)
		}
		if n := tally[exchange.IKEUp](a.Events); n != 1 || len(b.Plane) != 2 || len(a.Established()) != 1 {
			t.Errorf("restart %v: %d IKE SAs came up, %v; b has %v", restart, n, a.Engine.Status(), b.Plane)
		}
		noTrouble(t, l)
	}
}

// saysInstead returns a protected message of n with another notification in the place of
// one.
func saysInstead(t *testing.T, n *Node, message []byte, old, now wire.NotifyType) []byte {
	t.Helper()
	k := newKeyring()
	k.learn(n)
	ps, inside, err := k.payloads(message)
	h, _ := wire.ParseHeader(message)
	i := slices.IndexFunc(ps, func(p wire.Payload) bool { x, ok := p.(wire.Notify); return ok && x.Type == old })
	if err != nil || !inside || i < 0 {
		t.Fatalf("no %v in %v: %v", old, ps, err)
	}
	ps[i] = wire.Notify{Type: now}
	b, err := k.ciphers[pair{h.SPIi, h.SPIr}].responder.Seal(nil, h, forgedIV, n.Config.Rand, ps...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRekeyedToSinglePairs: a peer that says SINGLE_PAIR_REQUIRED when a child SA of
// several pairs of networks is rekeyed is asked for each pair in a child SA of its own
// (RFC 7296 section 2.9), and the old one ends when all are there; also where the worker
// is killed, or taken over from, between any two messages.
func TestRekeyedToSinglePairs(t *testing.T) {
	for _, end := range []func(g *Node){func(*Node) {}, (*Node).Kill, func(g *Node) { g.Takeover(g.Epoch+1, 0) }} {
		l, g, _ := met(t, func(c *exchange.Config) { c.Profiles[0].DPD = 0 })
		g.Authorise = func(q exchange.AskSession) exchange.AnswerSession {
			a := Grant(q)
			a.Session.Split = append(a.Session.Split, netip.MustParsePrefix("10.20.0.0/24"))
			return a
		}
		f, err := Establish(g, NewStranger(g, netip.MustParseAddrPort("192.0.2.67:500")))
		if err != nil {
			t.Fatal(err)
		}
		old := func() (c sa.Child, there bool) {
			for _, c := range g.Plane {
				if len(c.Local) == 2 {
					return c, true
				}
			}
			return c, false
		}
		c, there := old()
		if !there {
			t.Fatalf("no child SA has two pairs: %v", g.Plane)
		}
		if err := g.Command(exchange.RekeyChild{ID: c.ID}); err != nil {
			t.Fatal(err)
		}
		seen, spi := 0, sa.SPI(0x5000)
		done := func() bool { _, there := old(); return !there }
		for range 40 {
			end(g)
			if !l.Until(8*time.Hour, func() bool { return done() || len(f.Requests) > seen }) || done() {
				break
			}
			seen = len(f.Requests)
			m, ps := f.Last()
			tsr, _ := wire.Find[wire.TSr](ps)
			tsi, _ := wire.Find[wire.TSi](ps)
			switch {
			case m.Exchange == wire.Informational:
				f.Answer()
			case len(tsi.Selectors)*len(tsr.Selectors) > 1:
				f.Refuse(wire.SinglePairRequired)
			default:
				spi++
				f.AcceptChild(spi)
			}
		}
		var networks []string
		for _, c := range g.Plane {
			if c.Owner == f.Peer {
				networks = append(networks, fmt.Sprint(c.Local))
			}
		}
		slices.Sort(networks)
		if got, want := fmt.Sprint(networks), "[[10.10.0.0/24] [10.20.0.0/24]]"; got != want {
			t.Errorf("child SAs for %s, want %s", got, want)
		}
		if n := tally[exchange.Refused](g.Events); n != 0 {
			t.Errorf("%d refusals are told", n)
		}
	}
}
