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

// losses are what the child SAs of a node do not carry.
func losses(n *Node) (out []sa.Selector) {
	for _, e := range n.Events {
		switch e := e.(type) {
		case exchange.Narrowed:
			out = append(out, e.Lost...)
		case exchange.Cut:
			out = append(out, e.Lost...)
		}
	}
	return out
}

// TestNarrowedAnswer: a peer that takes less than it is offered is heard of, with
// the networks that are lost.
func TestNarrowedAnswer(t *testing.T) {
	for _, tt := range []struct {
		name          string
		local, remote []string // of the responder
		want          string
	}{
		{"all", []string{"10.2.0.0/16", "10.3.0.0/16"}, []string{"10.1.0.0/16"}, "[]"},
		{"in pieces", []string{"10.2.0.0/17", "10.2.128.0/17", "10.3.0.0/16"}, []string{"10.0.0.0/8"}, "[]"},
		{"one network of two", []string{"10.3.0.0/16"}, []string{"10.1.0.0/16"}, "[10.2.0.0/16]"},
		{"less of both", []string{"10.2.0.0/16"}, []string{"10.1.0.0/17"}, "[10.1.128.0/17 10.3.0.0/16]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := New(24, Faults{Delay: 10 * time.Millisecond})
			left, right := netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("192.0.2.20")
			config := func(local, peer netip.Addr, ours, theirs []string, initiate bool) exchange.Config {
				cfg := ClientConfig()
				key := cfg.Profiles[0].Local
				cfg.Profiles = []exchange.Profile{{Name: "site", Local: key, Remote: key,
					RemoteIdentities: patterns(peer.String())}}
				cfg.Entries = []exchange.Entry{{
					Name: "site", Local: local, Peer: peer, Profile: "site", Initiate: initiate,
					LocalTS: selectorsOf(ours...), RemoteTS: selectorsOf(theirs...), Proposals: childProposals(),
				}}
				return cfg
			}
			b := l.Add("b", right, config(right, left, tt.local, tt.remote, false))
			b.Authorise = func(q exchange.AskSession) exchange.AnswerSession {
				return exchange.AnswerSession{Question: q.Question}
			}
			a := l.Add("a", left, config(left, right, []string{"10.1.0.0/16"}, []string{"10.2.0.0/16", "10.3.0.0/16"},
				true))
			if !l.Until(5*time.Second, func() bool { return Up(a, b) }) {
				t.Fatalf("not up: %v", a.Events)
			}
			if got := fmt.Sprint(losses(a)); got != tt.want {
				t.Errorf("lost: got %s, want %s", got, tt.want)
			}
			if got := losses(b); len(got) > 0 {
				t.Errorf("the responder, which has what it wants, has lost %v", got)
			}
			noTrouble(t, l)
		})
	}
}

// TestMoreNetworksThanSelectors: what a child SA has no room for is not cut in
// silence.
func TestMoreNetworksThanSelectors(t *testing.T) {
	_, g, s := alone(t, nil)
	g.Authorise = func(q exchange.AskSession) exchange.AnswerSession {
		r := Grant(q)
		r.Session.Split = nil
		for i := range 80 {
			r.Session.Split = append(r.Session.Split, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 10, byte(2 * i), 0}),
				24))
		}
		return r
	}
	if !s.Connect() {
		t.Fatal("not connected")
	}
	c := g.Established()[0].Children[0]
	if lost := losses(g); len(c.Local) != 64 || len(lost) != 16 || lost[0].String() != "10.10.128.0/24" {
		t.Errorf("%d selectors, %d lost: %v", len(c.Local), len(lost), lost)
	}
}

