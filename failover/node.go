package failover

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/warrenvpn/warren/internal/secret"
)

// Errors of the operator's wishes.
var (
	ErrNoGroup     = errors.New("failover: no such group")
	ErrNoPeer      = errors.New("failover: peer is silent")
	ErrNotReady    = errors.New("failover: standby is not ready to take over")
	ErrNotServing  = errors.New("failover: this unit is neither active nor standby")
	ErrInHandover  = errors.New("failover: a switch is under way")
	ErrPeerFailed  = errors.New("failover: peer has failed")
	ErrConfigDiffs = errors.New("failover: configurations of the two units differ")
)

// Node is one node of a pair. It is not safe for concurrent use; exactly one
// goroutine owns it. The error of a method leaves the Node as it was, except
// that Receive counts what it refuses.
type Node struct {
	cfg      Config
	key      secret.Value
	started  time.Time
	instance uint64

	counter    uint64
	challenge  uint64
	echo       uint64 // the challenge of the peer that we repeat
	links      []pathState
	data       map[string]*pathState // by interface
	interfaces []interfaceState      // in order of first mention
	groups     []*group
	peer       peer

	announced time.Time // when the addresses were announced again
	nextBeat  time.Time
	suspect   bool      // the links were, at the last look
	last      time.Time // of the last call
	dirty     bool      // a heartbeat leaves with the next output
	history   []RoleChange
}

// pathState is what is known of one path to the peer.
type pathState struct {
	path    Path
	name    string // on the wire
	up      bool   // the device has a carrier
	heard   time.Time
	hearing bool
	counter uint64 // of the last heartbeat of the present peer
	refused string // why the last one was refused; "" if it was not
	since   time.Time
	hint    hint
}

// interfaceState is one monitored interface.
type interfaceState struct {
	name    string
	carrier bool      // what the driver said last
	since   time.Time // of that
	up      bool      // counts as up
	rises   time.Time // when it will count as up; zero: no change is pending
}

// New returns a Node that looks for its peer from now on. The first heartbeats
// are in out.
func New(now time.Time, cfg Config, out *Output) (*Node, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	n := &Node{
		last: now,
		cfg:  cfg, key: deriveKey(cfg.Key), started: now,
		data: map[string]*pathState{}, dirty: true,
	}
	for i, name := range cfg.Links {
		n.links = append(n.links, pathState{path: Path{Link: i}, name: name, up: true})
	}
	for _, g := range cfg.Groups {
		n.groups = append(n.groups, newGroup(g))
	}
	n.monitor()
	if n.instance, err = n.random(); err != nil {
		return nil, err
	}
	if n.challenge, err = n.random(); err != nil {
		return nil, err
	}
	for _, g := range n.groups {
		if g.cfg.Active {
			g.epoch = max(g.cfg.Epoch, nextEpoch(0, n.cfg.Unit))
			n.change(now, g, RoleActive, "workers were found serving", out)
		} else {
			n.change(now, g, RoleNegotiation, "started", out)
		}
	}
	n.finish(now, out)
	return n, nil
}

// Expire does what is due. Early or repeated calls do nothing.
func (n *Node) Expire(now time.Time, out *Output) { n.finish(now, out) }

// Deadline returns when Expire must be called next.
func (n *Node) Deadline() time.Time {
	at := n.nextBeat
	earlier := func(t time.Time) {
		if !t.IsZero() && t.Before(at) {
			at = t
		}
	}
	if n.peer.alive {
		earlier(n.peer.heard.Add(n.cfg.Hold))
		if !n.suspect {
			earlier(n.suspectAt())
		}
	}
	for _, g := range n.groups {
		earlier(g.handover.deadline)
	}
	return at
}

// LinkState says whether the device of a failover link has a carrier.
func (n *Node) LinkState(now time.Time, link int, up bool, out *Output) {
	if link < 0 || link >= len(n.links) || n.links[link].up == up {
		return
	}
	p := &n.links[link]
	p.up = up
	if !up {
		n.pathSilent(now, p, "no carrier", out)
	}
	n.dirty = true
	n.finish(now, out)
}

// Interface says whether a monitored interface is fit for use: it has a carrier
// and an address. Down counts at once, up counts when it lasts.
func (n *Node) Interface(now time.Time, name string, up bool, out *Output) {
	i := n.interfaceNamed(name)
	if i == nil {
		return
	}
	if i.carrier != up {
		i.carrier, i.since = up, now
	}
	switch {
	case !up && (i.up || !i.rises.IsZero()):
		if i.up {
			out.event(Event{At: now, Kind: EventInterface, Path: Path{DataPath, name}, Text: "down"})
		}
		i.up, i.rises = false, time.Time{}
		n.dirty = true
	case up && !i.up && i.rises.IsZero():
		i.rises = now.Add(n.cfg.Settle)
	}
	n.finish(now, out)
}

// Replication says how far the copy of a tenant is that this node holds as the
// standby.
func (n *Node) Replication(now time.Time, tenant string, r Replication, out *Output) {
	for _, g := range n.groups {
		if _, ok := g.replication[tenant]; ok {
			g.replication[tenant] = r
			g.held[tenant] = g.held[tenant] || r == ReplicationReady
		}
	}
	n.finish(now, out)
}

