package iketest

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

// connected is a pair that is up.
func connected(t *testing.T, tune func(g, c *exchange.Config)) (*Lab, *Node, *Node) {
	t.Helper()
	l := New(21, Faults{Delay: 10 * time.Millisecond})
	g, c := l.Pair(tune)
	if !l.Until(10*time.Second, func() bool { return Up(g, c) }) {
		t.Fatalf("not up: %v %v", g.Events, c.Events)
	}
	t.Cleanup(func() { noTrouble(t, l) })
	return l, g, c
}

// TestRekeying: whoever rekeys, the session goes on, and old pairs go.
func TestRekeying(t *testing.T) {
	tests := []struct {
		name string
		do   func(g, c *Node) error
		ike  int
		pair int // ChildUp at the gateway
	}{
		{"child, by the client", func(g, c *Node) error {
			return c.Command(exchange.RekeyChild{ID: c.Established()[0].Children[0].ID})
		}, 0, 2},
		{"child, by the gateway", func(g, c *Node) error {
			return g.Command(exchange.RekeyChild{ID: g.Established()[0].Children[0].ID})
		}, 0, 2},
		{"IKE, by the client", func(g, c *Node) error {
			return c.Command(exchange.RekeyIKE{SPI: c.Established()[0].Peer.SPI})
		}, 1, 1},
		{"IKE, by the gateway", func(g, c *Node) error {
			return g.Command(exchange.RekeyIKE{SPI: g.Established()[0].Peer.SPI})
		}, 1, 1},
		{"IKE, by both at once", func(g, c *Node) error {
			c.Command(exchange.RekeyIKE{SPI: c.Established()[0].Peer.SPI})
			return g.Command(exchange.RekeyIKE{SPI: g.Established()[0].Peer.SPI})
		}, 1, 1},
		{"child, by both at once", func(g, c *Node) error {
			c.Command(exchange.RekeyChild{ID: c.Established()[0].Children[0].ID})
			return g.Command(exchange.RekeyChild{ID: g.Established()[0].Children[0].ID})
		}, 0, 2},
		{"child and IKE at once", func(g, c *Node) error {
			c.Command(exchange.RekeyChild{ID: c.Established()[0].Children[0].ID})
			return g.Command(exchange.RekeyIKE{SPI: g.Established()[0].Peer.SPI})
		}, 1, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, g, c := connected(t, nil)
			if err := tt.do(g, c); err != nil {
				t.Fatal(err)
			}
			l.Run(2 * time.Minute)
			if !Up(g, c) || len(g.Plane) != 1 || len(c.Plane) != 1 || len(g.Engine.Status()) != 1 ||
				len(c.Engine.Status()) != 1 {
				t.Fatalf("gateway %v, client %v", g.Engine.Status(), c.Engine.Status())
			}
			if n := tally[exchange.IKERekeyed](g.Events); n < tt.ike || (n > 0) != (tt.ike > 0) {
				t.Errorf("IKE SA was rekeyed %d times, want %d", n, tt.ike)
			}
			if n := tally[exchange.ChildUp](g.Events); n < tt.pair || (n > 1) != (tt.pair > 1) {
				t.Errorf("%d child SAs came up, want %d", n, tt.pair)
			}
			if n := tally[exchange.IKEDown](g.Events) + tally[exchange.IKEDown](c.Events); n != 0 {
				t.Errorf("%d sessions ended", n)
			}
			s := g.Established()[0]
			if s.Dialled || !c.Established()[0].Dialled {
				t.Error("who connected was forgotten")
			}
			if fmt.Sprint(s.Session.Addresses) != fmt.Sprint([]netip.Addr{LeaseAddr}) {
				t.Errorf("session is %v", s.Session)
			}
			g.CheckSnapshot()
			c.CheckSnapshot()
		})
	}
}

// TestWithForwardSecrecy: the client insists on a key exchange for each pair,
// first with a wrong guess, and the gateway's entry says nothing of it.
func TestWithForwardSecrecy(t *testing.T) {
	l, g, c := connected(t, func(g, c *exchange.Config) {
		c.Entries[0].Proposals[0].Proposal = append(slices.Clone(ESPProposal),
			sa.Transform{Type: sa.KeyExchange, ID: sa.KEModp3072}, sa.Transform{Type: sa.KeyExchange, ID: sa.KEECP256})
	})
	if err := c.Command(exchange.RekeyChild{ID: c.Established()[0].Children[0].ID}); err != nil {
		t.Fatal(err)
	}
	l.Run(time.Minute)
	if !Up(g, c) || tally[exchange.ChildUp](g.Events) != 2 {
		t.Errorf("not rekeyed: %v %v", g.Events, c.Events)
	}
}

