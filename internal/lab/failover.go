package lab

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// roleTimeout is how long a pair may take to be whole again: a node starts,
// finds its peer and copies everything.
const roleTimeout = 30 * time.Second

// FailoverState is the part of `warren show failover --json` that tests want.
type FailoverState struct {
	Unit string `json:"unit"`
	Peer struct {
		State   string `json:"state"`
		Reason  string `json:"reason"`
		Version string `json:"version"`
	} `json:"peer"`
	Links []struct {
		Name   string `json:"name"`
		State  string `json:"state"`
		Reason string `json:"reason"`
	} `json:"links"`
	Groups  []GroupState `json:"groups"`
	History []struct {
		Group  string `json:"group"`
		From   string `json:"from"`
		To     string `json:"to"`
		Epoch  uint64 `json:"epoch"`
		Reason string `json:"reason"`
	} `json:"history"`
}

// GroupState is one failover group as one node sees it.
type GroupState struct {
	Name          string `json:"name"`
	Role          string `json:"role"`
	PeerRole      string `json:"peer_role"`
	Epoch         uint64 `json:"epoch"`
	Reason        string `json:"reason"`
	Replication   string `json:"replication"`
	Configuration string `json:"configuration"`
}

// Failover is what the daemon says of the pair.
func (w *Warrend) Failover() (FailoverState, error) {
	var answer struct {
		Failover []FailoverState `json:"failover"`
	}
	if err := w.show(&answer, "failover"); err != nil {
		return FailoverState{}, err
	}
	if len(answer.Failover) != 1 {
		return FailoverState{}, errors.New("lab: warrend has no failover")
	}
	return answer.Failover[0], nil
}

// Group is one failover group.
func (s FailoverState) Group(name string) GroupState {
	for _, g := range s.Groups {
		if g.Name == name {
			return g
		}
	}
	return GroupState{Name: name, Role: "unknown"}
}

// Role is the role of a group on this node; "unknown" while nobody answers.
func (w *Warrend) Role(group string) string {
	s, err := w.Failover()
	if err != nil {
		return "unknown"
	}
	return s.Group(group).Role
}

// WaitRole waits until the node has the role for a group.
func (p *Pair) WaitRole(n *PairNode, group, role string) {
	p.lab.tb.Helper()
	p.lab.Eventually(fmt.Sprintf("group %s on node %s to be %s", group, n.Port, role), roleTimeout, func() error {
		s, err := n.Failover()
		if err != nil {
			return err
		}
		if g := s.Group(group); g.Role != role {
			return fmt.Errorf("it is %s: %s", g.Role, g.Reason)
		}
		return nil
	})
}

// Whole waits until, for every group, one node is active and the other one is
// ready to take over.
func (p *Pair) Whole() {
	p.lab.tb.Helper()
	p.lab.Eventually("the pair to be whole", roleTimeout, func() error {
		for _, n := range p.Nodes {
			if !n.Running() {
				p.lab.tb.Fatalf("lab: warrend on node %s has ended: %s", n.Port, tail(n.Log(), 10))
			}
		}
		for _, s := range p.Sites {
			if err := p.whole(s.Group); err != nil {
				return err
			}
		}
		return nil
	})
}

func (p *Pair) whole(group string) error {
	var roles []string
	for _, n := range p.Nodes {
		s, err := n.Failover()
		if err != nil {
			return err
		}
		g := s.Group(group)
		roles = append(roles, g.Role)
		if g.Role == "active" && (g.PeerRole != "standby-ready" || g.Replication != "ready") {
			return fmt.Errorf("group %s: active on %s, its peer is %s, replication %s", group, n.Port, g.PeerRole, g.Replication)
		}
	}
	if both := strings.Join(roles, " "); both != "active standby-ready" && both != "standby-ready active" {
		return fmt.Errorf("group %s: roles are %s", group, both)
	}
	return nil
}

// Active is the node that is active for a group, and the other one.
func (p *Pair) Active(group string) (active, other *PairNode) {
	p.lab.tb.Helper()
	a, b := p.Nodes[Primary], p.Nodes[Secondary]
	var found []*PairNode
	p.lab.Eventually("one node to be active for group "+group, roleTimeout, func() error {
		found = nil
		for _, n := range p.Nodes {
			if !n.dead && n.Role(group) == "active" {
				found = append(found, n)
			}
		}
		if len(found) != 1 {
			return fmt.Errorf("%d nodes are active", len(found))
		}
		return nil
	})
	if found[0] == a {
		return a, b
	}
	return b, a
}

// Switch makes the peer of the active node active, as the operator would, and
// waits for it.
func (p *Pair) Switch(group string) (active *PairNode) {
	p.lab.tb.Helper()
	old, next := p.Active(group)
	old.MustCLI("failover", "switch", "--group", group)
	p.WaitRole(next, group, "active")
	return next
}
