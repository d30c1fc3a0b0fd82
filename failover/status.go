package failover

import "time"

// Status is what a Node knows of itself, its peer, its links and its groups.
// Package system/pair adds what they are called on this machine.
type Status struct {
	Unit       string            `json:"unit"`
	Peer       PeerStatus        `json:"peer"`
	Links      []LinkStatus      `json:"links"`
	Interfaces []InterfaceStatus `json:"interfaces"`
	Groups     []GroupStatus     `json:"groups"`
	History    []ChangeStatus    `json:"history"` // oldest first
}

// PeerStatus is the other node.
type PeerStatus struct {
	State     string    `json:"state"` // "never heard", "alive", "alive, links failed", "silent", "refused"
	Reason    string    `json:"reason,omitempty"`
	Version   string    `json:"version,omitempty"`
	LastHeard time.Time `json:"last_heard,omitzero"`
	// Skew is by how many seconds the peer's clock is ahead of ours.
	Skew float64 `json:"clock_skew"`
}

// LinkStatus is one failover link.
type LinkStatus struct {
	Name      string    `json:"name"`
	State     string    `json:"state"` // "up", "silent", "no carrier", "refused"
	Reason    string    `json:"reason,omitempty"`
	LastHeard time.Time `json:"last_heard,omitzero"`
}

// InterfaceStatus is one monitored interface on both nodes.
type InterfaceStatus struct {
	Name  string `json:"name"`
	State string `json:"state"` // "up", "settling", "down"
	Peer  string `json:"peer"`  // "up", "down", "unknown"
}

// GroupStatus is one failover group on both nodes.
type GroupStatus struct {
	Name        string    `json:"name"`
	Role        string    `json:"role"`
	PeerRole    string    `json:"peer_role"`
	Epoch       uint64    `json:"epoch"`
	Since       time.Time `json:"since"`
	Reason      string    `json:"reason"`
	Replication string    `json:"replication"` // of this unit's copy, or while active of the peer's
	// Configuration is "same", "different", "partly different" or "not compared".
	Configuration string   `json:"configuration"`
	Differ        []string `json:"differ,omitempty"` // contexts, where it is partly different
	Prefer        string   `json:"prefer"`
	Preempt       bool     `json:"preempt"`
	Broken        int      `json:"broken"`      // contexts that cannot run here
	PeerBroken    int      `json:"peer_broken"` // there, as far as it is known
}

// ChangeStatus is one of the last role changes.
type ChangeStatus struct {
	At     time.Time `json:"at"`
	Group  string    `json:"group"`
	Groups int       `json:"groups"` // that it befell at once; Group is the first of them
	From   string    `json:"from"`
	To     string    `json:"to"`
	Epoch  uint64    `json:"epoch"`
	Reason string    `json:"reason"`
}

// Role returns the present role and epoch of a group.
func (n *Node) Role(group string) (Role, uint64) {
	if g := n.groupNamed(group); g != nil {
		return g.role, g.epoch
	}
	return RoleInit, 0
}

// PeerAlive reports whether the peer is heard on any path.
func (n *Node) PeerAlive() bool { return n.peer.alive }

// Status returns everything worth showing.
func (n *Node) Status(now time.Time) Status {
	s := Status{Unit: n.cfg.Unit.String(), Peer: n.peerStatus(now)}
	s.Links = n.Links(now)
	for _, i := range n.interfaces {
		s.Interfaces = append(s.Interfaces, n.interfaceStatus(i))
	}
	for _, g := range n.groups {
		s.Groups = append(s.Groups, n.groupStatus(now, g))
	}
	for _, c := range n.history {
		s.History = append(s.History, ChangeStatus{c.At, c.Group, c.groups, c.From.String(), c.To.String(),
			c.Epoch, c.Reason})
	}
	return s
}

// Links returns the state of the failover links, in the order of the
// configuration.
func (n *Node) Links(now time.Time) []LinkStatus {
	var list []LinkStatus
	for i := range n.links {
		list = append(list, n.links[i].status(now, n.cfg.Hold))
	}
	return list
}

// Group returns the state of one group; false: there is none of that name.
func (n *Node) Group(now time.Time, name string) (GroupStatus, bool) {
	g := n.groupNamed(name)
	if g == nil {
		return GroupStatus{}, false
	}
	return n.groupStatus(now, g), true
}

func (n *Node) peerStatus(now time.Time) PeerStatus {
	s := PeerStatus{State: "never heard", Version: n.peer.program, LastHeard: n.peer.heard,
		Skew: n.peer.clock.skew.Seconds()}
	refused := n.refusedPeer(now)
	switch {
	case n.peer.alive && n.peer.dataOnly:
		s.State = "alive, links failed"
	case n.peer.alive:
		s.State = "alive"
	case refused != nil:
		s.State, s.Reason = "refused", refused.hinted
	case n.refusedBy(now) != "":
		s.State, s.Reason = "refused", n.refusedBy(now)
	case n.peer.instance != 0:
		s.State = "silent"
	}
	return s
}

// refusedBy returns why somebody on a link is refused at the moment; "": nobody.
func (n *Node) refusedBy(now time.Time) string {
	for i := range n.links {
		if p := &n.links[i]; p.refused != "" && now.Sub(p.since) < 2*n.cfg.Hold {
			return p.refused
		}
	}
	return ""
}

func (p *pathState) status(now time.Time, hold time.Duration) LinkStatus {
	s := LinkStatus{Name: p.name, State: "silent", LastHeard: p.heard}
	switch {
	case !p.up:
		s.State = "no carrier"
	case p.hearing:
		s.State = "up"
	case p.refused != "" && now.Sub(p.since) < 2*hold:
		s.State, s.Reason = "refused", p.refused
	}
	return s
}

func (n *Node) interfaceStatus(i *interfaceState) InterfaceStatus {
	s := InterfaceStatus{Name: i.name, State: "down", Peer: "unknown"}
	switch {
	case i.up:
		s.State = "up"
	case !i.rises.IsZero():
		s.State = "settling"
	}
	if up, ok := n.peer.interfaces[i.name]; ok && n.peer.alive {
		s.Peer = "down"
		if up {
			s.Peer = "up"
		}
	}
	return s
}

func (n *Node) groupStatus(now time.Time, g *group) GroupStatus {
	c := g.census(now)
	s := GroupStatus{
		Name: g.cfg.Name, Role: g.role.String(), PeerRole: "unknown", Epoch: g.epoch,
		Since: g.since, Reason: g.reason, Replication: c.state.String(), Broken: c.broken,
		Configuration: "not compared", Prefer: g.cfg.Prefer.String(), Preempt: g.cfg.Preempt,
	}
	if theirs, word := n.theirs(now, g); word == wordKnown {
		s.PeerBroken = int(theirs.Broken)
		s.PeerRole = theirs.Role.String()
		if g.role == RoleActive {
			s.Replication = theirs.Replication.String()
		}
	} else if g.role == RoleActive {
		s.Replication = ReplicationNone.String()
	}
	switch g.compared {
	case comparedNever:
	case comparedSame:
		s.Configuration = "same"
	case comparedDifferent:
		s.Configuration = "different"
	case comparedPartly:
		s.Configuration = "partly different"
		for _, t := range g.tenants {
			if t.differs {
				s.Differ = append(s.Differ, t.name)
			}
		}
	}
	return s
}