// TestForwardSecrecyIsMissed: we rekey, and it is the peer that insists.
func TestForwardSecrecyIsMissed(t *testing.T) {
	l, g, c := connected(t, func(g, c *exchange.Config) {
		g.Entries[0].Proposals[0].Proposal = append(slices.Clone(ESPProposal),
			sa.Transform{Type: sa.KeyExchange, ID: sa.KEECP256})
	})
	for want := 2; want < 4; want++ { // the second time without a detour
		if err := c.Command(exchange.RekeyChild{ID: c.Established()[0].Children[0].ID}); err != nil {
			t.Fatal(err)
		}
		l.Run(10 * time.Second)
		if !Up(g, c) || tally[exchange.ChildUp](g.Events) != want {
			t.Errorf("not rekeyed: %v %v", g.Events, c.Events)
		}
	}
}

// TestLongRun: a week of rekeying, and the session is still the first.
func TestLongRun(t *testing.T) {
	l, g, c := connected(t, nil)
	l.Run(7 * 24 * time.Hour)
	if !Up(g, c) || tally[exchange.IKEDown](g.Events) != 0 || tally[exchange.IKERekeyed](g.Events) < 7 ||
		len(g.Plane) != 1 {
		t.Errorf("after a week: %d rekeyed, %d down, %d children", tally[exchange.IKERekeyed](g.Events),
			tally[exchange.IKEDown](g.Events), len(g.Plane))
	}
}

// TestWrongFirstGroup: INVALID_KE_PAYLOAD brings the client to the group that
// the gateway wants.
func TestWrongFirstGroup(t *testing.T) {
	connected(t, func(g, c *exchange.Config) {
		g.Policies[0].Proposal = sa.Proposal{IKEProposal[0], IKEProposal[1], {Type: sa.KeyExchange, ID: sa.KEECP256}}
	})
}

// TestCookieAndGroup: both restarts in one attempt.
func TestCookieAndGroup(t *testing.T) {
	l := New(22, Faults{Delay: 10 * time.Millisecond})
	g := l.Add("gateway", GatewayAddr, GatewayConfig())
	g.Authorise = Grant
	if !NewStranger(g, strangerAddr).Init() {
		t.Fatal("stranger was not answered")
	}
	cfg := g.Config
	cfg.CookieThreshold = 1
	cfg.Policies = []exchange.Policy{{Name: "20", Proposal: sa.Proposal{IKEProposal[0], IKEProposal[1],
		IKEProposal[3]}}}
	if err := g.Engine.Configure(&cfg); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	l.Spy = func(from *Node, d exchange.Datagram) { seen[notifyOf(d.Payload)] = true }
	c := l.Add("client", ClientAddr, ClientConfig())
	if !l.Until(5*time.Second, func() bool { return Up(g, c) }) || !seen["COOKIE"] || !seen["INVALID_KE_PAYLOAD"] {
		t.Errorf("not up, or no restarts: %v %v %v", g.Events, c.Events, seen)
	}
	noTrouble(t, l)
}

// TestDeadPeer: liveness finds out, on either side, and the client comes back.
func TestDeadPeer(t *testing.T) {
	l, g, c := connected(t, nil)
	first := g.Established()[0].Peer.SPI
	l.Faults.Drop = 1
	l.Run(5 * time.Minute)
	if len(g.Established())+len(c.Established()) != 0 {
		t.Fatalf("peers believe in each other: %v %v", g.Engine.Status(), c.Engine.Status())
	}
	for _, e := range g.Events {
		if d, ok := e.(exchange.IKEDown); ok && d.Reason != "peer does not answer" {
			t.Errorf("reason is %q", d.Reason)
		}
	}
	l.Faults.Drop = 0
	if !l.Until(3*time.Minute, func() bool { return Up(g, c) }) || g.Established()[0].Peer.SPI == first {
		t.Errorf("client did not come back: %v", c.Events)
	}
}

// TestAlive: ESP traffic makes the question unnecessary.
func TestAlive(t *testing.T) {
	l, g, c := connected(t, nil)
	sent := 0
	l.Spy = func(*Node, exchange.Datagram) { sent++ }
	for range 30 {
		for _, n := range []*Node{g, c} {
			if err := n.Command(exchange.Alive{ID: n.Established()[0].Children[0].ID}); err != nil {
				t.Fatal(err)
			}
		}
		l.Run(10 * time.Second)
	}
	if sent != 0 {
		t.Errorf("%d messages in five busy minutes", sent)
	}
	l.Run(10 * time.Minute)
	if sent < 20 {
		t.Errorf("%d messages in ten silent minutes", sent)
	}
}

