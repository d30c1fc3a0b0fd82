package iketest

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/ike/wire"
)

// met is a node with a foreign peer that is connected.
func met(t *testing.T, tune func(*exchange.Config)) (*Lab, *Node, *Foreign) {
	t.Helper()
	l, g, s := alone(t, tune)
	f, err := Establish(g, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { noTrouble(t, l) })
	return l, g, f
}

// everywhere are the selectors of everything.
var everywhere = wire.TS{Selectors: []sa.Selector{sa.SelectorOf(netip.MustParsePrefix("0.0.0.0/0"))}}

// newChildPayloads ask for a child SA; with old, in the place of that one.
func newChildPayloads(old, spi sa.SPI) []wire.Payload {
	ps := []wire.Payload{
		suite.Offer([]sa.Proposal{ESPProposal}, wire.ProtocolESP, binary.BigEndian.AppendUint32(nil, uint32(spi))),
		wire.Nonce{Data: make([]byte, 32)}, wire.TSi{TS: everywhere}, wire.TSr{TS: everywhere},
	}
	if old != 0 {
		ps = append([]wire.Payload{wire.Notify{Type: wire.RekeySA, Protocol: wire.ProtocolESP,
			SPI: binary.BigEndian.AppendUint32(nil, uint32(old))}}, ps...)
	}
	return ps
}

// deleteESP is the DELETE of a child SA.
func deleteESP(spi sa.SPI) wire.Delete {
	return wire.Delete{Protocol: wire.ProtocolESP, SPIs: []sa.SPI{spi}}
}

// only returns the one child SA of a node.
func only(t *testing.T, n *Node) sa.Child {
	t.Helper()
	if len(n.Plane) != 1 {
		t.Fatalf("%s has %d child SAs", n.Name, len(n.Plane))
	}
	for _, c := range n.Plane {
		return c
	}
	return sa.Child{}
}

// TestDeleteCrossesRekeying: a DELETE of the child SA that is being rekeyed ends
// that one, and neither the IKE SA nor any other (RFC 7296 section 2.25.1).
func TestDeleteCrossesRekeying(t *testing.T) {
	for _, who := range []string{"gateway", "client"} {
		t.Run(who+" rekeys", func(t *testing.T) {
			l, g, c := connected(t, nil)
			a, b := g, c
			if who == "client" {
				a, b = c, g
			}
			a.Command(exchange.RekeyChild{ID: only(t, a).ID})
			b.Command(exchange.DeleteChild{ID: only(t, b).ID, Reason: "test"})
			l.Run(5 * time.Second)
			if len(a.Established()) != 1 || len(b.Established()) != 1 || len(a.Plane)+len(b.Plane) != 0 ||
				tally[exchange.IKEDown](a.Events)+tally[exchange.IKEDown](b.Events) != 0 {
				t.Errorf("%v %v", a.Engine.Status(), b.Engine.Status())
			}
		})
	}
	t.Run("with another child SA", func(t *testing.T) {
		_, g, f := met(t, nil)
		first := only(t, g)
		f.Ask(wire.CreateChildSA, newChildPayloads(0, 0x9999)...)
		g.Command(exchange.RekeyChild{ID: first.ID})
		f.Ask(wire.Informational, deleteESP(first.Out.SPI))
		f.Refuse(wire.TemporaryFailure)
		if c := only(t, g); c.Out.SPI != 0x9999 || len(g.Established()) != 1 {
			t.Errorf("left: %v", c)
		}
	})
	t.Run("lifetime is over", func(t *testing.T) {
		l, g, f := met(t, func(c *exchange.Config) { c.Entries[0].Proposals[0].Lifetime = 10 * time.Second })
		old := only(t, g)
		g.Command(exchange.RekeyChild{ID: old.ID})
		l.Run(11 * time.Second)
		f.AcceptChild(0x1111)
		f.Answer() // to the DELETE of the old one
		if c := only(t, g); c.Out.SPI != 0x1111 {
			t.Errorf("left: %v", c)
		}
	})
}

