package iketest

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
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