// Copy says whether a standby worker holds a complete copy, however old
// (journal.Receiver.Holds): true after a snapshot, false for a worker that
// began with nothing. A node with a copy is preferred to one without.
func (n *Node) Copy(now time.Time, tenant string, holds bool, out *Output) {
	for _, g := range n.groups {
		if _, ok := g.replication[tenant]; ok && g.held[tenant] != holds {
			g.held[tenant] = holds
			n.dirty = true
		}
	}
	n.finish(now, out)
}

// WorkerFailed says that the worker of a tenant cannot be brought back on this
// node; WorkerRecovered takes it back.
func (n *Node) WorkerFailed(now time.Time, tenant, reason string, out *Output) {
	for _, g := range n.groups {
		if _, ok := g.replication[tenant]; ok {
			g.broken[tenant] = reason
		}
	}
	n.dirty = true
	n.finish(now, out)
}

// WorkerRecovered says that the worker of a tenant runs again.
func (n *Node) WorkerRecovered(now time.Time, tenant string, out *Output) {
	for _, g := range n.groups {
		delete(g.broken, tenant)
	}
	n.dirty = true
	n.finish(now, out)
}

// Configure gives a group another configuration: all but its name and its
// epoch may change. What newly counts as monitored is up until Interface says
// otherwise.
func (n *Node) Configure(now time.Time, cfg GroupConfig, out *Output) error {
	g := n.groupNamed(cfg.Name)
	if g == nil {
		return ErrNoGroup
	}
	whole := n.cfg
	whole.Groups = nil
	for _, other := range n.groups {
		if other != g {
			whole.Groups = append(whole.Groups, other.cfg)
		}
	}
	whole.Groups = append(whole.Groups, cfg)
	if _, err := whole.withDefaults(); err != nil {
		return err
	}
	cfg.Epoch, cfg.Active = g.cfg.Epoch, g.cfg.Active
	g.cfg = cfg
	n.monitor()
	fresh := newGroup(cfg)
	for tenant := range fresh.replication {
		if r, ok := g.replication[tenant]; ok {
			fresh.replication[tenant] = r
			fresh.held[tenant] = g.held[tenant]
		}
		if reason, ok := g.broken[tenant]; ok {
			fresh.broken[tenant] = reason
		}
	}
	g.replication, g.broken, g.held = fresh.replication, fresh.broken, fresh.held
	n.dirty = true
	n.finish(now, out)
	return nil
}

// monitor makes the interfaces those that groups monitor, the old ones as they
// were.
func (n *Node) monitor() {
	known, paths := n.interfaces, n.data
	n.interfaces, n.data = nil, map[string]*pathState{}
	for _, g := range n.groups {
		for _, name := range g.cfg.Monitor {
			if n.interfaceNamed(name) != nil {
				continue
			}
			state := interfaceState{name: name, carrier: true, up: true}
			if i := slices.IndexFunc(known, func(i interfaceState) bool { return i.name == name }); i >= 0 {
				state = known[i]
			}
			n.interfaces = append(n.interfaces, state)
			if n.data[name] = paths[name]; n.data[name] == nil {
				n.data[name] = &pathState{path: Path{DataPath, name}, up: true}
			}
		}
	}
}

// Remembered says that the epoch of a Remember is on disk.
func (n *Node) Remembered(name string, epoch uint64) {
	if g := n.groupNamed(name); g != nil {
		g.remembered = max(g.remembered, epoch)
	}
}

// foresee lets the epoch of a possible takeover be written ahead.
func (n *Node) foresee(g *group, out *Output) {
	next := nextEpoch(max(g.epoch, g.seen, g.used), n.cfg.Unit)
	if g.role.Standby() && next > g.asked {
		g.asked = next
		out.Remember = append(out.Remember, Remember{g.cfg.Name, next, false})
	}
}

// finish brings everything in line with what is known, then sends what is due.
func (n *Node) finish(now time.Time, out *Output) {
	n.excuse(now)
	n.settle(now, out)
	n.watchPaths(now, out)
	for _, g := range n.groups {
		n.compareConfiguration(now, g, out)
		n.decide(now, g, out)
		n.foresee(g, out)
	}
	n.announce(now, out)
	n.beat(now, out)
}

// excuse makes up for a time in which this node itself stood still: what it
// did not hear then was perhaps said. Without it a node that was stopped for a
// second would take over from a healthy peer when it goes on.
func (n *Node) excuse(now time.Time) {
	late := now.Sub(n.last) - n.cfg.Poll
	n.last = now
	if late < n.cfg.Hold/3 {
		return
	}
	shift := func(t *time.Time) {
		if t.Before(now) && !t.IsZero() {
			*t = t.Add(min(late, now.Sub(*t)))
		}
	}
	shift(&n.peer.heard)
	for i := range n.links {
		shift(&n.links[i].heard)
	}
	for _, p := range n.data {
		shift(&p.heard)
	}
}

