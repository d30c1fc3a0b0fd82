package failover

import (
	"fmt"
	"slices"
	"time"
)

// group is the state of one failover group on this node.
type group struct {
	cfg               GroupConfig
	role              Role
	since             time.Time
	reason            string
	epoch             uint64 // of our last activation, or of the peer's that we follow
	seen              uint64 // the highest that we have heard of
	used              uint64 // the highest that was ours, in any life
	asked, remembered uint64 // the highest that is to be, and is, on disk

	replication map[string]Replication // by tenant
	broken      map[string]string      // tenants whose worker is gone for good
	compared    comparison
	tie         time.Time // since when both nodes are standby
	ready       time.Time // since when standby-ready
	want        Want
	wantUntil   time.Time
	handover    handover
	against     uint64          // epoch of the last split brain that was logged
	held        map[string]bool // tenants with a complete copy, however old, or serving
	stays       bool            // the operator gave the role away: no preemption
}

// comparison is the result of comparing configurations with the peer.
type comparison uint8

const (
	comparedNever comparison = iota
	comparedSame
	comparedDifferent
)

func newGroup(cfg GroupConfig) *group {
	g := &group{cfg: cfg, replication: map[string]Replication{}, broken: map[string]string{}, held: map[string]bool{}}
	for _, tenant := range cfg.Tenants {
		g.replication[tenant] = ReplicationNone
	}
	g.used, g.asked, g.remembered = cfg.Epoch, cfg.Epoch, cfg.Epoch
	return g
}

// copyState is the least of what the tenants have.
func (g *group) copyState() Replication {
	least := ReplicationReady
	for _, r := range g.replication {
		least = min(least, r)
	}
	return least
}

// holds reports whether this node has the state of every tenant.
func (g *group) holds() bool {
	for tenant := range g.replication {
		if !g.held[tenant] {
			return false
		}
	}
	return true
}

