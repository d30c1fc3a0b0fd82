package iketest

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

// siteConfig is one end of a tunnel between two networks.
func siteConfig(local, peer netip.Addr, l, r string) exchange.Config {
	cfg := ClientConfig()
	key := cfg.Profiles[0].Local
	cfg.Profiles = []exchange.Profile{{Name: "site", Local: key, Remote: key, RemoteIdentities: patterns(peer.String()),
		DPD: 5 * time.Minute}}
	cfg.Entries = []exchange.Entry{{
		Name: "site", Local: local, Peer: peer, Profile: "site", Initiate: true, Proposals: childProposals(),
		LocalTS:  []sa.Selector{sa.SelectorOf(netip.MustParsePrefix(l))},
		RemoteTS: []sa.Selector{sa.SelectorOf(netip.MustParsePrefix(r))},
	}}
	return cfg
}

// diallers are two ends that both connect.
func diallers(l *Lab) (a, b *Node) {
	atA, atB := netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("192.0.2.20")
	yes := func(q exchange.AskSession) exchange.AnswerSession {
		return exchange.AnswerSession{Question: q.Question}
	}
	b = l.Add("b", atB, siteConfig(atB, atA, "10.2.0.0/16", "10.1.0.0/16"))
	a = l.Add("a", atA, siteConfig(atA, atB, "10.1.0.0/16", "10.2.0.0/16"))
	a.Authorise, b.Authorise = yes, yes
	return a, b
}

// one reports whether the two have exactly one IKE SA with one child SA.
func one(a, b *Node) bool {
	return Up(a, b) && len(a.Engine.Status()) == 1 && len(b.Engine.Status()) == 1 && len(a.Plane) == 1 &&
		len(b.Plane) == 1
}

// TestBothConnect: two ends that both dial have one SA soon, keep it, and have one
// again after either was replaced, lost its state, or could not be reached.
func TestBothConnect(t *testing.T) {
	for seed := range uint64(8) {
		l := New(seed, Faults{Delay: 10 * time.Millisecond, Jitter: 50 * time.Millisecond,
			Drop: float64(seed%4) * 0.05})
		a, b := diallers(l)
		settled := func(when string) {
			t.Helper()
			if !l.Until(5*time.Minute, func() bool { return one(a, b) }) {
				t.Fatalf("seed %d, %s: a %v, b %v", seed, when, a.Engine.Status(), b.Engine.Status())
			}
		}
		settled("at the start")
		l.Faults.Drop = 0
		ends := tally[exchange.IKEDown](a.Events) + tally[exchange.IKEDown](b.Events)
		l.Run(25 * time.Hour)
		settled("after a day")
		// the other one of the start, at most
		if n := tally[exchange.IKEDown](a.Events) + tally[exchange.IKEDown](b.Events); n > ends+2 {
			t.Errorf("seed %d: %d IKE SAs ended in a quiet day", seed, n-ends)
		}
		a.Kill()
		l.Run(time.Minute)
		settled("with a new worker")
		a.Journal = nil
		clear(a.Plane)
		a.Kill()
		l.Run(10 * time.Minute)
		settled("with the state of one lost")
		l.Faults.Drop = 1
		l.Run(15 * time.Minute)
		l.Faults.Drop = 0
		settled("after the wire was cut")
		noTrouble(t, l)
	}
}

// TestConnectedAnewBeforeTheEnd: where a peer refuses every rekeying, the end that
// dials has another IKE SA before the old one ends; packets always have a way.
func TestConnectedAnewBeforeTheEnd(t *testing.T) {
	tests := map[string]func(a, b *exchange.Config){
		"child SAs": func(a, b *exchange.Config) { // another key exchange than anybody there has
			a.Entries[0].Proposals[0].Proposal = append(slices.Clone(ESPProposal),
				sa.Transform{Type: sa.KeyExchange, ID: sa.KEModp3072})
			a.Entries[0].Proposals[0].Lifetime = 20 * time.Minute
		},
		"IKE SAs": func(a, b *exchange.Config) { a.Policies[0].Lifetime = 20 * time.Minute },
	}
	for name, tune := range tests {
		t.Run(name, func(t *testing.T) {
			l := New(5, Faults{Delay: 20 * time.Millisecond})
			atA, atB := netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("192.0.2.20")
			cfgA, cfgB := siteConfig(atA, atB, "10.1.0.0/16", "10.2.0.0/16"),
				siteConfig(atB, atA, "10.2.0.0/16", "10.1.0.0/16")
			cfgB.Entries[0].Initiate = false
			tune(&cfgA, &cfgB)
			b := l.Add("b", atB, cfgB)
			b.Authorise = func(q exchange.AskSession) exchange.AnswerSession {
				return exchange.AnswerSession{Question: q.Question}
			}
			a := l.Add("a", atA, cfgA)
			if !l.Until(time.Second, func() bool { return one(a, b) }) {
				t.Fatal("not up")
			}
			if name == "IKE SAs" { // b has no suite for a rekeying, but for a new SA
				l.Spy = func(from *Node, d exchange.Datagram) {
					next := b.Config
					if from == a && wire.ExchangeType(d.Payload[18]) == wire.CreateChildSA {
						next.Policies = []exchange.Policy{{Name: "other",
							Proposal: sa.Proposal{chacha, prf384, ecp384}}}
					}
					if err := b.Engine.Configure(&next); err != nil {
						t.Fatal(err)
					}
				}
			}
			ups := tally[exchange.IKEUp](a.Events)
			l.Before = func() {
				if len(a.Plane) == 0 || len(b.Plane) == 0 || len(a.Engine.Status()) > 2 {
					t.Errorf("after %v: a %v, b %v", l.Now.Sub(Start), a.Engine.Status(), b.Engine.Status())
				}
			}
			l.Run(3 * time.Hour)
			if n := tally[exchange.IKEUp](a.Events) - ups; n < 5 {
				t.Errorf("connected anew %d times", n)
			}
			noTrouble(t, l)
		})
	}
}
