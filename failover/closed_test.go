package failover

import (
	"strings"
	"testing"
	"time"
)

// closes says on a node that the peer's kernel has closed everything.
func (l *lab) closes(i int) {
	l.do(i, func(n *Node, out *Output) { n.PeerClosed(l.now, out) })
}

func TestTakeoverOfClosedPeer(t *testing.T) {
	for offset := range DefaultPoll / (7 * time.Millisecond) {
		l := newLab(t)
		l.pair()
		l.run(offset * 7 * time.Millisecond)
		l.nodes[0] = nil // its last heartbeat may be on the wire
		died := l.now
		l.closes(1)
		l.run(DefaultPoll)
		l.want("dead", "active")
		last := l.seen[1].Changes[len(l.seen[1].Changes)-1]
		if took := last.At.Sub(died); took > DefaultPoll/answerShare+4*time.Millisecond {
			t.Errorf("died %v later: took %v", offset*7*time.Millisecond, took)
		}
		l.event(1, EventPeerDown, "its processes have ended")
	}
}

// TestClosedPeerThatLives: nobody takes over from a peer that answers on any path,
// however often it is said to have died.
func TestClosedPeerThatLives(t *testing.T) {
	for name, only := range map[string]func(d Datagram) bool{
		"all paths":          func(Datagram) bool { return true },
		"one link":           func(d Datagram) bool { return d.Path.Link == 1 },
		"one data interface": func(d Datagram) bool { return d.Path == Path{DataPath, "inside"} },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.pair()
			l.drop = func(_ int, d Datagram) bool { return !only(d) }
			for range 100 {
				l.closes(1)
				l.run(7 * time.Millisecond)
			}
			l.want("active", "standby-ready")
		})
	}
}

// TestClosedPeerAnswers: a peer that has answered twice is waited for as long as any
// other one.
func TestClosedPeerAnswers(t *testing.T) {
	l := newLab(t)
	l.pair()
	l.closes(1)
	l.run(DefaultPoll / answerShare)
	l.nodes[0] = nil
	l.run(DefaultHold / 2)
	l.want("dead", "standby-ready")
	l.run(DefaultHold)
	l.want("dead", "active")
}

// TestClosedPeerWithoutCopy: there is nothing to save by haste.
func TestClosedPeerWithoutCopy(t *testing.T) {
	l := newLab(t)
	l.boot(0)
	l.boot(1)
	l.run(100 * time.Millisecond)
	l.do(1, func(n *Node, out *Output) { n.Replication(l.now, "acme", ReplicationBulk, out) })
	l.nodes[0] = nil
	l.closes(1)
	l.run(DefaultHold)
	l.want("dead", "bulk-sync")
	l.run(patience * DefaultHold)
	l.want("dead", "active")
}

// TestClosedPeerOfLateNode: a node that comes too late to its processor judges
// nobody before it has looked into its sockets.
func TestClosedPeerOfLateNode(t *testing.T) {
	l := newLab(t)
	l.pair()
	l.now = l.now.Add(3 * DefaultPoll)
	l.closes(1)
	l.run(DefaultPoll - time.Millisecond)
	l.want("active", "standby-ready")
	l.run(time.Second)
	l.want("active", "standby-ready")
}

// TestClosedPeerOfActive: the active one announces that the addresses are here.
func TestClosedPeerOfActive(t *testing.T) {
	l := newLab(t)
	l.pair()
	l.nodes[1] = nil
	l.closes(0)
	before := len(l.seen[0].Announce)
	l.run(DefaultPoll)
	if len(l.seen[0].Announce) == before {
		t.Error("the addresses were not announced")
	}
	if s := l.nodes[0].Status(l.now); !strings.Contains(s.Peer.State, "silent") {
		t.Errorf("peer is %q", s.Peer.State)
	}
}