// TestAssignedAddressOfOurs: as a client we take no address of our own networks,
// nor more than a few.
func TestAssignedAddressOfOurs(t *testing.T) {
	for _, tt := range []struct {
		name     string
		own      string
		assigned []string
		want     string // what the client has; or the reason
	}{
		{"another network's", "10.98.0.0/16", []string{"10.99.0.10"}, "[10.99.0.10]"},
		{"an inside host's", "10.99.0.0/16", []string{"10.99.0.10"}, "a network of ours"},
		{"one of two", "10.99.0.0/24", []string{"10.98.0.10", "10.99.0.10"}, "a network of ours"},
		{"loopback", "10.98.0.0/16", []string{"127.0.0.1"}, "cannot be the address of a client"},
		{"too many", "10.98.0.0/16", []string{"10.99.0.1", "10.99.0.2", "10.99.0.3", "10.99.0.4", "10.99.0.5"},
			"[10.99.0.1 10.99.0.2 10.99.0.3 10.99.0.4]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := New(33, Faults{Delay: 10 * time.Millisecond})
			g, c := l.Pair(func(_, c *exchange.Config) { c.Own = []netip.Prefix{netip.MustParsePrefix(tt.own)} })
			g.Authorise = func(q exchange.AskSession) exchange.AnswerSession {
				r := Grant(q)
				r.Session.Addresses = nil
				for _, a := range tt.assigned {
					r.Session.Addresses = append(r.Session.Addresses, netip.MustParseAddr(a))
				}
				return r
			}
			l.Run(500 * time.Millisecond)
			var told []netip.Addr
			for _, e := range c.Events {
				if e, ok := e.(exchange.AddressAssigned); ok {
					told = append(told, e.Session.Addresses...)
				}
			}
			if strings.HasPrefix(tt.want, "[") {
				if got := fmt.Sprint(told); got != tt.want {
					t.Errorf("assigned: got %s, want %s", got, tt.want)
				}
			} else if len(told) > 0 || len(c.Plane) > 0 || !strings.Contains(reasons(c), tt.want) {
				t.Errorf("assigned %v, children %d, reason %q; want %q", told, len(c.Plane), reasons(c), tt.want)
			}
			noTrouble(t, l)
		})
	}
}

// TestRepeatsElsewhere: the last response goes to its peer when it is asked for, but not
// without end, and to another address once a second: anybody who has seen the request may
// have sent it again.
func TestRepeatsElsewhere(t *testing.T) {
	l, _, s := alone(t, nil)
	if !s.Connect() {
		t.Fatal("not connected")
	}
	request := s.Seal(wire.Informational, s.next)
	first := s.Send(request)
	if len(first) != 1 {
		t.Fatal("no response")
	}
	count := func(from string) (n int) {
		other := *s
		other.Addr = netip.MustParseAddrPort(from)
		for range 20 {
			sent := other.Send(request)
			if n += len(sent); len(sent) > 0 && !slices.Equal(sent[0], first[0]) {
				t.Error("another response")
			}
		}
		return n
	}
	if n := count(s.Addr.String()); n != 16 {
		t.Errorf("%d of 20 repeats to the peer, want 16", n)
	}
	if n := count("203.0.113.9:500") + count("203.0.113.10:500"); n != 1 {
		t.Errorf("%d repeats to others within a second, want one", n)
	}
	l.Run(2 * time.Second)
	if n := count("203.0.113.9:500"); n != 1 {
		t.Errorf("%d repeats to others in another second, want one", n)
	}
	if n := count(s.Addr.String()); n != 8 {
		t.Errorf("%d repeats to the peer after two seconds, want 8", n)
	}
}

// TestNarrowedSuccessor: a successor that carries less than its predecessor is heard
// of, as the first child SA is.
func TestNarrowedSuccessor(t *testing.T) {
	l, g, c := branchPair(t, 10*time.Millisecond, "10.10.0.0/16")
	if got, want := fmt.Sprint(losses(c)), "[10.20.1.0-10.20.255.255 10.10.1.0-10.10.255.255]"; got != want {
		t.Errorf("lost by the first: got %s, want %s", got, want)
	}
	c.Events = nil
	next := g.Config
	next.Entries = slices.Clone(next.Entries)
	next.Entries[0].LocalTS = selectorsOf("10.10.0.0/25")
	if err := g.Engine.Configure(&next); err != nil { // which concerns what comes from now on
		t.Fatal(err)
	}
	if err := c.Command(exchange.RekeyChild{ID: c.Established()[0].Children[0].ID}); err != nil {
		t.Fatal(err)
	}
	l.Run(time.Second)
	if got, want := fmt.Sprint(losses(c)), "[10.10.0.128/25]"; got != want || !Up(g, c) {
		t.Errorf("lost by the successor: got %s, want %s", got, want)
	}
}