// TestPeerDeletes: the client connects again after the gateway's DELETE of the
// IKE SA, or of its only child.
func TestPeerDeletes(t *testing.T) {
	for _, what := range []string{"IKE", "child"} {
		t.Run(what, func(t *testing.T) {
			l, g, c := connected(t, nil)
			s := g.Established()[0]
			var err error
			if what == "IKE" {
				err = g.Command(exchange.DeleteIKE{SPI: s.Peer.SPI, Reason: "test"})
			} else {
				err = g.Command(exchange.DeleteChild{ID: s.Children[0].ID, Reason: "test"})
			}
			if err != nil {
				t.Fatal(err)
			}
			l.Run(100 * time.Millisecond)
			if Up(g, c) || len(g.Plane)+len(c.Plane) != 0 {
				t.Error("still up")
			}
			if !l.Until(2*time.Minute, func() bool { return Up(g, c) }) {
				t.Errorf("client did not come back: %v", c.Events)
			}
		})
	}
}

// TestSessionTime: a session with an end is ended.
func TestSessionTime(t *testing.T) {
	l := New(23, Faults{Delay: 10 * time.Millisecond})
	g, _ := l.Pair(func(_, c *exchange.Config) { c.Entries[0].Initiate = false })
	g.Authorise = func(q exchange.AskSession) exchange.AnswerSession {
		r := Grant(q)
		r.Session.Expires = l.Now.Add(time.Hour)
		return r
	}
	c := l.Nodes[1]
	if err := c.Command(exchange.Initiate{Entry: "home"}); err != nil {
		t.Fatal(err)
	}
	l.Run(59 * time.Minute)
	if !Up(g, c) {
		t.Fatalf("not up: %v", c.Events)
	}
	l.Run(2 * time.Minute)
	if !Down(g, c) {
		t.Error("not down")
	}
	for _, e := range g.Events {
		if d, ok := e.(exchange.IKEDown); ok && d.Reason != "session time is over" {
			t.Errorf("reason is %q", d.Reason)
		}
	}
	noTrouble(t, l)
}

// TestSiteToSite: networks behind both gateways, over IPv6, addresses as
// identities, UDP encapsulation by force.
func TestSiteToSite(t *testing.T) {
	l := New(24, Faults{Delay: 10 * time.Millisecond})
	a6, b6 := netip.MustParseAddr("2001:db8::a"), netip.MustParseAddr("2001:db8::b")
	left, right := sa.SelectorOf(netip.MustParsePrefix("10.1.0.0/16")),
		sa.SelectorOf(netip.MustParsePrefix("10.2.0.0/16"))
	site := func(local, peer netip.Addr, l, r sa.Selector, initiate bool) exchange.Config {
		cfg := ClientConfig()
		key := cfg.Profiles[0].Local
		cfg.Profiles = []exchange.Profile{{Name: "site", Local: key, Remote: key,
			RemoteIdentities: patterns(peer.String())}}
		cfg.Entries = []exchange.Entry{{
			Name: "site", Local: local, Peer: peer, Profile: "site", Initiate: initiate,
			LocalTS: []sa.Selector{l}, RemoteTS: []sa.Selector{r}, Proposals: childProposals(),
		}}
		return cfg
	}
	cfgA, cfgB := site(a6, b6, left, right, true), site(b6, a6, right, left, false)
	cfgB.ForceUDP = true
	b := l.Add("b", b6, cfgB)
	b.Authorise = func(q exchange.AskSession) exchange.AnswerSession {
		if q.RemoteAccess || q.WantIPv4 {
			t.Errorf("asked %+v", q)
		}
		return exchange.AnswerSession{Question: q.Question}
	}
	a := l.Add("a", a6, cfgA)
	if !l.Until(5*time.Second, func() bool { return Up(a, b) }) {
		t.Fatalf("not up: %v %v", a.Events, b.Events)
	}
	s := b.Established()[0]
	c := s.Children[0]
	if fmt.Sprint(c.Local, c.Remote) != "[10.2.0.0/16] [10.1.0.0/16]" || c.Encap != sa.EncapUDP ||
		s.Peer.RemoteID != a6.String() {
		t.Errorf("got %+v", s)
	}
	noTrouble(t, l)
}