// TestResponderDeletesTheOldOne: a peer that deletes the old child SA itself,
// before its answer, as some responders do, has a good new one.
func TestResponderDeletesTheOldOne(t *testing.T) {
	_, g, f := met(t, nil)
	old := only(t, g)
	g.Command(exchange.RekeyChild{ID: old.ID})
	f.Ask(wire.Informational, deleteESP(old.Out.SPI))
	f.AcceptChild(0x1111)
	if c := only(t, g); c.Out.SPI != 0x1111 || len(g.Established()) != 1 {
		t.Errorf("child SA is %v", c)
	}
	g.Kill()
	if c := only(t, g); c.Out.SPI != 0x1111 {
		t.Errorf("after a restart: %v", c)
	}
}

// TestDeletedBeforeItIsKnown: the peer's DELETE of the new child SA is faster
// than the answer that names it; also across a restart.
func TestDeletedBeforeItIsKnown(t *testing.T) {
	for _, restart := range []bool{false, true} {
		l, g, f := met(t, nil)
		old := only(t, g)
		g.Command(exchange.RekeyChild{ID: old.ID})
		f.Ask(wire.Informational, deleteESP(0x1111))
		if restart {
			g.Kill()
		}
		f.AcceptChild(0x1111)
		if c := only(t, g); c.ID != old.ID || len(g.Established()) != 1 {
			t.Errorf("restart %v: packets go to %v, which the peer has deleted", restart, c.Out.SPI)
		}
		n := len(f.Requests)
		l.Run(15 * time.Second)
		if m, _ := f.Last(); len(f.Requests) == n || m.Exchange != wire.CreateChildSA {
			t.Errorf("restart %v: the old one is not rekeyed again", restart)
		}
	}
}

// TestRekeyingOfWhatWeClose is answered with TEMPORARY_FAILURE, and of what is
// gone with CHILD_SA_NOT_FOUND (RFC 7296 section 2.25.1).
func TestRekeyingOfWhatWeClose(t *testing.T) {
	tests := []struct {
		name string
		do   func(g *Node, f *Foreign, old sa.Child)
		want string
	}{
		{"rekeyed, its DELETE is out", func(g *Node, f *Foreign, old sa.Child) {
			g.Command(exchange.RekeyChild{ID: old.ID})
			f.AcceptChild(0x1111)
		}, "TEMPORARY_FAILURE"},
		{"being deleted", func(g *Node, f *Foreign, old sa.Child) {
			g.Command(exchange.DeleteChild{ID: old.ID, Reason: "test"})
		}, "TEMPORARY_FAILURE"},
		{"replaced at its own wish: it has not got the answer", func(g *Node, f *Foreign, old sa.Child) {
			f.Ask(wire.CreateChildSA, newChildPayloads(old.Out.SPI, 0x1111)...)
		}, "CHILD_SA_NOT_FOUND"},
		{"gone", func(g *Node, f *Foreign, old sa.Child) {
			g.Command(exchange.DeleteChild{ID: old.ID, Reason: "test"})
			f.Answer()
		}, "CHILD_SA_NOT_FOUND"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, g, f := met(t, nil)
			old := only(t, g)
			tt.do(g, f, old)
			if got := errorOf(f.Ask(wire.CreateChildSA, newChildPayloads(old.Out.SPI, 0x2222)...)); got != tt.want {
				t.Errorf("answered with %q, want %q", got, tt.want)
			}
		})
	}
}

// TestChildNotFound: a peer that no longer has the child SA which we rekey gets a
// new one (RFC 7296 section 2.25).
func TestChildNotFound(t *testing.T) {
	for _, restart := range []bool{false, true} {
		l, g, f := met(t, nil)
		old := only(t, g)
		g.Command(exchange.RekeyChild{ID: old.ID})
		f.Refuse(wire.ChildSANotFound)
		if restart {
			g.Kill()
		}
		m, ps := f.Last()
		if _, rekey := ps.Notify(wire.RekeySA); m.Exchange != wire.CreateChildSA || rekey {
			t.Fatalf("then: %v %v", m.Exchange, ps)
		}
		f.AcceptChild(0x1111)
		if c := only(t, g); c.Out.SPI != 0x1111 || fmt.Sprint(c.Local, c.Remote) != fmt.Sprint(old.Local, old.Remote) {
			t.Errorf("child SA is %v, was %v", c, old)
		}
		l.Run(time.Minute)
		if len(g.Established()) != 1 {
			t.Error("the IKE SA has ended")
		}
	}
}

