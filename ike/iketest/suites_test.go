package iketest

import (
	"slices"
	"testing"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
)

// The suites of these tests: what a gateway has by default, and single ones.
var (
	gcm256   = sa.Transform{Type: sa.Encryption, ID: sa.EncrAESGCM16, KeyBits: 256}
	gcm128   = sa.Transform{Type: sa.Encryption, ID: sa.EncrAESGCM16, KeyBits: 128}
	chacha   = sa.Transform{Type: sa.Encryption, ID: sa.EncrChaCha20Poly1305}
	prf384   = sa.Transform{Type: sa.PRF, ID: sa.PRFHMACSHA384}
	prf256   = sa.Transform{Type: sa.PRF, ID: sa.PRFHMACSHA256}
	x25519   = sa.Transform{Type: sa.KeyExchange, ID: sa.KEX25519}
	ecp256   = sa.Transform{Type: sa.KeyExchange, ID: sa.KEECP256}
	ecp384   = sa.Transform{Type: sa.KeyExchange, ID: sa.KEECP384}
	defaults = sa.Proposal{gcm256, gcm128, chacha, prf384, prf256, x25519, ecp384, ecp256}
)

// TestRekeyingKeepsThePRF: whoever rekeys, and whatever the other would rather
// have, the PRF of the IKE SA stays and nothing becomes weaker; further
// exchanges work.
func TestRekeyingKeepsThePRF(t *testing.T) {
	weakFirst := sa.Proposal{gcm128, gcm256, prf256, prf384, ecp256, x25519, ecp384}
	for _, who := range []string{"gateway", "client"} {
		t.Run(who, func(t *testing.T) {
			l, g, c := connected(t, func(g, c *exchange.Config) {
				g.Policies[0].Proposal, c.Policies[0].Proposal = defaults, defaults
			})
			for _, n := range []*Node{g, c} { // the next ones are chosen in another order
				cfg := n.Config
				cfg.Policies = slices.Clone(cfg.Policies)
				cfg.Policies[0].Proposal = weakFirst
				if err := n.Engine.Configure(&cfg); err != nil {
					t.Fatal(err)
				}
			}
			n := g
			if who == "client" {
				n = c
			}
			want := g.Established()[0].Suite
			for range 3 {
				if err := n.Command(exchange.RekeyIKE{SPI: n.Established()[0].Peer.SPI}); err != nil {
					t.Fatal(err)
				}
				l.Run(time.Minute)
				if err := n.Command(exchange.RekeyChild{ID: n.Established()[0].Children[0].ID}); err != nil {
					t.Fatal(err)
				}
				l.Run(time.Minute)
				if got := g.Established()[0].Suite; !Up(g, c) || !slices.Equal(got, want) {
					t.Fatalf("suite is %v, was %v; up: %v", got, want, Up(g, c))
				}
			}
			if n := tally[exchange.IKERekeyed](g.Events); n != 3 {
				t.Errorf("rekeyed %d times", n)
			}
		})
	}
}

// TestOwnSuiteIsOfferedFirst: a peer that makes all keys with the PRF of the old
// SA is understood, because the PRF stays; the key exchange is the one that the
// SA has, not the first of the configuration.
func TestOwnSuiteIsOfferedFirst(t *testing.T) {
	l, g, s := alone(t, func(c *exchange.Config) {
		c.Policies[0].Proposal = sa.Proposal{gcm256, prf384, prf256, ecp384, x25519}
	})
	f, err := Establish(g, s) // with sha256 and x25519
	if err != nil {
		t.Fatal(err)
	}
	f.OldPRF = true
	if err := g.Command(exchange.RekeyIKE{SPI: f.Peer}); err != nil {
		t.Fatal(err)
	}
	next, err := f.AcceptIKE(sa.Proposal{gcm256, prf384, prf256, ecp384, x25519})
	if err != nil {
		t.Fatal(err)
	}
	f.Answer() // to the DELETE
	if err := g.Command(exchange.RekeyChild{ID: g.Established()[0].Children[0].ID}); err != nil {
		t.Fatal(err)
	}
	if m, ps := next.Last(); ps == nil || g.Engine.Usage().Garbled != 0 {
		t.Errorf("the new SA is not understood: %v, %v", m.Exchange, g.Errors)
	}
	l.Run(time.Millisecond)
}

// TestRekeyedIntoAnotherPRF: a peer that offers nothing else gets it, with keys
// as RFC 7296 section 2.18 says. One that derives others is told of once, and its
// SA ends although its traffic goes on.
func TestRekeyedIntoAnotherPRF(t *testing.T) {
	for _, old := range []bool{false, true} {
		l, g, s := alone(t, func(c *exchange.Config) { c.Policies[0].Proposal, c.Profiles[0].DPD = defaults, 0 })
		f, err := Establish(g, s)
		if err != nil {
			t.Fatal(err)
		}
		f.OldPRF = old
		next, err := f.RekeyIKE(sa.Proposal{gcm256, prf384, x25519})
		if err != nil {
			t.Fatal(err)
		}
		answered := next.Ask(37) != nil
		if answered == old || len(g.Established()) != 1 {
			t.Fatalf("keys all from the old PRF: %v; answered: %v", old, answered)
		}
		for range 20 {
			next.Ask(37)
		}
		l.Run(10 * time.Minute)
		if n := tally[exchange.Garbled](g.Events); old != (n == 1) || old != (g.Engine.Usage().Garbled > 20) ||
			old != (len(g.Established()) == 0) {
			t.Errorf("keys all from the old PRF: %v; told %d times, %d messages, %d SAs", old, n,
				g.Engine.Usage().Garbled, len(g.Established()))
		}
	}
}

// TestPRFConfiguredAway: an IKE SA whose PRF no policy has any more is not
// rekeyed; it ends with its lifetime and the client connects anew.
func TestPRFConfiguredAway(t *testing.T) {
	l, g, c := connected(t, func(g, c *exchange.Config) {
		g.Policies[0].Proposal, c.Policies[0].Proposal = defaults, defaults
	})
	for _, n := range []*Node{g, c} {
		cfg := n.Config
		cfg.Policies = []exchange.Policy{{Name: "20", Proposal: sa.Proposal{gcm256, prf256, x25519},
			Lifetime: time.Hour}}
		if err := n.Engine.Configure(&cfg); err != nil {
			t.Fatal(err)
		}
	}
	l.Run(23 * time.Hour)
	if tally[exchange.IKERekeyed](g.Events) != 0 || tally[exchange.IKEDown](g.Events) != 0 {
		t.Fatalf("before its lifetime: %v", g.Events)
	}
	l.Run(2 * time.Hour)
	if !Up(g, c) || g.Established()[0].Suite.One(sa.PRF) != prf256 {
		t.Errorf("not up with the new policy: %v", g.Engine.Status())
	}
}
