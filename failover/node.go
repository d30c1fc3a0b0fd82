package failover

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
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
	keys     ring
	started  time.Time
	instance uint64

	counter    uint64
	challenge  uint64
	echo       uint64 // the challenge of the peer that we repeat
	links      []pathState
	data       map[string]*pathState // by interface
	interfaces []*interfaceState     // in order of first mention
	byName     map[string]*interfaceState
	groups     []*group
	byGroup    map[string]*group
	byTenant   map[string]*group
	peer       peer
	outbox     outbox

	ear       time.Duration // for how long this node has listened
	judges    time.Time     // not before then: it is late, and may have missed something
	announced time.Time     // when the addresses were announced again
	answered  time.Time     // when a heartbeat was sent to a stranger's challenge
	lastBeat  time.Time
	nextBeat  time.Time
	nextAsk   int       // the data interface whose turn it is
	suspect   bool      // the links were, at the last look
	last      time.Time // of the last call
	dirty     bool      // a heartbeat leaves with the next output
	history   []episode
}

// episode is a change of role of one group, or of many at once.
type episode struct {
	RoleChange
	groups int
}

// pathState is what is known of one path to the peer.
type pathState struct {
	path    Path
	name    string // on the wire
	up      bool   // the device has a carrier
	heard   time.Time
	ear     time.Duration // Node.ear then
	hearing bool
	counter uint64 // of the last heartbeat of the present peer
	refused string // why the last one was refused; "" if it was not
	since   time.Time
	lines   refusals
	// What an authentic heartbeat said that could not be believed otherwise.
	hint   hint
	hinted string // why
	hintAt time.Time
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
		last: now, cfg: cfg, keys: newRing(cfg.Keys), started: now, dirty: true,
		data: map[string]*pathState{}, peer: peer{table: newTable()},
		outbox: outbox{entries: map[string]*posted{}},
	}
	for i, name := range cfg.Links {
		n.links = append(n.links, pathState{path: Path{Link: i}, name: name, up: true})
	}
	for _, g := range cfg.Groups {
		n.groups = append(n.groups, newGroup(now, g))
	}
	n.index()
	n.monitor()
	n.tellTenants()
	if n.instance, err = n.random(); err != nil {
		return nil, err
	}
	if n.challenge, err = n.random(); err != nil {
		return nil, err
	}
	for _, g := range n.groups {
		if g.epoch = g.cfg.Adopted; g.cfg.Known {
			g.used = g.epoch
		}
		if g.cfg.Active {
			g.used = max(g.used, g.epoch)
			n.change(now, g, RoleActive, "workers of an earlier process were found serving", out)
		} else {
			n.change(now, g, RoleNegotiation, "started", out)
		}
	}
	n.finish(now, out, nil)
	return n, nil
}

// Expire does what is due. Early or repeated calls do nothing.
func (n *Node) Expire(now time.Time, out *Output) { n.finish(now, out, nil) }

// Deadline returns when Expire must be called next.
func (n *Node) Deadline() time.Time {
	at := n.nextBeat
	earlier := func(t time.Time) {
		if !t.IsZero() && t.Before(at) {
			at = t
		}
	}
	dead, suspect := n.judgement()
	earlier(dead)
	earlier(suspect)
	for _, g := range n.groups {
		due := g.handover.deadline
		if !due.IsZero() && due.Before(n.judges) {
			due = n.judges
		}
		earlier(due)
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
	n.finish(now, out, nil)
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
	default:
		return
	}
	n.finish(now, out, nil)
}

// Replication says how far the copy of a tenant is that this node holds as the
// standby.
func (n *Node) Replication(now time.Time, name string, r Replication, out *Output) {
	n.about(now, name, out, func(t *tenant) { t.tell(now, r) })
}

// Copy says whether a standby worker holds a complete copy, however old
// (journal.Receiver.Holds): true after a snapshot, false for a worker that
// began with nothing. A node with a copy is preferred to one without.
func (n *Node) Copy(now time.Time, name string, holds bool, out *Output) {
	n.about(now, name, out, func(t *tenant) { t.held = holds })
}

// Orphan says whether the twin of a tenant, on the peer, serves on although its supervisor
// has gone, as the standby worker here is told over their session (Vigil.Serves). Where that
// is so of all tenants of a group, and the peer is silent, the group is not taken over for
// the time of Config.Adoption.
func (n *Node) Orphan(now time.Time, name string, serves bool, out *Output) {
	n.about(now, name, out, func(t *tenant) { t.orphan = serves })
}

// WorkerFailed says that the worker of a tenant cannot be brought back on this
// node; WorkerRecovered takes it back. The tenant goes out of service alone:
// its group goes to the peer only where more of it can run.
func (n *Node) WorkerFailed(now time.Time, name, reason string, out *Output) {
	n.about(now, name, out, func(t *tenant) { t.broken = reason })
}

