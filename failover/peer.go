package failover

import (
	"fmt"
	"time"
)

// peer is what is known of the other node.
type peer struct {
	table
	instance uint64 // 0: none was ever accepted
	met      time.Time
	counter  uint64 // of the newest heartbeat
	heard    time.Time
	ear      time.Duration // Node.ear then
	alive    bool
	since    time.Time // of that
	wasAlive bool      // at the last announcement
	dataOnly bool      // alive, but no link is heard
	closing  closing
	poll     time.Duration // the interval of its heartbeats
	program  string
	clock    clock
	keys     [MaxKeys]KeyID // that it takes; zero: not known

	twin *twin // an authenticated node that claims to be our unit
}

// twin is a node that is configured as our unit.
type twin struct {
	table
	instance, counter uint64
	seen              time.Time
}

// word is whether the peer has said something of a group.
type word uint8

const (
	wordNone   word = iota // it is silent, or not all it has to say is here
	wordAbsent             // it does not have the group
	wordKnown
)

// theirs returns what the peer says of a group. What it said before it fell
// silent does not count: it is told again what has changed since.
func (n *Node) theirs(now time.Time, g *group) (GroupState, word) {
	p := &n.peer
	if !p.alive {
		return GroupState{}, wordNone
	}
	k, ok := p.groups[g.cfg.Name]
	whole := p.whole || now.Sub(p.since) >= patience*n.cfg.Hold
	switch {
	case ok && (whole || !k.at.Before(p.since)):
		return k.GroupState, wordKnown
	case !ok && whole:
		return GroupState{}, wordAbsent
	}
	return GroupState{}, wordNone
}

// Receive takes a heartbeat that came over path. An error says why it was
// refused; nothing but the record of refusals has changed then.
func (n *Node) Receive(now time.Time, path Path, b []byte, out *Output) error {
	p := n.pathState(path)
	if p == nil {
		return ErrWrongPath
	}
	n.listen(now)
	h, key, err := n.keys.parse(b)
	if err == nil && h.Instance == n.instance {
		return ErrReplayed // our own, reflected
	}
	if err == nil {
		err = n.accept(now, p, h, key, out)
	}
	switch err {
	case nil:
		p.refused = ""
	case ErrReplayed, ErrMalformed:
		return err // noise: a late copy, or nothing of ours
	default:
		n.refuse(now, p, b, err, out)
	}
	n.finish(now, out, nil)
	return err
}

