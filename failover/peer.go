package failover

import (
	"fmt"
	"time"
)

// peer is what is known of the other node.
type peer struct {
	instance   uint64 // 0: none was ever accepted
	met        time.Time
	counter    uint64 // of the newest heartbeat
	heard      time.Time
	alive      bool
	wasAlive   bool // at the last announcement
	dataOnly   bool // alive, but no link is heard
	groups     map[string]GroupState
	interfaces []InterfaceState
	program    string

	twin     *Heartbeat // an authenticated node that claims to be our unit
	twinSeen time.Time
}

// Receive takes a heartbeat that came over path. An error says why it was
// refused; nothing but the record of refusals has changed then.
func (n *Node) Receive(now time.Time, path Path, b []byte, out *Output) error {
	p := n.pathState(path)
	if p == nil {
		return ErrWrongPath
	}
	h, err := ParseHeartbeat(b, n.key)
	if err == nil && h.Instance == n.instance {
		return ErrReplayed // our own, reflected
	}
	if err == nil {
		err = n.accept(now, p, h, out)
	}
	switch err {
	case nil:
		p.refused = ""
	case ErrReplayed, ErrMalformed:
		return err // noise: a late copy, or nothing of ours
	default:
		n.refuse(now, p, b, err, out)
	}
	n.finish(now, out)
	return err
}

// accept checks who sent h and takes over what it says.
func (n *Node) accept(now time.Time, p *pathState, h *Heartbeat, out *Output) error {
	switch {
	case h.Path != p.name:
		return ErrWrongPath
	case h.Unit == n.cfg.Unit:
		return n.meetTwin(now, h)
	case h.Program != n.cfg.Version:
		return ErrProgram
	case h.Instance == n.peer.instance:
		if h.Counter <= p.counter {
			return ErrReplayed
		}
	default:
		// Another life of the peer. Whoever records heartbeats cannot know our
		// challenge; the peer learns it from our next heartbeat.
		n.echo, n.dirty = h.Challenge, true
		if h.Echo != n.challenge {
			return nil
		}
		challenge, err := n.random()
		if err != nil {
			return err
		}
		n.challenge = challenge
		n.meetPeer(now, h, out)
	}
	p.counter = h.Counter
	p.heard = now
	if !p.hearing {
		p.hearing = true
		out.event(Event{At: now, Kind: EventLinkUp, Path: p.path, Text: p.name})
	}
	if h.Ask {
		n.send(p, false, out)
	}
	if h.Counter > n.peer.counter {
		n.learn(now, h, out)
	}
	return nil
}

// meetPeer begins with a new life of the peer.
func (n *Node) meetPeer(now time.Time, h *Heartbeat, out *Output) {
	for i := range n.links {
		n.links[i].counter = 0
	}
	for _, p := range n.data {
		p.counter = 0
	}
	restarted := n.peer.instance != 0
	n.peer = peer{instance: h.Instance, met: now, alive: n.peer.alive, dataOnly: n.peer.dataOnly}
	// wasAlive is false: this life of the peer has not heard us announce.
	text := fmt.Sprintf("%v, instance %016x", h.Unit, h.Instance)
	if restarted {
		text += ", restarted"
	}
	out.event(Event{At: now, Kind: EventPeerUp, Text: text})
}

// learn takes over the newest heartbeat.
func (n *Node) learn(now time.Time, h *Heartbeat, out *Output) {
	p := &n.peer
	if !p.alive && p.groups != nil {
		out.event(Event{At: now, Kind: EventPeerUp, Text: "heard again after " + now.Sub(p.heard).String()})
	}
	p.counter, p.heard, p.alive = h.Counter, now, true
	p.program, p.interfaces = h.Program, h.Interfaces
	n.echo = h.Challenge
	p.groups = make(map[string]GroupState, len(h.Groups))
	for _, g := range h.Groups {
		p.groups[g.Name] = g
		if own := n.groupNamed(g.Name); own != nil {
			own.seen = max(own.seen, g.Epoch, g.Used)
		}
	}
}