// WorkerRecovered says that the worker of a tenant runs again.
func (n *Node) WorkerRecovered(now time.Time, name string, out *Output) {
	n.about(now, name, out, func(t *tenant) { t.broken = "" })
}

// about notes something about a tenant; one that no group has is none of our
// business.
func (n *Node) about(now time.Time, name string, out *Output, note func(*tenant)) {
	g := n.byTenant[name]
	if g == nil {
		return
	}
	t := g.tenant(name)
	before := *t
	if note(t); *t != before {
		n.dirty = true
		n.finish(now, out, g)
	}
}

// Muted says that the workers of a group whose role was taken from active send
// nothing any more, or that nothing of it leaves this node. Where another change
// has overtaken that one it must not be called.
func (n *Node) Muted(now time.Time, name string, out *Output) {
	g := n.groupNamed(name)
	if g == nil || !g.muting {
		return
	}
	g.muting = false
	if g.handover.state == handoverGiving {
		g.handover.deadline = now.Add(n.cfg.Hold)
	}
	n.dirty = true
	n.finish(now, out, g)
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
// Where only is a group, it is the only one about which something has changed;
// the others are looked at where time has brought news.
func (n *Node) finish(now time.Time, out *Output, only *group) {
	n.listen(now)
	alive := n.peer.alive
	news := n.settle(now, out)
	n.watchPaths(now, out)
	if only == nil || news || n.peer.alive != alive {
		for _, g := range n.groups {
			n.consider(now, g, out)
		}
		for _, i := range n.interfaces {
			n.outbox.set(Entry{Kind: EntryInterface, Name: i.name, Up: i.up})
		}
	} else {
		n.consider(now, only, out)
	}
	n.announce(now, out)
	n.beat(now, out)
}

// consider brings one group in line.
func (n *Node) consider(now time.Time, g *group, out *Output) {
	n.compareConfiguration(now, g, out)
	n.decide(now, g, out)
	n.foresee(g, out)
	n.outbox.set(Entry{Kind: EntryGroup, Name: g.cfg.Name, Group: n.groupState(now, g)})
}

// settle lets interfaces count as up that have been up for long enough, and
// reports whether there were any.
func (n *Node) settle(now time.Time, out *Output) (news bool) {
	for _, s := range n.interfaces {
		if !s.rises.IsZero() && !now.Before(s.rises) {
			s.up, s.rises = true, time.Time{}
			n.dirty, news = true, true
			out.event(Event{At: now, Kind: EventInterface, Path: Path{DataPath, s.name}, Text: "up"})
		}
	}
	return news
}

// change moves g to another role.
func (n *Node) change(now time.Time, g *group, to Role, reason string, out *Output) {
	from := g.role
	if !edges[from][to] {
		panic(fmt.Sprintf("failover: internal error: no edge from %v to %v", from, to))
	}
	g.role, g.was, g.since, g.tie, g.reason = to, from, now, time.Time{}, reason
	g.muting = to != RoleActive && (g.muting || from == RoleActive)
	switch {
	case to == RoleActive:
		for _, t := range g.tenants {
			t.held = true
		}
	case from == RoleActive:
		g.forget(now)
	case !from.Standby() && to.Standby(): // from now on there is something to copy
		for _, t := range g.tenants {
			t.behind = now
		}
	}
	n.dirty = n.dirty || !g.muting // else it is told when Muted is called
	c := RoleChange{At: now, Group: g.cfg.Name, From: from, To: to, Epoch: g.epoch, Reason: reason}
	out.Changes = append(out.Changes, c)
	out.event(Event{At: now, Kind: EventRole, Group: c.Group, From: from, To: to, Epoch: c.Epoch, Text: reason})
	n.remember(c)
}

// remember adds a change to the history. What befalls many groups at once for one
// reason is one line of it.
func (n *Node) remember(c RoleChange) {
	if last := len(n.history) - 1; last >= 0 {
		e := &n.history[last]
		if e.At.Equal(c.At) && e.From == c.From && e.To == c.To && e.Reason == c.Reason && e.Group != c.Group {
			e.groups++
			return
		}
	}
	if n.history = append(n.history, episode{c, 1}); len(n.history) > HistoryLength {
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
	g.want, g.handover, g.stays, g.greeted, g.from = WantNothing, handover{}, false, n.peer.since, 0
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

func (n *Node) interfaceNamed(name string) *interfaceState { return n.byName[name] }

func (n *Node) groupNamed(name string) *group { return n.byGroup[name] }

func (o *Output) event(e Event) { o.Events = append(o.Events, e) }
