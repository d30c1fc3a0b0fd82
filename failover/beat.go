package failover

import (
	"math"
	"slices"
	"time"

	"github.com/warrenvpn/warren/internal/secret"
)

// announce lets the active groups announce their addresses again: at once when
// the peer falls silent or is heard again, and from time to time between.
func (n *Node) announce(now time.Time, out *Output) {
	if n.peer.alive == n.peer.wasAlive && (n.peer.alive || now.Sub(n.announced) < announceInterval) {
		return
	}
	n.peer.wasAlive = n.peer.alive
	n.announced = now
	for _, g := range n.groups {
		if g.role == RoleActive {
			out.Announce = append(out.Announce, g.cfg.Name)
		}
	}
}

// beat sends heartbeats over every link, and over the data interfaces while no
// link is heard.
func (n *Node) beat(now time.Time, out *Output) {
	suspect := n.suspicion() <= 0
	n.dirty = n.dirty || suspect && !n.suspect && n.peer.alive // ask at once
	n.suspect = suspect
	if gap := n.lastBeat.Add(n.cfg.Poll / shortestGap); now.Before(gap) {
		if n.dirty { // what befalls many groups travels together
			n.nextBeat = gap
		}
		return
	}
	if !n.dirty && now.Before(n.nextBeat) {
		return
	}
	interval := n.interval()
	keys := n.signs(now)
	n.dirty = false
	n.lastBeat, n.nextBeat = now, now.Add(interval)
	for _, page := range n.outbox.pages(now, interval/2, n.pageLimit(now), n.room()) {
		for i := range n.links {
			n.send(now, &n.links[i], keys, n.peer.closing.said, page, out)
		}
		if suspect {
			n.ask(now, keys, page, out)
		}
	}
}

// interval is the time until the next heartbeat.
func (n *Node) interval() time.Duration {
	interval := n.cfg.Poll
	if n.suspect && n.peer.alive {
		interval = n.cfg.Poll / 2 // the takeover depends on it
	}
	for _, g := range n.groups {
		if g.handover.offered() {
			return n.cfg.Poll / 5
		}
	}
	return interval
}

// pageLimit is how many heartbeats may leave at once over one path. Who does not
// answer gets one at a time.
func (n *Node) pageLimit(now time.Time) int {
	switch {
	case !n.peer.alive && n.twin(now) == nil:
		return 1
	case n.suspect:
		return maxDataPages
	}
	return maxPages
}

// ask sends a heartbeat over the data interfaces that are up: where there are
// many, over some of them, in turns.
func (n *Node) ask(now time.Time, keys ring, page []Entry, out *Output) {
	asked := 0
	for range n.interfaces {
		i := n.interfaces[n.nextAsk%len(n.interfaces)]
		n.nextAsk++
		if !i.up {
			continue
		}
		n.send(now, n.data[i.name], keys, true, page, out)
		if asked++; asked == maxAsked {
			return
		}
	}
}

// room is what a heartbeat has left for entries, whatever its path.
func (n *Node) room() int {
	longest := ""
	for _, name := range n.cfg.Links {
		if len(name) > len(longest) {
			longest = name
		}
	}
	return room(longest, n.cfg.Version)
}

// send appends a heartbeat to out, once with each key.
func (n *Node) send(now time.Time, p *pathState, keys ring, ask bool, page []Entry, out *Output) {
	for _, k := range keys {
		n.sign(now, p, k.key, ask, page, out)
	}
}

func (n *Node) sign(now time.Time, p *pathState, key secret.Value, ask bool, page []Entry, out *Output) {
	n.counter++
	h := &Heartbeat{
		Unit: n.cfg.Unit, Instance: n.instance, Counter: n.counter,
		Challenge: n.challenge, Echo: n.echo, Clock: uint64(now.UnixMilli()),
		Path: p.name, Ask: ask, Program: n.cfg.Version, Protocol: n.cfg.Protocol,
		Version: n.outbox.version, Digest: n.outbox.digest, Entries: page,
		Of: n.peer.instance, Seen: n.peer.version, Keys: n.keys.ids(), Poll: n.cfg.Poll,
	}
	h.Active = slices.ContainsFunc(n.groups, func(g *group) bool { return g.role == RoleActive })
	out.Send = append(out.Send, Datagram{p.path, AppendHeartbeat(nil, h, key)})
}

func (n *Node) groupState(now time.Time, g *group) GroupState {
	c := g.census(now)
	role, epoch := g.role, g.epoch
	if g.muting { // for the peer what counts is who may send
		role, epoch = RoleActive, g.used
	}
	return GroupState{
		Role: role, Epoch: epoch, Used: g.used, Replication: c.state,
		Broken: uint16(c.broken), Ready: uint16(c.ready), Held: uint16(c.held),
		Failed: uint8(min(n.failedInterfaces(g), math.MaxUint8)), Impaired: n.impaired(g), Fit: n.fit(g),
		Want: g.want, Handover: g.handover.offered() && !g.muting, Holds: c.holds, Hash: g.cfg.Hashes[0],
		Hash2: g.cfg.Hashes[1],
	}
}