// accept checks who sent h and takes over what it says.
func (n *Node) accept(now time.Time, p *pathState, h *Heartbeat, key KeyID, out *Output) error {
	switch {
	case h.Path != p.name:
		return ErrWrongPath
	case h.Unit == n.cfg.Unit:
		return n.meetTwin(now, h)
	case !n.understands(h):
		return fmt.Errorf("%w: %v, and this unit %v", ErrVersion, h.Protocol, n.cfg.Protocol)
	case h.Instance == n.peer.instance:
		if h.Counter <= p.counter {
			return ErrReplayed
		}
	default:
		// Another life of the peer. Whoever records heartbeats cannot know our
		// challenge; the peer learns it from our next heartbeat.
		n.answer(now, h)
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
	p.heard, p.ear = now, n.ear
	if !p.hearing {
		p.hearing = true
		out.event(Event{At: now, Kind: EventLinkUp, Path: p.path, Text: p.name})
	}
	if h.Counter > n.peer.counter {
		n.learn(now, h, key, out)
	}
	if h.Ask {
		n.send(now, p, n.signs(now), false, n.outbox.pages(now, n.cfg.Poll/2, 1, n.room())[0], out)
	}
	return nil
}

// understands reports whether there is a version of the protocol that the sender
// of h speaks, too.
func (n *Node) understands(h *Heartbeat) bool {
	_, ok := n.cfg.Protocol.Common(h.Protocol)
	return ok
}

// answer repeats the challenge of a node that is not known yet, soon. It may be a
// recording: what it makes this node send is no more than a heartbeat in a poll.
func (n *Node) answer(now time.Time, h *Heartbeat) {
	n.echo = h.Challenge
	if now.Sub(n.answered) >= n.cfg.Poll {
		n.answered, n.dirty = now, true
	}
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
	n.peer = peer{table: newTable(), instance: h.Instance, met: now, since: now, alive: n.peer.alive,
		dataOnly: n.peer.dataOnly}
	n.outbox.restart()
	// wasAlive is false: this life of the peer has not heard us announce.
	text := fmt.Sprintf("%v, instance %016x", h.Unit, h.Instance)
	if restarted {
		text += ", restarted"
	}
	if h.Program != n.cfg.Version {
		text += fmt.Sprintf(", runs %s, this unit %s", h.Program, n.cfg.Version)
	}
	out.event(Event{At: now, Kind: EventPeerUp, Text: text})
}

// learn takes over the newest heartbeat.
func (n *Node) learn(now time.Time, h *Heartbeat, key KeyID, out *Output) {
	p := &n.peer
	if p.keys = h.Keys; p.keys[0] == 0 { // a program that does not say
		p.keys[0] = key
	}
	if !p.alive {
		if p.counter != 0 {
			out.event(Event{At: now, Kind: EventPeerUp, Text: "heard again after " + now.Sub(p.heard).String()})
		}
		p.alive, p.since = true, now
		n.outbox.repeat()
	}
	p.counter, p.heard, p.ear = h.Counter, now, n.ear
	if p.closing.answered(n.ear) {
		n.dirty = true
	}
	p.program = h.Program
	if p.poll = min(h.Poll, maxPoll); h.Poll == 0 {
		p.poll = formerPoll
	}
	n.echo = h.Challenge
	if h.Of == n.instance {
		n.outbox.acknowledged(h.Seen)
	}
	p.learn(now, h)
	for _, e := range h.Entries {
		if own := n.groupNamed(e.Name); own != nil && e.Kind == EntryGroup {
			own.seen = max(own.seen, e.Group.Epoch, e.Group.Used)
		}
	}
	if text := p.clock.compare(now, h.Clock); text != "" {
		out.event(Event{At: now, Kind: EventSkew, Text: text})
	}
}

// meetTwin remembers an authenticated node that is configured as our unit.
func (n *Node) meetTwin(now time.Time, h *Heartbeat) error {
	t := n.peer.twin
	known := t != nil && t.instance == h.Instance
	if known && h.Counter <= t.counter {
		return ErrReplayed
	}
	if h.Echo != n.challenge {
		n.echo = h.Challenge
		if !known {
			n.answer(now, h)
		}
		return ErrUnit
	}
	n.echo = h.Challenge
	if !known {
		t = &twin{table: newTable(), instance: h.Instance}
		n.peer.twin = t
	}
	t.counter, t.seen = h.Counter, now
	t.learn(now, h)
	return ErrUnit
}

// refuse records why a heartbeat was refused, and says so within bounds.
func (n *Node) refuse(now time.Time, p *pathState, b []byte, err error, out *Output) {
	if hint, hintErr := n.keys.hint(b); hintErr == nil { // others are strangers
		p.hint, p.hinted, p.hintAt = hint, err.Error(), now
	}
	p.since = now
	if p.refused == err.Error() {
		return
	}
	p.refused = err.Error()
	if text, ok := p.lines.take(now, p.refused); ok {
		out.event(Event{At: now, Kind: EventPeerRefused, Path: p.path, Text: text})
	}
}

const (
	// refusalBurst and refusalRest bound the lines about refused heartbeats of one
	// path: so many, then one in such a time. Whoever can send on a data interface
	// decides how many there would be.
	refusalBurst = 5
	refusalRest  = 10 * time.Second
)

// refusals bounds what refused nodes can write into the log.
type refusals struct {
	lines  []time.Time // of the last ones, at most refusalBurst
	silent int         // since the last line
}

// take returns the line about a refusal, if there is to be one.
func (r *refusals) take(now time.Time, reason string) (string, bool) {
	if len(r.lines) == refusalBurst {
		if now.Sub(r.lines[0]) < refusalBurst*refusalRest {
			r.silent++
			return "", false
		}
		r.lines = r.lines[1:]
	}
	r.lines = append(r.lines, now)
	if r.silent > 0 {
		reason += fmt.Sprintf("; %d more were not logged", r.silent)
		r.silent = 0
	}
	return reason, true
}

// refusedPeer returns the path over which a peer is heard that has our key, and
// cannot be understood; or nil.
func (n *Node) refusedPeer(now time.Time) *pathState {
	for i := range n.links {
		p := &n.links[i]
		if p.hinted != "" && now.Sub(p.hintAt) < 2*n.cfg.Hold && p.hint.unit != UnitNone {
			return p
		}
	}
	return nil
}

// twin returns a living node that claims our unit, or nil.
func (n *Node) twin(now time.Time) *twin {
	if n.peer.twin == nil || now.Sub(n.peer.twin.seen) >= 2*n.cfg.Hold {
		return nil
	}
	return n.peer.twin
}

func (n *Node) pathState(path Path) *pathState {
	if path.Link == DataPath {
		return n.data[path.Interface]
	}
	if path.Link < 0 || path.Link >= len(n.links) {
		return nil
	}
	return &n.links[path.Link]
}
