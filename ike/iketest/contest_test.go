package iketest

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

// deleteIKE is the DELETE of an IKE SA.
var deleteIKE = wire.Delete{Protocol: wire.ProtocolIKE}

// restarts are what may happen to a node in the middle.
var restarts = map[string]func(n *Node){
	"":             func(*Node) {},
	", killed":     (*Node).Kill,
	", taken over": func(n *Node) { n.Takeover(n.Epoch+1, 0) },
}

// TestContest: both ends rekey the IKE SA at once, and the peer does what it likes
// then (RFC 7296 sections 2.8.2 and 2.25.2). old is the IKE SA, theirs what came of the
// peer's exchange; the node's own request waits for its answer.
func TestContest(t *testing.T) {
	accept := func(t *testing.T, old *Foreign, octet byte) *Foreign {
		t.Helper()
		old.Octet = octet
		ours, err := old.AcceptIKE(IKEProposal)
		if err != nil {
			t.Fatal(err)
		}
		return ours
	}
	const peerLower, oursLower = 0xff, 0 // the octet of the last nonce: the peer's request was 0 or 0xff
	for _, tt := range []struct {
		name  string
		octet byte // of the nonce of the peer's request
		do    func(t *testing.T, g *Node, l *Lab, old, theirs *Foreign) (stays *Foreign)
	}{
		{"the peer wins", 0xff, func(t *testing.T, _ *Node, _ *Lab, old, theirs *Foreign) *Foreign {
			ours := accept(t, old, oursLower)
			ours.Answer() // to our DELETE of it
			old.Ask(wire.Informational, deleteIKE)
			return theirs
		}},
		{"we win", 0, func(t *testing.T, _ *Node, _ *Lab, old, theirs *Foreign) *Foreign {
			ours := accept(t, old, peerLower)
			old.Answer()
			theirs.Ask(wire.Informational, deleteIKE)
			return ours
		}},
		{"we win, and the peer keeps its own", 0, func(t *testing.T, _ *Node, l *Lab, old, theirs *Foreign) *Foreign {
			ours := accept(t, old, peerLower)
			old.Answer()
			l.Run(31 * time.Second)
			theirs.Answer()
			return ours
		}},
		{"the peer closes its own first", 0xff, func(t *testing.T, _ *Node, _ *Lab, old, theirs *Foreign) *Foreign {
			theirs.Ask(wire.Informational, deleteIKE)
			ours := accept(t, old, oursLower)
			old.Answer()
			return ours
		}},
		{"the peer closes the old one", 0, func(_ *testing.T, _ *Node, _ *Lab, old, theirs *Foreign) *Foreign {
			old.Ask(wire.Informational, deleteIKE)
			return theirs
		}},
		{"the peer uses its own", 0, func(t *testing.T, _ *Node, _ *Lab, old, theirs *Foreign) *Foreign {
			theirs.Ask(wire.Informational)
			ours := accept(t, old, peerLower)
			ours.Answer()
			old.Ask(wire.Informational, deleteIKE)
			return theirs
		}},
		{"the peer refuses for now", 0, func(_ *testing.T, _ *Node, _ *Lab, old, theirs *Foreign) *Foreign {
			old.Refuse(wire.TemporaryFailure)
			old.Ask(wire.Informational, deleteIKE)
			return theirs
		}},
		{"the peer wants another key exchange", 0, func(_ *testing.T, _ *Node, _ *Lab, old, theirs *Foreign) *Foreign {
			old.Refuse(wire.InvalidKEPayload, 0, byte(sa.KEECP256))
			old.Ask(wire.Informational, deleteIKE)
			return theirs
		}},
		{"the peer's answer does not do", 0, func(_ *testing.T, _ *Node, _ *Lab, old, theirs *Foreign) *Foreign {
			old.Answer(wire.Nonce{Data: make([]byte, 32)})
			old.Ask(wire.Informational, deleteIKE)
			return theirs
		}},
		{"the peer rekeys again and again", 0, func(t *testing.T, _ *Node, _ *Lab, old, theirs *Foreign) *Foreign {
			for range 3 {
				_, err := old.RekeyIKE(IKEProposal)
				if err == nil || !strings.Contains(err.Error(), "TEMPORARY_FAILURE") {
					t.Errorf("the old one is rekeyed again: %v", err)
				}
				got := errorOf(old.Ask(wire.CreateChildSA, newChildPayloads(0, 0x9999)...))
				if got != "TEMPORARY_FAILURE" {
					t.Errorf("a child SA on the old one is answered with %q", got)
				}
			}
			old.Ask(wire.Informational, deleteIKE)
			return theirs
		}},
		{"the operator deletes it", 0xff, func(t *testing.T, g *Node, _ *Lab, old, theirs *Foreign) *Foreign {
			g.Command(exchange.DeleteIKE{SPI: old.Peer, Reason: "test"})
			ours := accept(t, old, oursLower)
			ours.Answer()
			old.Ask(wire.Informational, deleteIKE)
			theirs.Answer() // to the operator's DELETE
			return nil
		}},
		{"the peer falls silent", 0, func(_ *testing.T, _ *Node, l *Lab, _, _ *Foreign) *Foreign {
			l.Run(10 * time.Minute)
			return nil
		}},
	} {
		for how, restart := range restarts {
			t.Run(tt.name+how, func(t *testing.T) {
				l, g, old := met(t, nil)
				child := only(t, g)
				g.Command(exchange.RekeyIKE{SPI: old.Peer})
				old.Octet = tt.octet
				theirs, err := old.RekeyIKE(IKEProposal)
				if err != nil {
					t.Fatal(err)
				}
				restart(g)
				stays := tt.do(t, g, l, old, theirs)
				g.CheckSnapshot()
				all, downs := g.Engine.Status(), tally[exchange.IKEDown](g.Events)
				if stays == nil {
					if len(all)+len(g.Plane) != 0 || downs != 1 {
						t.Errorf("%v, %d ended", all, downs)
					}
					return
				}
				if len(all) != 1 || all[0].PeerSPI != stays.SPI || all[0].State != "ESTABLISHED" || downs != 0 ||
					only(t, g).ID != child.ID {
					t.Errorf("%d ended, %v", downs, all)
				}
				if errorOf(stays.Ask(wire.Informational)) != "" {
					t.Error("what stays does not answer")
				}
			})
		}
	}
}

