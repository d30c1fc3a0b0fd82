package iketest

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
)

// TestNoIVTwice takes a gateway over again and again, with a predecessor that
// lives on and seals, with workers that are replaced within an activation, and
// with copies that are old. The lab watches every nonce on the wire.
func TestNoIVTwice(t *testing.T) {
	l, g, c := connected(t, shortLives)
	busy := func(n *Node) {
		for _, s := range n.Established() {
			n.Command(exchange.RekeyIKE{SPI: s.Peer.SPI})
			for _, x := range s.Children {
				n.Command(exchange.RekeyChild{ID: x.ID})
			}
		}
	}
	alive := []*Node{g}
	for epoch := uint64(1); epoch <= 24; epoch++ {
		last := alive[len(alive)-1]
		for i, n := range alive[max(0, len(alive)-4):] {
			if (int(epoch)+i)%3 == 0 {
				n.Kill() // the worker is replaced, in its activation
			}
			busy(n)
		}
		f := last.Fork(fmt.Sprint("twin ", epoch), epoch, int(epoch)%3)
		alive = append(alive, f)
		busy(f)
		busy(c)
		l.Run(20 * time.Second)
	}
	if n := l.Nonces(); n < 150 {
		t.Errorf("only %d nonces were used", n)
	}
}

// wireView is what the spy of a takeover notes.
type wireView struct {
	syncs    []exchange.Datagram // requests with message ID 0
	answers  []exchange.Datagram
	requests int // others
}

// spy notes synchronisations: INFORMATIONAL with message ID 0, once the SA is up.
func spy(l *Lab) *wireView {
	v := &wireView{}
	l.Spy = func(_ *Node, d exchange.Datagram) {
		b := d.Payload
		zero := bytes.Equal(b[20:24], make([]byte, 4))
		switch {
		case b[18] == 37 && zero && b[19]&0x20 == 0:
			v.syncs = append(v.syncs, d)
		case b[18] == 37 && zero:
			v.answers = append(v.answers, d)
		case b[19]&0x20 == 0:
			v.requests++
		}
	}
	return v
}

// bothRekey proves that both ends agree on the message IDs of both directions.
func bothRekey(t *testing.T, l *Lab, g, c *Node, when string) {
	t.Helper()
	for _, n := range []*Node{g, c} {
		up := n.Established()
		if len(up) != 1 || len(up[0].Children) == 0 {
			t.Fatalf("%s: %s has %+v", when, n.Name, up)
		}
		before := up[0].Children[len(up[0].Children)-1].ID
		if err := n.Command(exchange.RekeyChild{ID: before}); err != nil {
			t.Errorf("%s: %s: %v", when, n.Name, err)
		}
		l.Run(40 * time.Second)
		after := n.Established()
		if !Up(g, c) || len(after) != 1 || after[0].Children[len(after[0].Children)-1].ID == before {
			t.Errorf("%s: %s could not rekey: %v", when, n.Name, n.Events)
		}
	}
	if tally[exchange.IKEUp](g.Events)+tally[exchange.IKEUp](c.Events) > 2 {
		t.Errorf("%s: the client connected again", when)
	}
}

// TestMessageIDSync: a peer that has agreed to it is asked for its message IDs
// after a takeover, once, and not before it could have repeated a request.
func TestMessageIDSync(t *testing.T) {
	l, g, c := connected(t, nil)
	v := spy(l)
	g.Takeover(2, 0)
	l.Run(9 * time.Second)
	if len(v.syncs) > 0 {
		t.Error("synchronised at once")
	}
	l.Run(15 * time.Second)
	if len(v.syncs) != 1 || len(v.answers) != 1 {
		t.Fatalf("%d synchronisations, %d answers", len(v.syncs), len(v.answers))
	}
	if tally[exchange.SkipNumbers](c.Events) != 1 || tally[exchange.PeerSkipped](g.Events) != 1 {
		t.Errorf("replay counters were not synchronised: %v %v", c.Events, g.Events)
	}
	bothRekey(t, l, g, c, "after the synchronisation")
	if len(v.syncs) != 1 {
		t.Errorf("%d synchronisations", len(v.syncs))
	}
	g.Kill() // a new worker in the same activation knows everything
	l.Run(time.Minute)
	if len(v.syncs) != 1 {
		t.Errorf("%d synchronisations after a worker was replaced", len(v.syncs))
	}
	c.Takeover(7, 0) // the initiator may be a cluster, too
	l.Run(time.Minute)
	if len(v.syncs) != 2 {
		t.Errorf("%d synchronisations after a takeover of the client", len(v.syncs))
	}
	bothRekey(t, l, g, c, "after both have synchronised")
}

