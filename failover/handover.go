package failover

import "time"

// A hand-over keeps what the active has begun from being lost, and packets:
//
//	active: Quiesce -> workers finish, records acknowledged -> Quiesced
//	     -> heartbeats with Handover every fifth of a poll
//	standby: takes over with its next epoch, heartbeats at once
//	old active: hears that the peer is active, falls silent, follows it
//
// For some milliseconds both let packets through. They share no number: the peer begins
// beyond what the old active may use (journal.Reservation). What is not a packet the old one
// leaves alone from Quiesced on: no exchange is taken up, and nothing is answered.
//
// Where a worker does not finish in time, or cannot be asked, it falls silent first, so that
// it is not in the middle of an exchange while its twin serves:
//
//	active: Quiesce -> the time is over, or Unquiet
//	     -> standby-cold, the workers fall silent or are killed -> Muted
//	     -> heartbeats with Handover every fifth of a poll, and so on
//
// If the peer does not take over within the hold time, the old active goes on.
type handover struct {
	state      handoverState
	reason     string
	byOperator bool
	deadline   time.Time
}

type handoverState uint8

const (
	handoverNone      handoverState = iota
	handoverQuiescing               // active: the workers finish
	handoverOffering                // active, but for exchanges: the peer shall take over
	handoverGiving                  // standby: the peer shall take over
)

// offered reports whether the peer is asked to take over, by a node that does not serve, or
// serves only until it does.
func (h *handover) offered() bool { return h.state == handoverOffering || h.state == handoverGiving }

// Switch is the operator's wish that the other unit become active for the
// group. It may be asked on either node. On the active one why is the reason that
// is told: "the operator switched".
func (n *Node) Switch(now time.Time, name, why string, out *Output) error {
	g := n.groupNamed(name)
	if g == nil {
		return ErrNoGroup
	}
	theirs, word := n.theirs(now, g)
	switch {
	case word != wordKnown:
		return ErrNoPeer
	case g.handover.state != handoverNone:
		return ErrInHandover
	case g.compared == comparedDifferent || g.compared == comparedPartly:
		return ErrConfigDiffs
	case g.role == RoleActive && theirs.Role == RoleFailed:
		return ErrPeerFailed
	case g.role == RoleActive && theirs.Role != RoleStandbyReady,
		g.role.Standby() && g.role != RoleStandbyReady:
		return ErrNotReady
	case g.role == RoleActive:
		n.beginHandover(now, g, why, out)
		g.handover.byOperator = true
	case g.role == RoleStandbyReady:
		g.want, g.wantUntil = WantOperator, now.Add(n.cfg.Hold+wantLimit)
		n.dirty = true
	default:
		return ErrNotServing
	}
	n.finish(now, out, g)
	return nil
}

// Quiesced says that all workers of the group have finished as Quiesce asked.
func (n *Node) Quiesced(now time.Time, name string, out *Output) {
	if g := n.groupNamed(name); g != nil && g.handover.state == handoverQuiescing {
		if g.census(now).broken > 0 {
			n.give(now, g, out)
		} else {
			n.offer(now, g)
		}
	}
	n.finish(now, out, n.groupNamed(name))
}

// Unquiet says that those workers have finished that can be asked, and others cannot.
func (n *Node) Unquiet(now time.Time, name string, out *Output) {
	if g := n.groupNamed(name); g != nil && g.handover.state == handoverQuiescing {
		n.give(now, g, out)
	}
	n.finish(now, out, n.groupNamed(name))
}

