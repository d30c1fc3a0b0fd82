package iketest

import (
	"flag"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
)

var (
	firstFlag = flag.Uint64("first", 1, "the first seed that TestActors plays")
	seedsFlag = flag.Uint64("seeds", 15, "the last seed that TestActors plays; make sim plays 10,000")
)

// TestActors: an honest client beside a hostile one, at a gateway whose worker is
// replaced and taken over at times, while both ends of the honest one are
// configured with other suites and rekey into them, often at once, and delete what they
// have. The honest client stays connected, but for what was deleted; what the hostile
// one makes the gateway keep is bounded; no initialisation vector comes twice; a
// snapshot gives the same state.
func TestActors(t *testing.T) {
	first, last := *firstFlag, *seedsFlag
	if *seedFlag != 0 {
		first, last = *seedFlag, *seedFlag
	}
	total := map[string]int{}
	for seed := first; seed <= last; seed++ {
		actors(t, seed, total)
		if t.Failed() {
			t.Fatalf("repeat with -seed=%d", seed)
		}
	}
	t.Logf("%d seeds: %v", last-first+1, total)
	for _, what := range []string{"rekeyed", "child SAs", "deferred", "restarts", "both at once", "deleted"} {
		if last-first >= 14 && total[what] == 0 {
			t.Errorf("nothing happened that is called %s", what)
		}
	}
}

// to returns the IKE SA of n with the peer called id that has child SAs.
func to(n *Node, id string) (exchange.Status, bool) {
	for _, s := range n.Established() {
		if len(s.Children) > 0 && s.Peer.RemoteID == id {
			return s, true
		}
	}
	return exchange.Status{}, false
}

// rekey has n rekey the IKE SA with the peer called id, or its newest child SA.
func rekey(n *Node, id string, ikeSA bool) {
	s, ok := to(n, id)
	switch {
	case !ok:
	case ikeSA:
		n.Command(exchange.RekeyIKE{SPI: s.Peer.SPI})
	default:
		n.Command(exchange.RekeyChild{ID: s.Children[len(s.Children)-1].ID})
	}
}

func actors(t *testing.T, seed uint64, total map[string]int) {
	t.Helper()
	l := New(seed, Faults{Delay: 5 * time.Millisecond, Jitter: 20 * time.Millisecond, Drop: 0.02})
	offers := [][]sa.Transform{
		{gcm256, gcm128, chacha, prf384, prf256, x25519, ecp256, ecp384},
		{gcm128, gcm256, prf256, prf384, ecp256, x25519, ecp384},
		{chacha, gcm256, prf256, prf384, x25519, ecp384}, {gcm256, prf384, ecp384, ecp256, x25519, prf256},
	}
	g, c := l.Pair(func(g, c *exchange.Config) {
		for _, cfg := range []*exchange.Config{g, c} {
			cfg.Policies[0].Proposal, cfg.Policies[0].Lifetime = offers[0], 10*time.Minute
			cfg.Entries[0].Proposals[0].Lifetime = 4 * time.Minute
		}
		c.FragmentSize = 180
		for _, x := range []struct {
			cfg    *exchange.Config
			second netip.Addr
		}{{g, gateway6}, {c, client6}} {
			e := x.cfg.Entries[0]
			e.Local = x.second
			x.cfg.Entries = append(x.cfg.Entries, e)
		}
	})
	g.Also, c.Also = gateway6, client6
	broken := netip.Addr{} // no datagram of this address arrives, nor one to it
	l.Lose = func(_ *Node, d exchange.Datagram) bool {
		return d.Local.Addr() == broken || d.Remote.Addr() == broken
	}
	if !l.Until(time.Minute, func() bool { return Up(g, c) }) {
		t.Fatalf("seed %d: not up", seed)
	}
	honest := map[*Node]string{g: "client@example", c: "gw.example"} // whom each of them is connected with
	deleted, seen := time.Time{}, 0
	h := NewHostile(g, netip.MustParseAddrPort("192.0.2.66:500"), seed)
	for range 60 {
		for range 1 + l.rng.IntN(20) {
			h.Act()
		}
		switch n := []*Node{g, c}[l.rng.IntN(2)]; l.rng.IntN(20) {
		case 0:
			total["restarts"]++
			g.Kill()
		case 1:
			total["restarts"]++
			g.Takeover(g.Epoch+1, 0)
		case 2, 3:
			cfg := n.Config
			cfg.Policies = slices.Clone(cfg.Policies)
			cfg.Policies[0].Proposal = offers[l.rng.IntN(len(offers))]
			if err := n.Engine.Configure(&cfg); err != nil {
				t.Fatal(err)
			}
		case 4:
			rekey(n, honest[n], true)
		case 5, 6:
			rekey(n, honest[n], false)
		case 7, 8:
			total["both at once"]++
			rekey(g, honest[g], true)
			rekey(c, honest[c], true)
		case 9, 10:
			total["both at once"]++
			rekey(g, honest[g], false)
			rekey(c, honest[c], false)
		case 11:
			total["child and IKE SA at once"]++
			rekey(g, honest[g], n == g)
			rekey(c, honest[c], n == c)
		case 12:
			if s, ok := to(n, honest[n]); ok {
				total["deleted"]++
				deleted = l.Now
				n.Command(exchange.DeleteIKE{SPI: s.Peer.SPI, Reason: "test"})
			}
		case 13:
			if s, ok := to(n, honest[n]); ok {
				total["deleted"]++
				deleted = l.Now
				n.Command(exchange.DeleteChild{ID: s.Children[0].ID, Reason: "test"})
				o := []*Node{g, c}[l.rng.IntN(2)]
				rekey(o, honest[o], l.rng.IntN(2) == 0)
			}
		case 14:
			broken = []netip.Addr{c.Addr, client6, gateway6, {}}[l.rng.IntN(4)]
		case 15:
			total["moves"]++
			c.moveTo([]netip.Addr{ClientAddr, netip.MustParseAddr("192.0.2.99"),
				netip.MustParseAddr("203.0.113.99")}[l.rng.IntN(3)])
			rekey(n, honest[n], l.rng.IntN(2) == 0)
		}
		l.Run(time.Duration(l.rng.IntN(20_000)) * time.Millisecond)
		if n := len(g.Engine.Status()); n > 60 || len(g.Plane) > 200 {
			t.Errorf("seed %d: %d IKE SAs, %d child SAs", seed, n, len(g.Plane))
		}
		for ; seen < len(c.Events); seen++ {
			if d, ok := c.Events[seen].(exchange.IKEDown); ok && l.Now.Sub(deleted) > 3*time.Minute {
				for _, e := range g.Events {
					if d, ok := e.(exchange.IKEDown); ok && d.Peer.RemoteID == "client@example" {
						t.Logf("the gateway: %s", d.Reason)
					}
				}
				t.Fatalf("seed %d: the honest client was disconnected after %v: %s", seed, l.Now.Sub(Start), d.Reason)
			}
		}
	}
	l.Faults.Drop, broken = 0, netip.Addr{}
	if !l.Until(2*time.Minute, func() bool { return Up(g, c) }) {
		t.Errorf("seed %d: the honest client is not up: %v", seed, c.Engine.Status())
	}
	total["rekeyed"] += tally[exchange.IKERekeyed](c.Events)
	total["child SAs"] += tally[exchange.ChildUp](g.Events)
	total["told moves"] += tally[exchange.Moved](g.Events)
	total["deferred"] += int(g.Engine.Usage().Deferred)
	g.CheckSnapshot()
	c.CheckSnapshot()
	for _, x := range l.Trouble {
		t.Errorf("seed %d: %s", seed, x)
	}
}