// meetTwin remembers an authenticated node that is configured as our unit.
func (n *Node) meetTwin(now time.Time, h *Heartbeat) error {
	if t := n.peer.twin; t != nil && t.Instance == h.Instance && h.Counter <= t.Counter {
		return ErrReplayed
	}
	n.echo = h.Challenge
	if h.Echo != n.challenge {
		n.dirty = n.peer.twin == nil || n.peer.twin.Instance != h.Instance
		return ErrUnit
	}
	n.peer.twin, n.peer.twinSeen = h, now
	return ErrUnit
}

// refuse records why a heartbeat was refused, and says so once.
func (n *Node) refuse(now time.Time, p *pathState, b []byte, err error, out *Output) {
	if hint, err := parseHint(b); err == nil {
		p.hint = hint
	}
	p.since = now
	if p.refused == err.Error() {
		return
	}
	p.refused = err.Error()
	out.event(Event{At: now, Kind: EventPeerRefused, Path: p.path, Text: p.refused})
}

// refusedPeer returns the path over which a peer is heard that cannot be
// believed, or nil.
func (n *Node) refusedPeer(now time.Time) *pathState {
	for i := range n.links {
		p := &n.links[i]
		if p.refused != "" && now.Sub(p.since) < 2*n.cfg.Hold && p.hint.unit != UnitNone {
			return p
		}
	}
	return nil
}

// twin returns the last heartbeat of a living node that claims our unit.
func (n *Node) twin(now time.Time) *Heartbeat {
	if n.peer.twin == nil || now.Sub(n.peer.twinSeen) >= 2*n.cfg.Hold {
		return nil
	}
	return n.peer.twin
}

// watchPaths finds the paths, and the peer, that have fallen silent.
func (n *Node) watchPaths(now time.Time, out *Output) {
	heardLink := false
	for i := range n.links {
		p := &n.links[i]
		if p.hearing && now.Sub(p.heard) >= n.cfg.Hold {
			n.pathSilent(now, p, fmt.Sprintf("%s: nothing heard for %v", p.name, now.Sub(p.heard)), out)
		}
		heardLink = heardLink || p.hearing
	}
	for _, i := range n.interfaces { // in order: the output is deterministic
		p := n.data[i.name]
		p.hearing = p.hearing && now.Sub(p.heard) < n.cfg.Hold
	}
	if !n.peer.alive {
		return
	}
	if silent := now.Sub(n.peer.heard); silent >= n.cfg.Hold {
		n.peer.alive, n.peer.dataOnly = false, false
		out.event(Event{At: now, Kind: EventPeerDown,
			Text: fmt.Sprintf("nothing heard for %v on %d links and %d data interfaces", silent, len(n.links), len(n.data))})
		return
	}
	if n.peer.dataOnly == heardLink && now.Sub(n.peer.met) >= n.cfg.Hold {
		n.peer.dataOnly = !heardLink
		if n.peer.dataOnly {
			out.event(Event{At: now, Kind: EventLinksFailed, Text: "no takeover while the peer answers there"})
		}
	}
}

// pathSilent marks a path as not heard.
func (n *Node) pathSilent(now time.Time, p *pathState, why string, out *Output) {
	if !p.hearing {
		return
	}
	p.hearing = false
	out.event(Event{At: now, Kind: EventLinkDown, Path: p.path, Text: why})
}

// suspectAt is when no link will have been heard for half the hold time: then
// it is time to ask on the data interfaces. Zero: no link is heard.
func (n *Node) suspectAt() (at time.Time) {
	for i := range n.links {
		if p := &n.links[i]; p.hearing && p.heard.After(at) {
			at = p.heard
		}
	}
	if at.IsZero() {
		return at
	}
	return at.Add(n.cfg.Hold / 2)
}

func (n *Node) linksSuspect(now time.Time) bool { return !now.Before(n.suspectAt()) }

func (n *Node) pathState(path Path) *pathState {
	if path.Link == DataPath {
		return n.data[path.Interface]
	}
	if path.Link < 0 || path.Link >= len(n.links) {
		return nil
	}
	return &n.links[path.Link]
}