// TestMessageIDSyncFirst: an exchange of the node that has taken over comes after
// the synchronisation.
func TestMessageIDSyncFirst(t *testing.T) {
	l, g, c := connected(t, nil)
	v := spy(l)
	g.Takeover(2, 0)
	if err := g.Command(exchange.RekeyChild{ID: g.Established()[0].Children[0].ID}); err != nil {
		t.Fatal(err)
	}
	if len(v.syncs) != 1 || v.requests != 0 {
		t.Errorf("%d synchronisations and %d other requests", len(v.syncs), v.requests)
	}
	l.Run(5 * time.Second)
	if tally[exchange.ChildUp](g.Events) != 2 || len(v.syncs) != 1 {
		t.Errorf("no new child: %v", g.Events)
	}
	bothRekey(t, l, g, c, "afterwards")
}

// TestStaleMessageIDs takes over with a copy that has missed exchanges of either
// side. The peer's next request shows it; nothing is lost.
func TestStaleMessageIDs(t *testing.T) {
	tests := []struct {
		name string
		miss func(l *Lab, g, c *Node)
	}{
		{"liveness checks of the client", func(l *Lab, _, c *Node) { l.Run(5 * time.Minute) }},
		{"liveness checks of the gateway", func(l *Lab, g, _ *Node) { l.Run(5 * time.Minute) }},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, g, c := connected(t, func(g, c *exchange.Config) {
				g.Profiles[0].DPD, c.Profiles[0].DPD = 30*time.Second, 30*time.Second
				if i == 0 {
					g.Profiles[0].DPD = 0
				} else {
					c.Profiles[0].DPD = 0
				}
			})
			known := len(g.Journal)
			tt.miss(l, g, c)
			lost := len(g.Journal) - known
			if lost < 5 {
				t.Fatalf("only %d records are lost", lost)
			}
			v := spy(l)
			g.Takeover(2, lost)
			l.Run(2 * time.Minute)
			if len(v.syncs) == 0 {
				t.Error("nobody synchronised")
			}
			if n := tally[exchange.IKEDown](g.Events) + tally[exchange.IKEDown](c.Events); n > 0 {
				t.Errorf("%d SAs were lost: %v %v", n, g.Events, c.Events)
			}
			bothRekey(t, l, g, c, "with a stale copy")
		})
	}
}

// TestSyncIsNotReplayed gives a client synchronisations again: the last one gets
// the same answer, every other one silence, and its message IDs stay.
func TestSyncIsNotReplayed(t *testing.T) {
	l, g, c := connected(t, func(_, c *exchange.Config) { c.Profiles[0].DPD = 0 })
	v := spy(l)
	for epoch := uint64(2); epoch < 5; epoch++ {
		g.Takeover(epoch, 0)
		l.Run(30 * time.Second)
	}
	if len(v.syncs) != 3 {
		t.Fatalf("%d synchronisations", len(v.syncs))
	}
	for i, d := range v.syncs {
		before := len(v.answers)
		skipped := tally[exchange.SkipNumbers](c.Events)
		c.Do(func(out *exchange.Output) error {
			err := c.Engine.Receive(l.Now, exchange.Datagram{Local: d.Remote, Remote: d.Local,
				Payload: slices.Clone(d.Payload)}, out)
			if (err == nil) != (i == 2) {
				t.Errorf("replay %d: %v", i, err)
			}
			return nil
		})
		switch answers := v.answers[before:]; {
		case i < 2 && len(answers) > 0:
			t.Errorf("replay %d was answered", i)
		case i == 2 && (len(answers) != 1 || !bytes.Equal(answers[0].Payload, v.answers[before-1].Payload)):
			t.Errorf("the repeat was answered with %d messages", len(answers))
		}
		if tally[exchange.SkipNumbers](c.Events) != skipped {
			t.Errorf("replay %d moved sequence numbers", i)
		}
	}
	bothRekey(t, l, g, c, "after the replays")
}

