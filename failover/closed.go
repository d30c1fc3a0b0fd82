package failover

import "time"

// A process that dies says so before it is missed: its kernel closes what it had
// open. The driver watches for that, and calls Node.PeerClosed where everything of
// the peer has been closed, its supervisor's too. What closes a connection is not
// authenticated. So the peer is asked, over all links and data interfaces at once,
// and one that lives answers within a part of a poll: whoever can pretend that it
// has died cannot keep it from answering everywhere, and who can need not pretend.

// answerShare is the part of a poll in which a peer must answer whose processes are
// said to have died.
const answerShare = 5

// closing is what is known of the death of the peer's processes.
type closing struct {
	said  bool
	ear   time.Duration // Node.ear when it was said, or when a heartbeat came afterwards
	heard bool          // one did: it may have been on its way
}

// PeerClosed says that the kernel of the peer has closed what the processes there
// had open to this node. Without a heartbeat of the peer in the next fifth of a poll
// it counts as dead.
func (n *Node) PeerClosed(now time.Time, out *Output) {
	n.listen(now)
	if n.peer.alive && !n.peer.closing.said {
		n.peer.closing = closing{said: true, ear: n.ear}
		n.dirty = true
	}
	n.finish(now, out, nil)
}

// answered notes a heartbeat at the time ear, and reports whether the peer is to be
// asked again. A heartbeat that comes behind the end of a process may have been on
// its way; a second one proves that it lives.
func (c *closing) answered(ear time.Duration) (again bool) {
	switch {
	case !c.said:
		return false
	case c.heard:
		*c = closing{}
		return false
	}
	c.ear, c.heard = ear, true
	return true
}

// left is how much longer the peer may be silent until it counts as dead.
func (n *Node) left() time.Duration {
	left := n.hold() - n.silence()
	if c := &n.peer.closing; c.said {
		left = min(left, n.cfg.Poll/answerShare-(n.ear-c.ear))
	}
	return left
}
