package failover

import (
	"fmt"
	"time"
)

// Silence is judged only by who was listening. Node.ear is the time for which
// this node has listened; silence is measured in it. A node that had no processor
// has heard nothing, and that proves nothing: what was said meanwhile waits in its
// sockets.

// listen adds what has passed since the last call to the time of listening.
// Calls are at most a poll apart, as heartbeats are sent. More than that never
// counts; and a node that is late by more than a poll begins to listen now, judges
// nobody for a poll, and does not become active in that time.
func (n *Node) listen(now time.Time) {
	gap := now.Sub(n.last)
	n.last = now
	switch {
	case gap > 2*n.cfg.Poll:
		n.judges = now.Add(n.cfg.Poll)
	case gap > 0:
		n.ear += min(gap, n.cfg.Poll)
	}
	if c := &n.peer.closing; gap > n.cfg.Poll/2 {
		c.ear = n.ear // an answer may wait in the sockets
	}
}

// silence is for how long the peer has not been heard on any path.
func (n *Node) silence() time.Duration { return n.ear - n.peer.ear }

// hold is for how long the peer must not be heard to be dead: Config.Hold, and no less
// than three of the intervals at which it says that it sends.
func (n *Node) hold() time.Duration { return max(n.cfg.Hold, 3*n.peer.poll) }

// watchPaths finds the paths, and the peer, that have fallen silent.
func (n *Node) watchPaths(now time.Time, out *Output) {
	if now.Before(n.judges) {
		return
	}
	heardLink := false
	for i := range n.links {
		p := &n.links[i]
		if p.hearing && n.ear-p.ear >= n.hold() {
			n.pathSilent(now, p, fmt.Sprintf("%s: nothing heard for %v", p.name, now.Sub(p.heard)), out)
		}
		heardLink = heardLink || p.hearing
	}
	for _, i := range n.interfaces { // in order: the output is deterministic
		p := n.data[i.name]
		p.hearing = p.hearing && n.ear-p.ear < n.hold()
	}
	if !n.peer.alive {
		return
	}
	if n.left() <= 0 {
		n.lose(now, out)
		return
	}
	if n.peer.dataOnly == heardLink && now.Sub(n.peer.met) >= n.cfg.Hold {
		n.peer.dataOnly = !heardLink
		if n.peer.dataOnly {
			out.event(Event{At: now, Kind: EventLinksFailed, Text: "no takeover while the peer answers there"})
		}
	}
}

// lose notes that the peer is dead, or as good as that.
func (n *Node) lose(now time.Time, out *Output) {
	closed := ""
	if n.peer.closing.said {
		closed = "its processes have ended: "
	}
	n.peer.alive, n.peer.dataOnly, n.peer.since, n.peer.closing = false, false, now, closing{}
	out.event(Event{At: now, Kind: EventPeerDown, Text: fmt.Sprintf("%snothing heard for %v on %s and %s", closed,
		now.Sub(n.peer.heard), count(len(n.links), "link"), count(len(n.data), "data interface"))})
}

// count returns a number of things, in words that an operator reads.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// pathSilent marks a path as not heard.
func (n *Node) pathSilent(now time.Time, p *pathState, why string, out *Output) {
	if !p.hearing {
		return
	}
	p.hearing = false
	out.event(Event{At: now, Kind: EventLinkDown, Path: p.path, Text: why})
}

// suspicion is how much longer the links may be silent until it is time to ask
// on the data interfaces: half the hold time in all. Without a link that is heard,
// and for a peer whose processes are said to have died, it is none.
func (n *Node) suspicion() time.Duration {
	left := time.Duration(0)
	if n.peer.closing.said {
		return left
	}
	for i := range n.links {
		if p := &n.links[i]; p.hearing {
			left = max(left, n.hold()/2-(n.ear-p.ear))
		}
	}
	return left
}

// judgement is when the peer counts as dead if it stays silent, and when the
// links have been silent for long enough to ask elsewhere; zero: not at all.
func (n *Node) judgement() (dead, suspect time.Time) {
	if !n.peer.alive {
		return dead, suspect
	}
	dead = n.last.Add(n.left())
	if dead.Before(n.judges) {
		dead = n.judges
	}
	if !n.suspect {
		suspect = n.last.Add(n.suspicion())
	}
	return dead, suspect
}

const (
	// skewLimit is how far the clocks of the nodes may differ without a warning.
	// Lifetimes and certificates are told by them.
	skewLimit = 5 * time.Second
	// skewSamples is of how many heartbeats the one counts that was the shortest
	// time on its way.
	skewSamples = 16
)

// clock compares the peer's clock with ours.
type clock struct {
	skew    time.Duration // theirs minus ours
	known   bool
	warned  bool
	best    time.Duration // of the samples since the last measurement
	samples int
}

// compare takes the sender's clock, in milliseconds, of a heartbeat that has just
// come. It returns a sentence when the skew begins to be, or ceases to be, too
// large.
func (c *clock) compare(now time.Time, theirs uint64) string {
	sample := time.UnixMilli(int64(theirs)).Sub(now)
	if c.samples++; c.samples == 1 || sample > c.best {
		c.best = sample
	}
	if c.known && c.samples < skewSamples {
		return ""
	}
	c.skew, c.known, c.samples = c.best, true, 0
	if large := c.skew.Abs() > skewLimit; large != c.warned {
		c.warned = large
		text := fmt.Sprintf("the clocks of the units differ by %v", c.skew.Abs().Round(time.Millisecond))
		if !large {
			return text + ": within bounds again"
		}
		which := "ahead of"
		if c.skew < 0 {
			which = "behind"
		}
		return text + fmt.Sprintf(": the peer is %s this unit; set both by NTP", which)
	}
	return ""
}
