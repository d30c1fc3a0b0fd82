package iketest

import (
	"testing"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

// TestTemporaryFailure: what a peer asks for while it crosses an exchange of ours that
// leaves no room for it is answered with TEMPORARY_FAILURE alone and changes nothing; once
// ours is over, the same is served (RFC 7296 sections 2.25, 2.25.1 and 2.25.2).
func TestTemporaryFailure(t *testing.T) {
	newChild := func(*Foreign, sa.Child) []wire.Payload { return newChildPayloads(0, 0x2222) }
	rekeyChild := func(_ *Foreign, c sa.Child) []wire.Payload { return newChildPayloads(c.Out.SPI, 0x2222) }
	for _, tt := range []struct {
		name  string
		begin func(g *Node, f *Foreign, c sa.Child)          // ours
		ask   func(f *Foreign, c sa.Child) []wire.Payload    // nil: it rekeys the IKE SA
		end   func(g *Node, f *Foreign) (*Foreign, sa.Child) // nil: the IKE SA ends with it
	}{
		{"we rekey the IKE SA, it wants a child SA", rekeysIKE, newChild, ikeRekeyed},
		{"we rekey the IKE SA, it rekeys a child SA", rekeysIKE, rekeyChild, ikeRekeyed},
		{"we rekey a child SA, it rekeys the IKE SA", rekeysChild, nil, childRekeyed},
		{"we delete a child SA, it rekeys the IKE SA", deletesChild, nil, childDeleted},
		{"we delete the IKE SA, it wants a child SA", deletesIKESA, newChild, nil},
		{"we delete the IKE SA, it rekeys a child SA", deletesIKESA, rekeyChild, nil},
		{"we delete the IKE SA, it rekeys it", deletesIKESA, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, g, f := met(t, nil)
			c := only(t, g)
			tt.begin(g, f, c)
			children, sas := len(g.Plane), len(g.Engine.Status())
			if tt.ask == nil {
				if _, err := f.RekeyIKE(IKEProposal); err == nil ||
					err.Error() != "iketest: refused with TEMPORARY_FAILURE" {
					t.Errorf("answered with %v", err)
				}
			} else if ps := f.Ask(wire.CreateChildSA, tt.ask(f, c)...); len(ps) != 1 ||
				errorOf(ps) != "TEMPORARY_FAILURE" {
				t.Errorf("answered with %v", ps)
			}
			if len(g.Plane) != children || len(g.Engine.Status()) != sas {
				t.Errorf("%d child SAs, %d IKE SAs", len(g.Plane), len(g.Engine.Status()))
			}
			g.CheckSnapshot()
			if tt.end == nil {
				f.Answer()
				if len(g.Engine.Status())+len(g.Plane) != 0 {
					t.Errorf("it is still there: %v", g.Engine.Status())
				}
				return
			}
			f, c = tt.end(g, f)
			if tt.ask == nil {
				if _, err := f.RekeyIKE(IKEProposal); err != nil {
					t.Errorf("afterwards: %v", err)
				}
			} else if e := errorOf(f.Ask(wire.CreateChildSA, tt.ask(f, c)...)); e != "" {
				t.Errorf("afterwards: %s", e)
			}
			if len(g.Established()) != 1 {
				t.Errorf("IKE SAs: %v", g.Engine.Status())
			}
		})
	}
}

// The exchanges of ours in TestTemporaryFailure, and how they end.
func rekeysIKE(g *Node, f *Foreign, _ sa.Child)   { g.Command(exchange.RekeyIKE{SPI: f.Peer}) }
func rekeysChild(g *Node, _ *Foreign, c sa.Child) { g.Command(exchange.RekeyChild{ID: c.ID}) }
func deletesChild(g *Node, f *Foreign, c sa.Child) {
	f.Ask(wire.CreateChildSA, newChildPayloads(0, 0x3333)...)
	g.Command(exchange.DeleteChild{ID: c.ID, Reason: "test"})
}
func deletesIKESA(g *Node, f *Foreign, _ sa.Child) {
	g.Command(exchange.DeleteIKE{SPI: f.Peer, Reason: "test"})
}

func ikeRekeyed(g *Node, f *Foreign) (*Foreign, sa.Child) {
	next, err := f.AcceptIKE(IKEProposal)
	if err != nil {
		panic(err)
	}
	f.Answer() // to the DELETE of the old one
	return next, anyChild(g)
}

func childRekeyed(g *Node, f *Foreign) (*Foreign, sa.Child) {
	f.AcceptChild(0x1111)
	f.Answer() // to the DELETE of the old one
	return f, anyChild(g)
}

func childDeleted(g *Node, f *Foreign) (*Foreign, sa.Child) {
	f.Answer()
	return f, anyChild(g)
}

// anyChild returns a child SA of n; zero: it has none.
func anyChild(n *Node) (c sa.Child) {
	for _, c = range n.Plane {
		break
	}
	return c
}
