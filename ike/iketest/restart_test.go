package iketest

import (
	"bytes"
	"testing"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/wire"
)

// TestRefusalIsNotRepeatedOtherwise: a handshake that was refused is not served by
// the next worker, which would say something else with the same keys and the same
// initialisation vector. One whose refusal is not on record goes on with vectors
// far ahead.
func TestRefusalIsNotRepeatedOtherwise(t *testing.T) {
	id, _ := identity.Parse("client@example")
	for _, lost := range []bool{false, true} { // the end of the journal
		l := New(11, Faults{})
		g := l.Add("gateway", GatewayAddr, GatewayConfig())
		g.Authorise = func(q exchange.AskSession) exchange.AnswerSession {
			return exchange.AnswerSession{Question: q.Question, Refuse: exchange.RefuseLimit}
		}
		s := NewStranger(g, strangerAddr)
		if !s.Init() {
			t.Fatal("no IKE_SA_INIT")
		}
		journal := len(g.Journal)
		request := s.Seal(wire.IKEAuth, 1, s.AuthPayloads(id, "key of the client")...)
		first := s.Send(request)
		if len(first) != 1 || errorOf(s.Open(first[0])) != "NO_ADDITIONAL_SAS" {
			t.Fatalf("answers: %v", first)
		}
		if lost {
			g.Journal = g.Journal[:journal]
		}
		g.Authorise = Grant
		for range 2 {
			g.Kill()
			second := s.Send(request)
			m, err := wire.ParseMessage(second[0])
			_, protected := wire.Find[wire.SK](m.Payloads) // and not INVALID_IKE_SPI
			again := lost && bytes.Equal(first[0][32:40], second[0][32:40])
			if len(second) != 1 || err != nil || protected != lost || again {
				t.Errorf("record lost %v: the next worker answers with %+v, %v", lost, m, err)
			}
		}
		noTrouble(t, l)
	}
}

// TestKillAroundRefusals replaces the worker before each datagram in turn while
// the gateway refuses some attempts and grants others; no vector is used twice.
func TestKillAroundRefusals(t *testing.T) {
	for at := range 60 {
		l := New(17, Faults{Delay: 20 * time.Millisecond})
		n := 0
		var g *Node
		l.Before = func() {
			if n++; n == at {
				g.Kill()
			}
		}
		asked := 0
		g, c := l.Pair(nil)
		g.Authorise = func(q exchange.AskSession) exchange.AnswerSession {
			if asked++; asked%3 != 0 {
				return exchange.AnswerSession{Question: q.Question, Refuse: exchange.RefuseLimit}
			}
			return Grant(q)
		}
		if !l.Until(5*time.Minute, func() bool { return Up(g, c) }) {
			t.Errorf("kill before datagram %d: not up: %v", at, c.Engine.Status())
		}
		noTrouble(t, l)
	}
}

// TestWaitingDeleteSurvives: what somebody wants to end, and what waits behind
// another exchange, is ended by the next worker, or by the twin.
func TestWaitingDeleteSurvives(t *testing.T) {
	tests := []struct {
		name string
		do   func(g *Node, f *Foreign)
	}{
		{"a child SA", func(g *Node, f *Foreign) {
			for id := range g.Plane {
				g.Command(exchange.DeleteChild{ID: id, Reason: "by the operator"})
			}
		}},
		{"an IKE SA", func(g *Node, f *Foreign) {
			g.Command(exchange.DeleteIKE{SPI: f.Peer,
				Reason: "by the operator"})
		}},
	}
	for _, tt := range tests {
		for _, takeover := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				_, g, f := met(t, func(c *exchange.Config) { c.Profiles[0].DPD = 0 })
				g.Command(exchange.RekeyIKE{SPI: f.Peer})
				tt.do(g, f)
				n := len(f.Requests)
				if takeover {
					g.Takeover(2, 0)
				} else {
					g.Kill()
				}
				g.CheckSnapshot()
				f.Refuse(wire.TemporaryFailure)
				if len(f.Requests) == n {
					t.Fatal("nothing follows")
				}
				_, ps := f.Last()
				if _, ok := wire.Find[wire.Delete](ps); !ok {
					t.Errorf("then: %v", ps)
				}
				f.Answer()
				if len(g.Plane) != 0 {
					t.Errorf("still there: %v", g.Plane)
				}
			})
		}
	}
}