// settle lets interfaces count as up that have been up for long enough.
func (n *Node) settle(now time.Time, out *Output) {
	for i := range n.interfaces {
		s := &n.interfaces[i]
		if !s.rises.IsZero() && !now.Before(s.rises) {
			s.up, s.rises = true, time.Time{}
			n.dirty = true
			out.event(Event{At: now, Kind: EventInterface, Path: Path{DataPath, s.name}, Text: "up"})
		}
	}
}

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
	suspect := n.linksSuspect(now)
	n.dirty = n.dirty || suspect && !n.suspect && n.peer.alive // ask at once
	n.suspect = suspect
	if !n.dirty && now.Before(n.nextBeat) {
		return
	}
	interval := n.cfg.Poll
	for _, g := range n.groups {
		if g.handover.state == handoverGiving {
			interval = n.cfg.Poll / 5
		}
	}
	if suspect && n.peer.alive {
		interval = min(interval, n.cfg.Poll/2) // the takeover depends on it
	}
	n.dirty = false
	n.nextBeat = now.Add(interval)
	for i := range n.links {
		n.send(&n.links[i], false, out)
	}
	if !suspect {
		return
	}
	for i := range n.interfaces {
		if n.interfaces[i].up {
			n.send(n.data[n.interfaces[i].name], true, out)
		}
	}
}

// send appends one heartbeat to out.
func (n *Node) send(p *pathState, ask bool, out *Output) {
	n.counter++
	h := &Heartbeat{
		Unit: n.cfg.Unit, Instance: n.instance, Counter: n.counter,
		Challenge: n.challenge, Echo: n.echo,
		Path: p.name, Ask: ask, Program: n.cfg.Version,
	}
	for _, g := range n.groups {
		h.Groups = append(h.Groups, n.groupState(g))
	}
	for _, i := range n.interfaces {
		h.Interfaces = append(h.Interfaces, InterfaceState{i.name, i.up})
	}
	out.Send = append(out.Send, Datagram{p.path, AppendHeartbeat(nil, h, n.key)})
}

func (n *Node) groupState(g *group) GroupState {
	failed := n.failedInterfaces(g)
	return GroupState{
		Name: g.cfg.Name, Role: g.role, Epoch: g.epoch, Used: g.used, Replication: g.copyState(),
		Failed: uint8(failed), Impaired: n.impaired(g), Fit: n.fit(g),
		Want: g.want, Handover: g.handover.state == handoverGiving, Holds: g.holds(), Hash: g.cfg.Hash,
	}
}

// change moves g to another role.
func (n *Node) change(now time.Time, g *group, to Role, reason string, out *Output) {
	from := g.role
	if !edges[from][to] {
		panic(fmt.Sprintf("failover: internal error: no edge from %v to %v", from, to))
	}
	g.role, g.since, g.tie, g.reason = to, now, time.Time{}, reason
	switch {
	case to == RoleActive:
		for tenant := range g.replication {
			g.held[tenant] = true
		}
	case from == RoleActive:
		g.forget()
	}
	n.dirty = true
	c := RoleChange{At: now, Group: g.cfg.Name, From: from, To: to, Epoch: g.epoch, Reason: reason}
	out.Changes = append(out.Changes, c)
	out.event(Event{At: now, Kind: EventRole, Group: c.Group, From: from, To: to, Epoch: c.Epoch, Text: reason})
	if n.history = append(n.history, c); len(n.history) > HistoryLength {
		n.history = slices.Delete(n.history, 0, 1)
	}
}

// activate makes g active with an epoch that nobody has used.
func (n *Node) activate(now time.Time, g *group, reason string, out *Output) {
	g.epoch = nextEpoch(max(g.epoch, g.seen, g.used), n.cfg.Unit)
	g.used = g.epoch
	if g.epoch > g.remembered {
		out.Remember = append(out.Remember, Remember{g.cfg.Name, g.epoch, true})
		g.remembered, g.asked = g.epoch, g.epoch
	}
	g.want, g.handover, g.stays = WantNothing, handover{}, false
	n.change(now, g, RoleActive, reason, out)
}

// nextEpoch returns the lowest epoch above last that belongs to the unit.
func nextEpoch(last uint64, u Unit) uint64 {
	last++
	if (last%2 == 1) != (u == UnitPrimary) {
		last++
	}
	return last
}

// random reads a number that is not 0.
func (n *Node) random() (uint64, error) {
	var b [8]byte
	for {
		if _, err := io.ReadFull(n.cfg.Rand, b[:]); err != nil {
			return 0, fmt.Errorf("failover: reading randomness: %w", err)
		}
		if v := binary.BigEndian.Uint64(b[:]); v != 0 {
			return v, nil
		}
	}
}

func (n *Node) interfaceNamed(name string) *interfaceState {
	for i := range n.interfaces {
		if n.interfaces[i].name == name {
			return &n.interfaces[i]
		}
	}
	return nil
}

func (n *Node) groupNamed(name string) *group {
	for _, g := range n.groups {
		if g.cfg.Name == name {
			return g
		}
	}
	return nil
}

func (o *Output) event(e Event) { o.Events = append(o.Events, e) }