// TestRefusedNewChild: a peer that wants no new one either is left alone.
func TestRefusedNewChild(t *testing.T) {
	l, g, f := met(t, func(c *exchange.Config) { c.Profiles[0].DPD = 0 })
	g.Command(exchange.RekeyChild{ID: only(t, g).ID})
	f.Refuse(wire.ChildSANotFound)
	f.Refuse(wire.TSUnacceptable)
	n := len(f.Requests)
	l.Run(20 * time.Second)
	if len(f.Requests) != n || len(g.Plane) != 0 {
		t.Errorf("%d more requests", len(f.Requests)-n)
	}
}

// TestBadAnswerToRekeying: what the peer has made is deleted again, the old child
// SA and the IKE SA go on.
func TestBadAnswerToRekeying(t *testing.T) {
	_, g, f := met(t, nil)
	old := only(t, g)
	g.Command(exchange.RekeyChild{ID: old.ID})
	m, ps := f.Last()
	offer, _ := wire.Find[wire.SA](ps)
	f.Answer(wire.Nonce{Data: make([]byte, 32)})
	if m2, ps := f.Last(); m2.MessageID == m.MessageID {
		t.Error("nothing follows")
	} else if d, ok := wire.Find[wire.Delete](ps); !ok || len(d.SPIs) != 1 ||
		string(binary.BigEndian.AppendUint32(nil, uint32(d.SPIs[0]))) != string(offer.Proposals[0].SPI) {
		t.Errorf("then: %v", ps)
	}
	f.Answer()
	if c := only(t, g); c.ID != old.ID || len(g.Established()) != 1 {
		t.Errorf("left: %v", c)
	}
}

// TestOtherGroupEachTime: a peer that asks for another key exchange after every
// attempt costs a few of them, then it waits.
func TestOtherGroupEachTime(t *testing.T) {
	for _, ikeSA := range []bool{false, true} {
		_, g, f := met(t, func(c *exchange.Config) {
			c.Entries[0].Proposals[0].Proposal = append(append(sa.Proposal{}, ESPProposal...), x25519, ecp256)
		})
		if ikeSA {
			g.Command(exchange.RekeyIKE{SPI: f.Peer})
		} else {
			g.Command(exchange.RekeyChild{ID: only(t, g).ID})
		}
		for range 20 {
			_, ps := f.Last()
			ke, _ := wire.Find[wire.KE](ps)
			other := sa.KEX25519
			if ke.Group == other {
				other = sa.KEECP256
			}
			f.Refuse(wire.InvalidKEPayload, 0, byte(other))
		}
		if n := len(f.Requests); n > 3 || n < 2 || len(g.Established()) != 1 {
			t.Errorf("IKE SA %v: %d key exchanges in no time", ikeSA, n)
		}
	}
}

// TestLearntGroupSurvives: the key exchange that the peer has asked for is in the
// record of the exchange that uses it.
func TestLearntGroupSurvives(t *testing.T) {
	_, g, f := met(t, func(c *exchange.Config) {
		c.Entries[0].Proposals[0].Proposal = append(append(sa.Proposal{}, ESPProposal...), x25519, ecp256)
	})
	g.Command(exchange.RekeyChild{ID: only(t, g).ID})
	f.Refuse(wire.InvalidKEPayload, 0, byte(sa.KEECP256))
	g.Kill()
	f.AcceptChild(0x1111)
	f.Answer()
	if c := only(t, g); c.Out.SPI != 0x1111 {
		t.Fatalf("not rekeyed: %v", c)
	}
	g.Kill()
	g.Command(exchange.RekeyChild{ID: only(t, g).ID})
	_, ps := f.Last()
	if ke, _ := wire.Find[wire.KE](ps); ke.Group != sa.KEECP256 {
		t.Errorf("first guess of the next one: %d", ke.Group)
	}
}

