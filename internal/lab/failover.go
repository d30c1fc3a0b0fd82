package lab

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/client"
)

// ask calls f with a client of the daemon's API; it costs the machine less than
// the CLI, where time is measured. The daemon may take Patience to answer, or to hand over
// to its peer.
func (w *Warrend) ask(f func(ctx context.Context, c *client.Client) error) error {
	c := client.New(&client.Config{Socket: w.socket})
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	return f(ctx, c)
}

// FailoverState is what `warren show failover` tells.
type FailoverState struct{ api.Pair }

// Group is one failover group.
func (s FailoverState) Group(name string) api.PairGroup {
	for _, g := range s.Groups {
		if g.Name == name {
			return g
		}
	}
	return api.PairGroup{Name: name, Role: "unknown"}
}

// Failover asks the daemon for the state of its pair.
func (w *Warrend) Failover() (state FailoverState, err error) {
	err = w.ask(func(ctx context.Context, c *client.Client) error {
		answer, err := c.Failover(ctx)
		if err == nil && len(answer.Failover) != 1 {
			err = errors.New("lab: warrend has no failover")
		}
		if err == nil {
			state.Pair = answer.Failover[0]
		}
		return err
	})
	return state, err
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
	p.lab.Eventually(fmt.Sprintf("group %s on node %s to be %s", group, n.Port, role), Patience, func() error {
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
	p.lab.Eventually("the pair to be whole", Patience, func() error {
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
			return fmt.Errorf("group %s: active on %s, its peer is %s, replication %s", group, n.Port, g.PeerRole,
				g.Replication)
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
	p.lab.Eventually("one node to be active for group "+group, Patience, func() error {
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
	err := old.ask(func(ctx context.Context, c *client.Client) error {
		_, err := c.Switch(ctx, group)
		return err
	})
	if err != nil {
		p.lab.tb.Fatalf("lab: switching group %s from node %s: %v", group, old.Port, err)
	}
	p.WaitRole(next, group, "active")
	return next
}