// TestSyncAnswerLost: each attempt has a nonce and an ID of its own, and only the
// answer to the last one counts.
func TestSyncAnswerLost(t *testing.T) {
	l, g, c := connected(t, nil)
	v := spy(l)
	g.Takeover(2, 0)
	for len(v.syncs) == 0 {
		l.Run(time.Millisecond)
	}
	c.Deaf = true // the first one is lost
	l.Until(10*time.Second, func() bool { return len(v.syncs) == 2 })
	if bytes.Equal(v.syncs[0].Payload, v.syncs[1].Payload) {
		t.Error("the second attempt is the first")
	}
	c.Deaf, g.Deaf = false, true
	l.Until(time.Second, func() bool { return len(v.answers) == 1 }) // and the answer to the second
	l.Until(10*time.Second, func() bool { return len(v.syncs) == 3 })
	late := v.answers[0]
	g.Deaf = false
	g.Do(func(out *exchange.Output) error {
		if err := g.Engine.Receive(l.Now, exchange.Datagram{Local: late.Remote, Remote: late.Local,
			Payload: late.Payload}, out); err == nil {
			t.Error("an answer to an earlier attempt was taken")
		}
		return nil
	})
	l.Run(time.Second)
	if tally[exchange.PeerSkipped](g.Events) != 1 {
		t.Errorf("not synchronised: %v", g.Events)
	}
	bothRekey(t, l, g, c, "after three attempts")
}

// TestSyncWhileAsking: a client waits for an answer when the synchronisation
// comes. What the cluster knows it answers again; what it does not know begins
// anew.
func TestSyncWhileAsking(t *testing.T) {
	for _, known := range []bool{true, false} {
		t.Run(fmt.Sprint("known ", known), func(t *testing.T) {
			l, g, c := connected(t, func(_, c *exchange.Config) { c.RetransmitBase = 40 * time.Second })
			g.Deaf = !known
			c.Deaf = true
			if err := c.Command(exchange.RekeyChild{ID: c.Established()[0].Children[0].ID}); err != nil {
				t.Fatal(err)
			}
			l.Run(time.Second)
			g.Deaf, c.Deaf = false, false
			v := spy(l)
			g.Takeover(2, 0)
			l.Run(25 * time.Second)
			if len(v.syncs) != 1 {
				t.Fatalf("%d synchronisations", len(v.syncs))
			}
			if n := tally[exchange.ChildUp](c.Events); n != 2 || !Up(g, c) {
				t.Errorf("%d children: %v", n, c.Events)
			}
			bothRekey(t, l, g, c, "afterwards")
		})
	}
}

// TestSyncIsNotForgotten: a worker that takes over is replaced before its peer has
// confirmed the message IDs, while an attempt of the node before it has moved ours
// on. The next worker asks, too, before it begins anything.
func TestSyncIsNotForgotten(t *testing.T) {
	l, g, c := connected(t, nil)
	g.Takeover(2, 0)
	l.Faults.Drop = 1 // the first synchronisation is lost
	g.Command(exchange.RekeyIKE{SPI: g.Established()[0].Peer.SPI})
	l.Run(time.Millisecond)
	l.Faults.Drop = 0
	g.Takeover(4, 0)
	c.Command(exchange.RekeyChild{ID: only(t, c).ID}) // it is served, and recorded
	l.Run(100 * time.Millisecond)
	g.Kill()
	g.Command(exchange.RekeyChild{ID: only(t, g).ID})
	l.Run(3 * time.Minute)
	if !Up(g, c) || tally[exchange.IKEDown](g.Events)+tally[exchange.IKEDown](c.Events) != 0 ||
		tally[exchange.ChildUp](c.Events) != 3 {
		t.Errorf("gateway %v, client %v", g.Events, c.Events)
	}
}

// TestSyncCrossesRequest: a request is on its way when the synchronisation leaves
// that tells its sender that it was not seen. It is not served any more: its
// sender begins it anew under another message ID, and knows nothing of the answer.
func TestSyncCrossesRequest(t *testing.T) {
	l, g, c := connected(t, nil)
	g.Takeover(2, 0)
	old := only(t, g)
	if err := c.Command(exchange.RekeyChild{ID: only(t, c).ID}); err != nil {
		t.Fatal(err)
	}
	for _, s := range g.Established() {
		g.Command(exchange.RekeyIKE{SPI: s.Peer.SPI}) // it has to synchronise first
	}
	l.Run(time.Minute)
	if !Up(g, c) || only(t, g).ID == old.ID || only(t, g).In.SPI != only(t, c).Out.SPI ||
		tally[exchange.ChildUp](g.Events) != tally[exchange.ChildUp](c.Events) {
		t.Errorf("gateway %v, client %v", g.Events, c.Events)
	}
}