// considerHandover looks for a reason to hand over to the standby.
func (n *Node) considerHandover(now time.Time, g *group, theirs GroupState, out *Output) {
	if g.handover.state != handoverNone {
		switch {
		case !theirs.Role.Standby():
			n.cancelHandover(now, g, "the peer is "+theirs.Role.String(), out)
		case now.Before(g.handover.deadline) || now.Before(n.judges):
		case g.handover.state == handoverQuiescing:
			n.give(now, g, out)
		default:
			n.cancelHandover(now, g, "the peer did not take over", out)
		}
		return
	}
	if now.Sub(g.since) < n.cfg.Hold {
		return // the standby may not know yet that it is one
	}
	// To a standby without the state only when nothing goes on here anyhow.
	willing := theirs.Role == RoleStandbyReady || theirs.Role.Standby() && !n.fit(g)
	switch {
	case n.impaired(g) && willing && theirs.Fit && int(theirs.Failed) < n.failedInterfaces(g):
		n.beginHandover(now, g, n.unfitReason(g), out)
	case n.heals(now, g, theirs):
		g.healed = now
		n.beginHandover(now, g, n.unfitReason(g), out)
	case theirs.Role != RoleStandbyReady:
	case theirs.Want == WantOperator:
		n.beginHandover(now, g, "the operator switched on the peer", out)
		g.handover.byOperator = true
	case theirs.Want == WantPreempt && !n.impairedPeer(theirs) && int(theirs.Broken) <= g.census(now).broken:
		n.beginHandover(now, g, "the preferred unit preempts", out)
	}
}

func (n *Node) impairedPeer(theirs GroupState) bool { return theirs.Impaired || !theirs.Fit }

// preempt makes a standby ask for the role: the operator wants it, also where
// the copy is out of step for a moment, or it is preferred and has been ready
// for long enough.
func (n *Node) preempt(now time.Time, g *group, theirs GroupState) {
	if g.want == WantOperator && now.Before(g.wantUntil) {
		return
	}
	want := WantNothing
	if g.cfg.Preempt && !g.stays && g.role == RoleStandbyReady && g.cfg.Prefer == n.cfg.Unit &&
		theirs.Role == RoleActive && now.Sub(g.ready) >= g.cfg.PreemptDelay {
		want = WantPreempt
	}
	if g.want != want {
		g.want = want
		n.dirty = true
	}
}

func (n *Node) beginHandover(now time.Time, g *group, reason string, out *Output) {
	g.handover = handover{state: handoverQuiescing, reason: reason, deadline: now.Add(quiesceLimit)}
	out.Quiesce = append(out.Quiesce, Quiesce{Group: g.cfg.Name})
	out.event(Event{At: now, Kind: EventHandover, Group: g.cfg.Name, Epoch: g.epoch, Text: "begins: " + reason})
}

// offer tells the peer to take over, and has this node serve until it does.
func (n *Node) offer(now time.Time, g *group) {
	g.handover.state, g.handover.deadline = handoverOffering, now.Add(n.cfg.Hold)
	n.dirty = true
}

// taken makes way for the peer, which has taken over what it was offered.
func (n *Node) taken(now time.Time, g *group, epoch uint64, out *Output) {
	h := g.handover
	g.handover, g.stays = handover{}, h.byOperator
	g.epoch, g.seen = epoch, max(g.seen, epoch)
	n.change(now, g, RoleStandbyCold, h.reason, out)
}

// give mutes this node and tells the peer to take over.
func (n *Node) give(now time.Time, g *group, out *Output) {
	g.handover.state, g.handover.deadline = handoverGiving, time.Time{} // it begins with Muted
	g.stays = g.handover.byOperator
	n.change(now, g, RoleStandbyCold, g.handover.reason, out)
}

// await is what the old active does until the peer has taken over.
func (n *Node) await(now time.Time, g *group, out *Output) {
	if theirs, word := n.theirs(now, g); word == wordKnown && theirs.Role == RoleActive {
		g.epoch = theirs.Epoch
		g.handover = handover{}
		n.dirty = true
		return
	}
	if !g.muting && !now.Before(g.handover.deadline) || !n.peer.alive {
		n.activate(now, g, "the peer did not take over", out)
	}
}

func (n *Node) cancelHandover(now time.Time, g *group, why string, out *Output) {
	if g.handover.state == handoverNone {
		return
	}
	g.handover = handover{}
	out.Quiesce = append(out.Quiesce, Quiesce{Group: g.cfg.Name, Cancel: true})
	out.event(Event{At: now, Kind: EventHandover, Group: g.cfg.Name, Epoch: g.epoch, Text: "ends: " + why})
}
