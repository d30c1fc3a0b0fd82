package failover

import (
	"fmt"
	"time"
)

// group is the state of one failover group on this node.
type group struct {
	cfg               GroupConfig
	role, was         Role // was: before the last change
	since             time.Time
	reason            string
	epoch             uint64 // of our last activation, or of the peer's that we follow
	seen              uint64 // the highest that we have heard of
	used              uint64 // the highest that was ours, in any life
	muting            bool   // active no longer, and its workers may not be silent yet
	asked, remembered uint64 // the highest that is to be, and is, on disk

	tenants  []*tenant // in the order of the configuration
	compared comparison
	// comparedText is what was said of it last.
	comparedText string

	tie       time.Time // since when both nodes are standby
	ready     time.Time // since when standby-ready
	want      Want
	wantUntil time.Time
	handover  handover
	against   uint64    // epoch of the last split brain that was logged
	from      uint64    // of the activation of the peer that this one was handed over from; 0: it was not
	greeted   time.Time // the return of the peer since which it follows, and the addresses were announced
	stays     bool      // the operator gave the role away: no preemption
	healed    time.Time // when the role moved for the health of contexts
	spared    time.Time // the silence of the peer for which the log was told that its workers serve on
	disk      string    // why the epoch cannot be written down; "": it can
	diskUntil time.Time
}

// comparison is the result of comparing configurations with the peer.
type comparison uint8

const (
	comparedNever comparison = iota
	comparedSame
	comparedDifferent
	comparedPartly // some contexts have the same, and others differ
)

func newGroup(now time.Time, cfg GroupConfig) *group {
	g := &group{cfg: cfg}
	for _, name := range cfg.Tenants {
		g.tenants = append(g.tenants, &tenant{name: name, behind: now})
	}
	g.used, g.asked, g.remembered = cfg.Epoch, cfg.Epoch, cfg.Epoch
	return g
}

// tenant returns the one with a name, or nil.
func (g *group) tenant(name string) *tenant {
	for _, t := range g.tenants {
		if t.name == name {
			return t
		}
	}
	return nil
}

// decide moves g until nothing more is to be done. No chain of transitions is
// longer than the number of roles.
func (n *Node) decide(now time.Time, g *group, out *Output) {
	if g.disk != "" && !now.Before(g.diskUntil) {
		g.disk = ""
	}
	if now.Before(n.judges) && g.role != RoleActive {
		return // what waits in the sockets may be news of what is heard now
	}
	for range numRoles {
		before := g.role
		switch g.role {
		case RoleInit:
		case RoleNegotiation:
			n.negotiate(now, g, out)
		case RoleStandbyCold, RoleBulkSync, RoleStandbyReady:
			n.follow(now, g, out)
		case RoleActive:
			n.serve(now, g, out)
		case RoleFailed:
			n.recover(now, g, out)
		}
		if g.role == before {
			return
		}
	}
}

// negotiate looks for the peer.
func (n *Node) negotiate(now time.Time, g *group, out *Output) {
	if !n.fit(g) {
		n.change(now, g, RoleFailed, n.unfitReason(g), out)
		return
	}
	late := now.Sub(n.started) >= n.cfg.Wait && now.Sub(g.since) >= n.cfg.Hold
	if twin := n.twin(now); twin != nil && !n.peer.alive {
		if theirs := twin.groups[g.cfg.Name]; theirs.Role == RoleActive || twin.instance < n.instance {
			n.change(now, g, RoleFailed, "the other node is configured as the same unit", out)
		} else if late {
			n.activate(now, g, "the other node, configured as the same unit, waits", out)
		}
		return
	}
	if !n.peer.alive {
		if p := n.refusedPeer(now); p != nil && (p.hint.active || !n.preferred(g)) {
			if late {
				n.change(now, g, RoleFailed, "a refused peer is there: "+p.hinted, out)
			}
			return
		}
		if late && !n.orphaned(now, g, out) {
			n.activate(now, g, "no peer found", out)
		}
		return
	}
	theirs, word := n.theirs(now, g)
	switch {
	case word == wordNone:
	case word == wordAbsent:
		n.activate(now, g, "the peer does not have the group", out)
	case theirs.Role == RoleActive:
		g.epoch = theirs.Epoch
		n.change(now, g, RoleStandbyCold, "the peer is active", out)
	case theirs.Role == RoleFailed:
		// It may be about to recover, and have the SAs.
		patient := theirs.Holds && !g.census(now).holds
		if late && !(patient && theirs.Fit) || !patient && n.better(now, g, theirs) {
			n.activate(now, g, "the peer has failed", out)
		}
	case theirs.Role == RoleNegotiation || late || theirs.Role.Standby() && theirs.Role != RoleStandbyReady &&
		resumes(n.groupState(now, g), g.epoch, theirs.Epoch):
		if n.better(now, g, theirs) {
			n.activate(now, g, "both units start, this one is preferred", out)
		}
	}
}