// TestCrossing: the same for a child SA (sections 2.8.1 and 2.25.1).
func TestCrossing(t *testing.T) {
	const theirs, ours = sa.SPI(0x1111), sa.SPI(0x2222) // what the peer receives with
	for _, tt := range []struct {
		name  string
		octet byte // of the nonce of the peer's request
		do    func(g *Node, l *Lab, f *Foreign, old sa.Child)
		stays sa.SPI
	}{
		{"the peer wins", 0xff, func(_ *Node, _ *Lab, f *Foreign, old sa.Child) {
			f.Octet = 0
			f.AcceptChild(ours)
			f.Answer() // to our DELETE of it
			f.Ask(wire.Informational, deleteESP(old.Out.SPI))
		}, theirs},
		{"the peer wins, and the old one is gone", 0xff, func(_ *Node, _ *Lab, f *Foreign, old sa.Child) {
			f.Ask(wire.Informational, deleteESP(old.Out.SPI))
			f.Octet = 0
			f.AcceptChild(ours)
			f.Answer()
		}, theirs},
		{"the peer wins, and does not close the old one", 0xff, func(_ *Node, l *Lab, f *Foreign, _ sa.Child) {
			f.Octet = 0
			f.AcceptChild(ours)
			f.Answer()
			l.Run(31 * time.Second)
			f.Answer()
		}, theirs},
		{"we win", 0, func(_ *Node, _ *Lab, f *Foreign, _ sa.Child) {
			f.Octet = 0xff
			f.AcceptChild(ours)
			f.Answer()
			f.Ask(wire.Informational, deleteESP(theirs))
		}, ours},
		{"we win, and the peer does not close its own", 0, func(_ *Node, l *Lab, f *Foreign, _ sa.Child) {
			f.Octet = 0xff
			f.AcceptChild(ours)
			f.Answer()
			l.Run(31 * time.Second)
			f.Answer()
		}, ours},
		{"the peer closes its own first", 0xff, func(_ *Node, _ *Lab, f *Foreign, _ sa.Child) {
			f.Ask(wire.Informational, deleteESP(theirs))
			f.Octet = 0
			f.AcceptChild(ours)
			f.Answer()
		}, ours},
		{"the peer does not know the old one any more", 0, func(_ *Node, _ *Lab, f *Foreign, old sa.Child) {
			f.Refuse(wire.ChildSANotFound)
			f.Ask(wire.Informational, deleteESP(old.Out.SPI))
		}, theirs},
		{"the peer refuses for now", 0, func(_ *Node, _ *Lab, f *Foreign, old sa.Child) {
			f.Refuse(wire.TemporaryFailure)
			f.Ask(wire.Informational, deleteESP(old.Out.SPI))
		}, theirs},
		{"the peer's answer does not do", 0, func(_ *Node, _ *Lab, f *Foreign, old sa.Child) {
			f.Answer(wire.Nonce{Data: make([]byte, 32)})
			f.Answer() // to our DELETE of what it has made
			f.Ask(wire.Informational, deleteESP(old.Out.SPI))
		}, theirs},
	} {
		for how, restart := range restarts {
			t.Run(tt.name+how, func(t *testing.T) {
				l, g, f := met(t, func(c *exchange.Config) { c.Profiles[0].DPD = 0 })
				old := only(t, g)
				g.Command(exchange.RekeyChild{ID: old.ID})
				ps := newChildPayloads(old.Out.SPI, theirs)
				for i, p := range ps {
					if _, is := p.(wire.Nonce); is {
						ps[i] = wire.Nonce{Data: bytes.Repeat([]byte{tt.octet}, 32)}
					}
				}
				if got := errorOf(f.Ask(wire.CreateChildSA, ps...)); got != "" {
					t.Fatalf("refused with %s", got)
				}
				restart(g)
				n := len(f.Requests)
				tt.do(g, l, f, old)
				g.CheckSnapshot()
				if c := only(t, g); c.Out.SPI != tt.stays || len(g.Established()) != 1 {
					t.Errorf("packets go to %v, want %v", c.Out.SPI, tt.stays)
				}
				before := len(f.Requests)
				l.Run(time.Minute)
				if len(f.Requests) != before {
					m, ps := f.Last()
					t.Errorf("%d requests, and then %v %v", before-n, m.Exchange, ps)
				}
			})
		}
	}
}