// TestRekeyingRefusedToTheEnd: a peer that refuses every rekeying is asked with
// growing pauses, one line tells it, and the end of the lifetime is not the end
// of the connection for the side that dials.
func TestRekeyingRefusedToTheEnd(t *testing.T) {
	for _, kind := range []wire.NotifyType{wire.NoAdditionalSAs, wire.NoProposalChosen, 12345, wire.TemporaryFailure} {
		t.Run(kind.String(), func(t *testing.T) {
			l, g, f := met(t, func(c *exchange.Config) {
				c.Entries[0].Proposals[0].Lifetime, c.Profiles[0].DPD = time.Hour, 0
			})
			asked, seen := 0, 0
			for end := l.Now.Add(2 * time.Hour); l.Now.Before(end); {
				l.Run(time.Second)
				if len(f.Requests) == seen {
					continue
				}
				seen = len(f.Requests)
				if m, _ := f.Last(); m.Exchange == wire.CreateChildSA {
					asked++
					f.Refuse(kind)
				} else {
					f.Answer()
				}
			}
			if lines := tally[exchange.Refused](g.Events); asked < 3 || asked > 12 || lines != 1 {
				t.Errorf("asked %d times, %d lines", asked, lines)
			}
		})
	}
	t.Run("the dialler connects again", func(t *testing.T) {
		l, g, c := connected(t, func(g, c *exchange.Config) {
			g.Entries[0].Proposals[0].Lifetime, c.Entries[0].Proposals[0].Lifetime = 3*time.Hour, time.Hour
		})
		l.Run(30 * time.Minute)
		cfg := g.Config // from now on it wants what the client does not have
		cfg.Entries = []exchange.Entry{{Name: "any", Dynamic: true, Local: GatewayAddr,
			Proposals: []exchange.ChildProposal{{Name: "1", Proposal: sa.Proposal{gcm128}}}}}
		if err := g.Engine.Configure(&cfg); err != nil {
			t.Fatal(err)
		}
		l.Run(25 * time.Minute)
		if tally[exchange.Refused](g.Events) == 0 {
			t.Fatal("nothing was refused")
		}
		cfg.Entries = g.Config.Entries
		if err := g.Engine.Configure(&cfg); err != nil {
			t.Fatal(err)
		}
		if !l.Until(10*time.Minute, func() bool {
			return Up(g, c) && len(c.Plane) == 1 && only(t, c).Expires.Sub(l.Now) > 50*time.Minute
		}) {
			t.Errorf("not up: %v", c.Engine.Status())
		}
	})
}

// TestBothRekeyAtOnce: two ends whose timers agree, on a slow wire, are through after
// one round.
func TestBothRekeyAtOnce(t *testing.T) {
	for seed := range uint64(30) {
		for _, ikeSA := range []bool{false, true} {
			l := New(seed, Faults{Delay: 300 * time.Millisecond, Drop: float64(seed%3) * 0.05})
			g, c := l.Pair(nil)
			if !l.Until(time.Minute, func() bool { return Up(g, c) }) {
				t.Fatal("not up")
			}
			child, spi := only(t, g).ID, g.Established()[0].Peer.SPI
			for _, n := range []*Node{g, c} {
				if ikeSA {
					n.Command(exchange.RekeyIKE{SPI: n.Established()[0].Peer.SPI})
				} else {
					n.Command(exchange.RekeyChild{ID: only(t, n).ID})
				}
			}
			if !l.Until(3*time.Minute, func() bool { // an end that has lost its last response asks for it in vain
				return one(g, c) && (only(t, g).ID != child || ikeSA) && (g.Established()[0].Peer.SPI != spi || !ikeSA)
			}) {
				t.Errorf("seed %d, IKE SA %v: %v %v", seed, ikeSA, g.Engine.Status(), c.Engine.Status())
			}
			n := tally[exchange.Refused](g.Events) + tally[exchange.Refused](c.Events)
			if n += tally[exchange.IKEDown](g.Events); n != 0 {
				t.Errorf("seed %d, IKE SA %v: %v %v", seed, ikeSA, g.Events, c.Events)
			}
			noTrouble(t, l)
		}
	}
}