// follow is what the three standby roles do.
func (n *Node) follow(now time.Time, g *group, out *Output) {
	if g.handover.state == handoverGiving {
		n.await(now, g, out)
		return
	}
	if !n.fit(g) || n.impaired(g) {
		n.change(now, g, RoleFailed, n.unfitReason(g), out)
		return
	}
	if !n.peer.alive {
		n.takeOver(now, g, out)
		return
	}
	theirs, word := n.theirs(now, g)
	switch {
	case word == wordNone:
	case word == wordAbsent:
		n.activate(now, g, "the peer does not have the group any more", out)
	case theirs.Handover:
		if int(theirs.Broken) > g.census(now).broken {
			g.healed = now
		}
		n.activate(now, g, "the peer hands over", out)
		g.from = theirs.Epoch
	case theirs.Role == RoleFailed:
		n.activate(now, g, "the peer has failed", out)
	case theirs.Role == RoleInit || theirs.Role == RoleNegotiation:
		if g.role != RoleStandbyReady && resumes(theirs, theirs.Epoch, g.epoch) && !n.better(now, g, theirs) &&
			now.Sub(n.peer.met) < patience*n.cfg.Hold {
			return
		}
		n.activate(now, g, "the peer has restarted", out)
	case theirs.Role.Standby():
		n.breakTie(now, g, theirs, out)
	default:
		g.tie = time.Time{}
		g.epoch = theirs.Epoch
		n.track(now, g, out)
		n.preempt(now, g, theirs)
	}
}

// takeOver is for a standby whose peer is silent. Without a copy there is
// nothing to save by haste, and all to lose where the peer is only slow: its
// epoch would be the lower one, and its SAs would go.
func (n *Node) takeOver(now time.Time, g *group, out *Output) {
	const silent = "the peer is silent on all links and data interfaces, "
	switch {
	case n.orphaned(now, g, out):
	case g.census(now).holds:
		n.activate(now, g, silent+"this unit has a complete copy", out)
	case n.silence() >= patience*n.cfg.Hold:
		n.activate(now, g, silent+"this unit has no complete copy", out)
	}
}

// breakTie finds the active one when both nodes are standby for longer than a
// hand-over takes.
func (n *Node) breakTie(now time.Time, g *group, theirs GroupState, out *Output) {
	if g.tie.IsZero() {
		g.tie = now
	}
	if now.Sub(g.tie) < n.cfg.Hold {
		return
	}
	mine := g.census(now).state
	if mine > theirs.Replication || mine == theirs.Replication && n.better(now, g, theirs) {
		n.activate(now, g, "both units are standby", out)
	}
}

// track follows the replication. With different configurations the copy is
// never ready: it would not mean the same here.
func (n *Node) track(now time.Time, g *group, out *Output) {
	to, reason := RoleStandbyCold, "replication is lost"
	switch g.census(now).state {
	case ReplicationNone:
	case ReplicationBulk:
		to, reason = RoleBulkSync, "the peer's state is being copied"
	case ReplicationReady:
		to, reason = RoleStandbyReady, "in step with the peer"
	}
	if to != RoleStandbyCold && g.compared != comparedSame && g.compared != comparedPartly {
		to, reason = RoleStandbyCold, "the configurations differ"
	}
	if to == g.role {
		return
	}
	if to == RoleStandbyReady {
		g.ready = now
	}
	n.change(now, g, to, reason, out)
}

