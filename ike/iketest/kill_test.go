package iketest

import (
	"testing"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
)

// shortLives makes a run of a few minutes meet every exchange.
func shortLives(g, c *exchange.Config) {
	for _, cfg := range []*exchange.Config{g, c} {
		cfg.Policies[0].Lifetime = 5 * time.Minute
		cfg.Entries[0].Proposals[0].Lifetime = 2 * time.Minute
		cfg.Profiles[0].DPD = 20 * time.Second
	}
}

// TestKillBetweenAnyTwoDatagrams restarts the gateway, the client or both from
// their journals before each datagram in turn. The client must come or stay up;
// and once it is up it may never have to connect again.
func TestKillBetweenAnyTwoDatagrams(t *testing.T) { killBetweenAnyTwo(t, shortLives, 8) }

// TestKillBetweenAnyTwoFragments is the same where what is longer than a DELETE
// comes in fragments.
func TestKillBetweenAnyTwoFragments(t *testing.T) {
	killBetweenAnyTwo(t, func(g, c *exchange.Config) {
		shortLives(g, c)
		g.FragmentSize, c.FragmentSize = 180, 180
	}, 12)
}

// killBetweenAnyTwo does what TestKillBetweenAnyTwoDatagrams says. The client connects
// with so many datagrams at most.
func killBetweenAnyTwo(t *testing.T, tune func(g, c *exchange.Config), connecting int) {
	const period = 12 * time.Minute
	count := 0
	l := New(7, Faults{Delay: 20 * time.Millisecond})
	l.Before = func() { count++ }
	g, c := l.Pair(tune)
	l.Run(period)
	if !Up(g, c) || count < 40 {
		t.Fatalf("undisturbed run: up %v, %d datagrams", Up(g, c), count)
	}
	noTrouble(t, l)

	for victim, kill := range map[string]func(g, c *Node){
		"gateway": func(g, c *Node) { g.Kill() },
		"client":  func(g, c *Node) { c.Kill() },
		"both":    func(g, c *Node) { g.Kill(); c.Kill() },
	} {
		t.Run(victim, func(t *testing.T) {
			for at := 1; at <= count; at++ {
				l := New(7, Faults{Delay: 20 * time.Millisecond})
				n := 0
				var g, c *Node
				l.Before = func() {
					if n++; n == at {
						kill(g, c)
					}
				}
				g, c = l.Pair(tune)
				l.Run(period)
				l.Run(3 * time.Minute) // a half-open SA that was lost is given up first
				if !Up(g, c) {
					t.Errorf("kill before datagram %d: client is stuck: %v %v", at, g.Engine.Status(),
						c.Engine.Status())
				}
				downs := tally[exchange.IKEDown](c.Events) + tally[exchange.IKEDown](g.Events)
				if at > connecting && downs > 0 {
					t.Errorf("kill before datagram %d: %d IKE SAs were lost: %v %v", at, downs, g.Events, c.Events)
				}
				g.CheckSnapshot()
				c.CheckSnapshot()
				noTrouble(t, l)
				if t.Failed() {
					return
				}
			}
		})
	}
}

// TestCrashAfterCommit kills either node when its changes are durable and
// nothing has been sent yet, at every commit in turn.
func TestCrashAfterCommit(t *testing.T) {
	for at := 1; ; at++ {
		l := New(7, Faults{Delay: 20 * time.Millisecond})
		n := 0
		l.Crash = func(*Node) bool { n++; return n == at }
		g, c := l.Pair(shortLives)
		l.Run(15 * time.Minute)
		if n < at {
			t.Logf("%d crashes", n)
			break
		}
		if !Up(g, c) {
			t.Errorf("crash after commit %d: client is stuck: %v %v", at, g.Engine.Status(), c.Engine.Status())
		}
		if downs := tally[exchange.IKEDown](c.Events) + tally[exchange.IKEDown](g.Events); downs > 0 {
			t.Errorf("crash after commit %d: %d IKE SAs were lost: %v %v", at, downs, g.Events, c.Events)
		}
		g.CheckSnapshot()
		noTrouble(t, l)
		if t.Failed() {
			return
		}
	}
}

// TestKillAtEveryDatagram is the worst of that: both, all the time, once up.
func TestKillAtEveryDatagram(t *testing.T) {
	l := New(8, Faults{Delay: 20 * time.Millisecond, Drop: 0.05})
	g, c := l.Pair(shortLives)
	if !l.Until(time.Minute, func() bool { return Up(g, c) }) {
		t.Fatal("not up")
	}
	spi := g.Established()[0].Peer.SPI
	l.Before = func() { g.Kill(); c.Kill() }
	l.Run(3 * time.Minute)
	if !Up(g, c) || g.Established()[0].Peer.SPI != spi {
		t.Errorf("SA did not survive: %v %v", g.Events, c.Events)
	}
	noTrouble(t, l)
}

// TestRepeatAfterKill: a repeated request is answered with the very same bytes,
// and the next one is accepted.
func TestRepeatAfterKill(t *testing.T) {
	l := New(9, Faults{Delay: 20 * time.Millisecond})
	var request, response []byte
	l.Spy = func(from *Node, d exchange.Datagram) {
		if d.Payload[18] != 35 {
			return
		}
		if from.Name == "client" {
			request = d.Payload
		} else {
			response = d.Payload
		}
	}
	g, c := l.Pair(nil)
	if !l.Until(time.Minute, func() bool { return Up(g, c) }) {
		t.Fatal("not up")
	}
	g.Kill()
	var out exchange.Output
	s := g.Established()[0]
	err := g.Engine.Receive(l.Now, exchange.Datagram{Local: s.Peer.Local, Remote: s.Peer.Remote, Payload: request},
		&out)
	if err != nil || len(out.Send) != 1 || string(out.Send[0].Payload) != string(response) {
		t.Errorf("repeat was answered with %v, %v", out.Send, err)
	}
	if err := c.Command(exchange.RekeyChild{ID: c.Established()[0].Children[0].ID}); err != nil {
		t.Fatal(err)
	}
	l.Run(time.Second)
	if !Up(g, c) || tally[exchange.ChildUp](g.Events) != 2 {
		t.Errorf("next request was not served: %v", g.Events)
	}
	noTrouble(t, l)
}

// tally counts the events of one type.
func tally[T exchange.Event](events []exchange.Event) int {
	n := 0
	for _, e := range events {
		if _, ok := e.(T); ok {
			n++
		}
	}
	return n
}