// decide moves g until nothing more is to be done. No chain of transitions is
// longer than the number of roles.
func (n *Node) decide(now time.Time, g *group, out *Output) {
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
		if theirs := groupIn(twin, g.cfg.Name); theirs.Role == RoleActive || twin.Instance < n.instance {
			n.change(now, g, RoleFailed, "the other node is configured as the same unit", out)
		} else if late {
			n.activate(now, g, "the other node, configured as the same unit, waits", out)
		}
		return
	}
	if !n.peer.alive {
		if p := n.refusedPeer(now); p != nil && (p.hint.active || !n.preferred(g)) {
			if late {
				n.change(now, g, RoleFailed, "a refused peer is there: "+p.refused, out)
			}
			return
		}
		if late {
			n.activate(now, g, "no peer found", out)
		}
		return
	}
	theirs, ok := n.peer.groups[g.cfg.Name]
	switch {
	case !ok:
		n.activate(now, g, "the peer does not have the group", out)
	case theirs.Role == RoleActive:
		g.epoch = theirs.Epoch
		n.change(now, g, RoleStandbyCold, "the peer is active", out)
	case theirs.Role == RoleFailed:
		// It may be about to recover, and have the SAs.
		patient := theirs.Holds && !g.holds()
		if late && !(patient && theirs.Fit) || !patient && n.better(g, theirs) {
			n.activate(now, g, "the peer has failed", out)
		}
	case theirs.Role == RoleNegotiation || late:
		if n.better(g, theirs) {
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
	theirs, ok := n.peer.groups[g.cfg.Name]
	if !ok {
		n.activate(now, g, "the peer does not have the group any more", out)
		return
	}
	switch {
	case theirs.Handover:
		n.activate(now, g, "the peer hands over", out)
	case theirs.Role == RoleFailed:
		n.activate(now, g, "the peer has failed", out)
	case theirs.Role == RoleInit || theirs.Role == RoleNegotiation:
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
	case g.holds():
		n.activate(now, g, silent+"this unit has a complete copy", out)
	case now.Sub(n.peer.heard) >= patience*n.cfg.Hold:
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
	mine := g.copyState()
	if mine > theirs.Replication || mine == theirs.Replication && n.better(g, theirs) {
		n.activate(now, g, "both units are standby", out)
	}
}

// track follows the replication. With different configurations the copy is
// never ready: it would not mean the same here.
func (n *Node) track(now time.Time, g *group, out *Output) {
	to, reason := RoleStandbyCold, "replication is lost"
	switch g.copyState() {
	case ReplicationNone:
	case ReplicationBulk:
		to, reason = RoleBulkSync, "the peer's state is being copied"
	case ReplicationReady:
		to, reason = RoleStandbyReady, "in step with the peer"
	}
	if to != RoleStandbyCold && g.compared != comparedSame {
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
	if reason, ok := g.brokenReason(); ok {
		g.handover = handover{}
		n.change(now, g, RoleFailed, reason, out)
		return
	}
	if twin := n.twin(now); twin != nil {
		theirs := groupIn(twin, g.cfg.Name)
		if theirs.Role == RoleActive && (theirs.Epoch > g.epoch || theirs.Epoch == g.epoch && twin.Instance < n.instance) {
			n.yield(now, g, theirs.Epoch, "the other node is configured as the same unit and stays", out)
			return
		}
	}
	if !n.peer.alive {
		n.cancelHandover(now, g, "the peer is silent", out)
		return
	}
	theirs, ok := n.peer.groups[g.cfg.Name]
	if !ok {
		return
	}
	if theirs.Role == RoleActive {
		n.resolve(now, g, theirs, out)
		return
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
		n.yield(now, g, theirs.Epoch, fmt.Sprintf("split brain: the peer has epoch %d, this unit %d", theirs.Epoch, g.epoch), out)
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
func (g *group) forget() {
	for tenant := range g.replication {
		g.replication[tenant] = ReplicationNone
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
	if !n.fit(g) || now.Sub(n.started) < n.cfg.Wait || now.Sub(n.carrierSince(g)) < n.cfg.Hold {
		return // not fit, or for too short a time to have asked the peer
	}
	theirs, ok := n.peer.groups[g.cfg.Name]
	switch {
	case !n.peer.alive || !ok:
		n.activate(now, g, "the peer is silent, this unit is better than none", out)
	case theirs.Handover, theirs.Role == RoleFailed && n.better(g, theirs):
		n.activate(now, g, "the peer has failed worse", out)
	case g.holds() && !theirs.Holds && theirs.Role == RoleNegotiation:
		n.activate(now, g, "the peer has restarted without the state", out)
	}
}

// better reports whether this node should rather be active than the peer: it
// can serve, has the SAs, has the newer ones, has more interfaces, is preferred.
func (n *Node) better(g *group, theirs GroupState) bool {
	if fit := n.fit(g); fit != theirs.Fit {
		return fit
	}
	if g.holds() != theirs.Holds {
		return g.holds()
	}
	if g.holds() && g.epoch != theirs.Epoch {
		return g.epoch > theirs.Epoch
	}
	if mine := n.failedInterfaces(g); mine != int(theirs.Failed) {
		return mine < int(theirs.Failed)
	}
	return n.preferred(g)
}

// preferred reports whether the configuration prefers this unit.
func (n *Node) preferred(g *group) bool {
	if g.cfg.Prefer == UnitNone {
		return n.cfg.Unit == UnitPrimary
	}
	return g.cfg.Prefer == n.cfg.Unit
}

// fit reports whether the node could serve the group at all.
func (n *Node) fit(g *group) bool {
	if len(g.broken) > 0 {
		return false
	}
	for _, name := range g.cfg.Monitor {
		if n.interfaceNamed(name).carrier {
			return true // settling is good enough if there is nobody better
		}
	}
	return len(g.cfg.Monitor) == 0
}

// carrierSince returns when the last carrier of the group's interfaces came.
func (n *Node) carrierSince(g *group) (at time.Time) {
	for _, name := range g.cfg.Monitor {
		if i := n.interfaceNamed(name); i.carrier && i.since.After(at) {
			at = i.since
		}
	}
	return at
}

// impaired reports whether as many interfaces are down as the policy says.
func (n *Node) impaired(g *group) bool {
	return len(g.cfg.Monitor) > 0 && n.failedInterfaces(g) >= max(g.cfg.InterfacePolicy, 1)
}

func (n *Node) failedInterfaces(g *group) int {
	failed := 0
	for _, name := range g.cfg.Monitor {
		if i := n.interfaceNamed(name); i != nil && !i.up {
			failed++
		}
	}
	return failed
}

func (n *Node) unfitReason(g *group) string {
	if reason, ok := g.brokenReason(); ok {
		return reason
	}
	for _, name := range g.cfg.Monitor {
		if i := n.interfaceNamed(name); i != nil && !i.up {
			return fmt.Sprintf("interface %s is down, %d of %d", name, n.failedInterfaces(g), len(g.cfg.Monitor))
		}
	}
	return "not fit"
}

func (g *group) brokenReason() (string, bool) {
	var tenants []string
	for tenant := range g.broken {
		tenants = append(tenants, tenant)
	}
	if len(tenants) == 0 {
		return "", false
	}
	slices.Sort(tenants)
	return fmt.Sprintf("context %s cannot run here: %s", tenants[0], g.broken[tenants[0]]), true
}

// compareConfiguration says once whether both nodes have the same.
func (n *Node) compareConfiguration(now time.Time, g *group, out *Output) {
	theirs, ok := n.peer.groups[g.cfg.Name]
	if !n.peer.alive || !ok {
		return
	}
	result, text := comparedSame, "the same on both units"
	if theirs.Hash != g.cfg.Hash {
		result, text = comparedDifferent, "differs between the units: the standby will not become ready"
	}
	if g.compared != result {
		g.compared = result
		out.event(Event{At: now, Kind: EventConfiguration, Group: g.cfg.Name, Text: text})
	}
}

func groupIn(h *Heartbeat, name string) GroupState {
	for _, g := range h.Groups {
		if g.Name == name {
			return g
		}
	}
	return GroupState{}
}