// serve is what the active does.
func (n *Node) serve(now time.Time, g *group, out *Output) {
	if twin := n.twin(now); twin != nil {
		theirs := twin.groups[g.cfg.Name]
		if theirs.Role == RoleActive && (theirs.Epoch > g.epoch || theirs.Epoch == g.epoch &&
			twin.instance < n.instance) {
			n.yield(now, g, theirs.Epoch, "the other node is configured as the same unit and stays", out)
			return
		}
	}
	if !n.peer.alive {
		n.cancelHandover(now, g, "the peer is silent", out)
		return
	}
	theirs, word := n.theirs(now, g)
	if word != wordKnown {
		n.cancelHandover(now, g, "nothing is known of the group there", out)
		return
	}
	switch {
	case theirs.Role != RoleActive:
	case theirs.Epoch > g.epoch && g.handover.state == handoverOffering:
		n.taken(now, g, theirs.Epoch, out)
		return
	case theirs.Epoch == g.from && now.Sub(g.since) < 2*n.cfg.Hold:
		return // it hears of this activation, and falls silent
	default:
		n.resolve(now, g, theirs, out)
		return
	}
	if g.against != 0 || !g.greeted.Equal(n.peer.since) {
		// The peer has given in, or returned, and may have announced the addresses last.
		g.against, g.greeted = 0, n.peer.since
		out.Announce = append(out.Announce, g.cfg.Name)
	}
	if theirs.Used > g.epoch {
		// In a partition, or before its last restart, the peer may have used
		// numbers that this activation would use next.
		n.cancelHandover(now, g, "a new epoch is needed", out)
		n.activate(now, g, fmt.Sprintf("the peer may have been active with epoch %d", theirs.Used), out)
		return
	}
	n.considerHandover(now, g, theirs, out)
}

// resolve ends a split brain: two active nodes hear each other.
func (n *Node) resolve(now time.Time, g *group, theirs GroupState, out *Output) {
	if theirs.Epoch > g.epoch || theirs.Epoch == g.epoch && n.cfg.Unit == UnitSecondary {
		n.yield(now, g, theirs.Epoch, fmt.Sprintf("split brain: the peer has epoch %d, this unit %d", theirs.Epoch,
			g.epoch), out)
		return
	}
	if g.against != theirs.Epoch {
		g.against = theirs.Epoch
		n.dirty = true
		out.Announce = append(out.Announce, g.cfg.Name)
		out.event(Event{At: now, Kind: EventSplitBrain, Group: g.cfg.Name, Epoch: g.epoch,
			Text: fmt.Sprintf("this unit stays active, the peer has epoch %d", theirs.Epoch)})
	}
}

// yield makes way for another active node.
func (n *Node) yield(now time.Time, g *group, epoch uint64, reason string, out *Output) {
	out.event(Event{At: now, Kind: EventSplitBrain, Group: g.cfg.Name, Epoch: epoch, Text: reason})
	g.epoch, g.seen = epoch, max(g.seen, epoch)
	g.handover = handover{}
	n.change(now, g, RoleStandbyCold, reason, out)
}

// forget drops what was known of the copy: it was the other way round until
// now. It happens in the moment in which the role ends, not when the peer is
// heard to have it: the twin may be in step before that heartbeat is here.
func (g *group) forget(now time.Time) {
	for _, t := range g.tenants {
		t.replication, t.behind = ReplicationNone, now
	}
}

// recover looks whether a failed unit is wanted.
func (n *Node) recover(now time.Time, g *group, out *Output) {
	if n.twin(now) != nil || n.refusedPeer(now) != nil && !n.peer.alive {
		return
	}
	if n.fit(g) && !n.impaired(g) {
		n.change(now, g, RoleNegotiation, "recovered", out)
		return
	}
	if !n.connected(g) || g.disk != "" || now.Sub(n.started) < n.cfg.Wait || now.Sub(n.carrierSince(g)) < n.cfg.Hold {
		return // not fit, or for too short a time to have asked the peer
	}
	theirs, word := n.theirs(now, g)
	switch {
	case !n.peer.alive && n.orphaned(now, g, out):
	case !n.peer.alive, word == wordAbsent:
		n.activate(now, g, "the peer is silent, this unit is better than none", out)
	case word == wordNone:
	case theirs.Handover && n.fit(g), theirs.Role == RoleFailed && n.better(now, g, theirs):
		n.activate(now, g, "the peer has failed worse", out)
	case g.census(now).holds && !theirs.Holds && theirs.Role == RoleNegotiation:
		n.activate(now, g, "the peer has restarted without the state", out)
	}
}

// preferred reports whether the configuration prefers this unit.
func (n *Node) preferred(g *group) bool {
	if g.cfg.Prefer == UnitNone {
		return n.cfg.Unit == UnitPrimary
	}
	return g.cfg.Prefer == n.cfg.Unit
}