// TestExpireAnyTime: calls at random instants, early or twice, change nothing
// but what time itself does.
func TestExpireAnyTime(t *testing.T) {
	run := func(nervous bool) string {
		l := New(25, Faults{Delay: 10 * time.Millisecond})
		g, c := l.Pair(shortLives)
		if nervous {
			poke := func() {
				for _, n := range []*Node{g, c} {
					for range 3 {
						var out exchange.Output
						if at, ok := n.Engine.Deadline(); ok && at.After(l.Now) {
							n.Engine.Expire(l.Now, &out)
						}
						if len(out.Changes)+len(out.Send)+len(out.Events) != 0 {
							t.Errorf("early Expire did %+v", out)
						}
					}
				}
			}
			l.Before = poke
		}
		l.Run(20 * time.Minute)
		return fmt.Sprintf("%x %x", g.Journal, c.Journal)
	}
	if run(false) != run(true) {
		t.Error("runs differ")
	}
}

// TestKeys: the export has a line for each SA and each direction.
func TestKeys(t *testing.T) {
	_, g, c := connected(t, nil)
	gi, ge := g.Engine.ExportKeys()
	ci, ce := c.Engine.ExportKeys()
	slices.Sort(ge)
	slices.Sort(ce)
	if len(gi) != 1 || len(ge) != 2 || !slices.Equal(gi, ci) || !slices.Equal(ge, ce) {
		t.Errorf("exports differ or lack lines:\n%v\n%v\n%v\n%v", gi, ci, ge, ce)
	}
	if !strings.Contains(gi[0], `"AES-GCM-256 with 16 octet ICV [RFC5282]"`) || strings.Count(ge[0], `"`) != 16 {
		t.Errorf("lines are %v %v", gi, ge)
	}
}

// TestConfigure: a new configuration leaves what is up alone, and an invalid one
// changes nothing.
func TestConfigure(t *testing.T) {
	l, g, c := connected(t, nil)
	bad := g.Config
	bad.Entries = []exchange.Entry{{Name: "x", Profile: "none"}}
	if err := g.Engine.Configure(&bad); err == nil || !strings.HasPrefix(err.Error(), "ike: ") {
		t.Errorf("got %v", err)
	}
	good := g.Config
	good.Profiles = slices.Clone(good.Profiles)
	good.Profiles[0].Name = "renamed"
	if err := g.Engine.Configure(&good); err != nil {
		t.Fatal(err)
	}
	if err := c.Command(exchange.RekeyChild{ID: c.Established()[0].Children[0].ID}); err != nil {
		t.Fatal(err)
	}
	l.Run(time.Minute)
	if !Up(g, c) || tally[exchange.ChildUp](g.Events) != 2 || tally[exchange.IKEDown](g.Events) != 0 {
		t.Errorf("SA was disturbed: %v", g.Events)
	}
}

// TestCommandsAboutNothing: each is an error and changes nothing.
func TestCommandsAboutNothing(t *testing.T) {
	_, g, _ := connected(t, nil)
	before := len(g.Journal)
	for _, c := range []exchange.Command{
		exchange.Initiate{Entry: "any"}, exchange.Initiate{Entry: "nothing"}, exchange.DeleteIKE{SPI: 1},
		exchange.RekeyIKE{SPI: 1},
		exchange.DeleteChild{ID: 1}, exchange.RekeyChild{ID: 1}, exchange.PeerMoved{ID: 1}, exchange.Alive{ID: 1},
	} {
		if err := g.Command(c); err == nil {
			t.Errorf("%#v: no error", c)
		}
	}
	var out exchange.Output
	if err := g.Engine.Answer(g.lab.Now, exchange.AnswerSession{Question: 99}, &out); err == nil {
		t.Error("answer to nothing: no error")
	}
	if len(g.Journal) != before {
		t.Error("state changed")
	}
}

// TestUrgedAgain: the data plane says each second that a child SA has to be
// rekeyed. A peer that refuses is not asked more often for that, and is told of
// when it is asked.
func TestUrgedAgain(t *testing.T) {
	l, g, s := alone(t, func(c *exchange.Config) { c.Profiles[0].DPD = 0 })
	f, err := Establish(g, s)
	if err != nil {
		t.Fatal(err)
	}
	id := g.Established()[0].Children[0].ID
	answered := 0
	for range 60 {
		if err := g.Command(exchange.RekeyChild{ID: id}); err != nil {
			t.Fatal(err)
		}
		for answered < len(f.Requests) {
			answered = len(f.Requests)
			f.Refuse(wire.TemporaryFailure)
		}
		l.Run(time.Second)
	}
	if answered < 2 || answered > 13 {
		t.Errorf("asked %d times in a minute", answered)
	}
	l.Run(15 * time.Second)
	f.AcceptChild(0x4242)
	if err := g.Command(exchange.RekeyChild{ID: id}); err == nil {
		t.Error("a child SA that was replaced is rekeyed")
	}
}
