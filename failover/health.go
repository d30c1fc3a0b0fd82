package failover

import (
	"fmt"
	"slices"
	"time"
)

const (
	// laggardLimit is how long a copy may be out of step, while others of its
	// group are in step, before the group stops waiting for it: a worker that
	// never says "ready" holds up nobody but itself. A bulk copy of 10,000 SAs
	// takes less than a second.
	laggardLimit = 30 * time.Second
	// healthRest is how long a group stays where it went for the health of its
	// contexts: a context that breaks wherever it is must not carry the others to
	// and fro.
	healthRest = 5 * time.Minute
	// diskRest is how long a group is not activated after its epoch could not be
	// written down.
	diskRest = 5 * time.Second
)

// tenant is one context of a group on this node.
type tenant struct {
	name        string
	replication Replication
	held        bool      // a complete copy, however old, or serving
	behind      time.Time // since when the copy has not been in step for laggardLimit
	inStep      time.Time // since when it is
	broken      string    // why its worker is gone for good; "": it is not
	differs     bool      // from the peer's, and others of the group do not
	orphan      bool      // the peer's worker serves without a supervisor
}

// tell takes over how far the copy of the tenant is.
func (t *tenant) tell(now time.Time, r Replication) {
	switch {
	case t.replication != ReplicationReady && r == ReplicationReady:
		t.inStep = now
	case t.replication == ReplicationReady && r != ReplicationReady && now.Sub(t.inStep) >= laggardLimit:
		t.behind = now // else it comes and goes
	}
	t.replication = r
	t.held = t.held || r == ReplicationReady
}

// census is the health of a group: numbers, of which one tenant changes only
// its own share.
type census struct {
	broken, ready, held int
	// state is the least stage of the copies that are waited for.
	state Replication
	// holds: each of these is complete, or more than half of all are. A worker that
	// denies its copy does not make a takeover of many others wait.
	holds bool
}

// census counts the tenants of g. A tenant that is broken, has another configuration on the
// peer, or is behind for too long while others are in step, is not waited for.
func (g *group) census(now time.Time) census {
	var c census
	for _, t := range g.tenants {
		if t.broken != "" {
			c.broken++
		}
		if t.replication == ReplicationReady && !t.differs {
			c.ready++
		}
		if t.held {
			c.held++
		}
	}
	waited := func(t *tenant) bool {
		late := c.ready > 0 && t.replication != ReplicationReady && now.Sub(t.behind) >= laggardLimit
		return t.broken == "" && !late && !t.differs
	}
	if !slices.ContainsFunc(g.tenants, waited) {
		waited = func(*tenant) bool { return true }
	}
	c.state, c.holds = ReplicationReady, true
	for _, t := range g.tenants {
		if waited(t) {
			c.state = min(c.state, t.replication)
			c.holds = c.holds && t.held
		}
	}
	c.holds = c.holds || 2*c.held > len(g.tenants)
	return c
}

// heals reports whether the peer, which is standby, would serve more contexts
// than this node: it has fewer that are broken, and its copies of all the others
// are in step.
func (n *Node) heals(now time.Time, g *group, theirs GroupState) bool {
	c := g.census(now)
	if c.broken <= int(theirs.Broken) || !theirs.Fit || !theirs.Role.Standby() || g.compared != comparedSame ||
		!g.healed.IsZero() && now.Sub(g.healed) < healthRest {
		return false
	}
	if !n.fit(g) {
		return true // nothing goes on here anyhow
	}
	return theirs.Holds && int(theirs.Ready)+c.broken >= len(g.tenants)
}

// fit reports whether the node could serve the group at all.
func (n *Node) fit(g *group) bool { return n.connected(g) && !g.lost() && g.disk == "" }

// lost reports whether not one context of the group can run here.
func (g *group) lost() bool {
	return len(g.tenants) > 0 && !slices.ContainsFunc(g.tenants, func(t *tenant) bool { return t.broken == "" })
}

// connected reports whether some monitored interface has a carrier.
func (n *Node) connected(g *group) bool {
	for _, name := range g.cfg.Monitor {
		if n.interfaceNamed(name).carrier {
			return true // settling is good enough if there is nobody better
		}
	}
	return len(g.cfg.Monitor) == 0
}

// better reports whether this node should rather be active than the peer: it
// can serve, has the SAs of more contexts, has the newer ones, has fewer contexts
// that cannot run, has more interfaces, is preferred.
func (n *Node) better(now time.Time, g *group, theirs GroupState) bool {
	if fit := n.fit(g); fit != theirs.Fit {
		return fit
	}
	c := g.census(now)
	if c.held != int(theirs.Held) {
		return c.held > int(theirs.Held)
	}
	if c.held > 0 && g.epoch != theirs.Epoch {
		return g.epoch > theirs.Epoch
	}
	if c.held > 0 && g.epoch != 0 {
		return g.epoch == nextEpoch(g.epoch-1, n.cfg.Unit) // the activation was ours: what the peer has of it is a copy
	}
	if c.broken != int(theirs.Broken) {
		return c.broken < int(theirs.Broken)
	}
	if mine := n.failedInterfaces(g); mine != int(theirs.Failed) {
		return mine < int(theirs.Failed)
	}
	return n.preferred(g)
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

// carrierSince is when the last monitored interface got its carrier.
func (n *Node) carrierSince(g *group) (at time.Time) {
	for _, name := range g.cfg.Monitor {
		if i := n.interfaceNamed(name); i.carrier && i.since.After(at) {
			at = i.since
		}
	}
	return at
}

// unfitReason says what is wrong with g here.
func (n *Node) unfitReason(g *group) string {
	if g.disk != "" {
		return g.disk
	}
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

// brokenReason says which contexts cannot run here, and of the first one why.
func (g *group) brokenReason() (string, bool) {
	var broken []*tenant
	for _, t := range g.tenants {
		if t.broken != "" {
			broken = append(broken, t)
		}
	}
	if len(broken) == 0 {
		return "", false
	}
	text := fmt.Sprintf("context %s cannot run here: %s", broken[0].name, broken[0].broken)
	if more := len(broken) - 1; more > 0 {
		text += fmt.Sprintf(", and %d more of %d", more, len(g.tenants))
	}
	return text, true
}

// Unwritten says that the epoch of a Remember with Now could not be written
// down. The group is not active then: the next life of this node would use the
// epoch again. Some time later it tries once more.
func (n *Node) Unwritten(now time.Time, name, reason string, out *Output) {
	g := n.groupNamed(name)
	if g == nil || g.role != RoleActive {
		return
	}
	g.remembered = 0
	g.disk, g.diskUntil = "the epoch cannot be written down: "+reason, now.Add(diskRest)
	g.handover = handover{}
	served := g.was == RoleActive
	n.change(now, g, RoleFailed, g.disk, out)
	g.muting = served // with another epoch, or not at all
	n.finish(now, out, nil)
}
