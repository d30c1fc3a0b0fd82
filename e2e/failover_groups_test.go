//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// TestFailoverPreempt kills the preferred node; when it is back and has copied
// everything it takes the role again, and the client notices neither.
func TestFailoverPreempt(t *testing.T) {
	p := startPair(t, lab.PairConfig{Contexts: []lab.PairContext{{Name: "acme", Group: "preempt = true"}}})
	first, second := p.Active(p.site.Group)
	if first != p.Nodes[lab.Primary] {
		t.Fatalf("node %s is active, want the primary", first.Port)
	}
	p.notice(t, "preferred node killed", func() { p.Kill(first) })
	p.notice(t, "preferred node back", func() {
		p.StartNode(first)
		p.WaitRole(first, p.site.Group, "active")
		p.Whole()
	})
	s, err := first.Failover()
	if err != nil {
		t.Fatal(err)
	}
	last := s.History[len(s.History)-1]
	if last.To != "active" || last.Reason != "the peer hands over" {
		t.Errorf("last role change: got %+v, want a hand-over", last)
	}
	if got := second.Role(p.site.Group); got != "standby-ready" {
		t.Errorf("the other node is %s, want standby-ready", got)
	}
}

// TestFailoverGroups has a context active on each node; one node dies, and
// later comes back, by preemption, to what it prefers.
func TestFailoverGroups(t *testing.T) {
	p := startPair(t,
		lab.PairConfig{Contexts: []lab.PairContext{{Name: "acme"}, {Name: "bolt", Group: `prefer = "secondary"`}}})
	a, b := p.Nodes[lab.Primary], p.Nodes[lab.Secondary]
	for i, want := range []*lab.PairNode{a, b} {
		if got, _ := p.Active(p.Sites[i].Group); got != want {
			t.Fatalf("context %s is active on %s, want %s", p.Sites[i].Context, got.Port, want.Port)
		}
	}
	bolt := p.Sites[1]
	ns := bolt.Client()
	s, address := pairClient(t, bolt, ns, "bert")
	untouched := bolt.StartTraffic(ns, address, s)
	p.notice(t, "node of context acme killed", func() { p.Kill(a) })
	r := untouched.Stop()
	t.Logf("context bolt, active on the other node: %v", r)
	if err := r.Err(silence); err != nil {
		t.Errorf("context bolt: %v", err)
	}
	p.revive(a)

	moved := bolt.StartTraffic(ns, address, s)
	p.Kill(b)
	moved.Go(50)
	r = moved.Stop()
	t.Logf("node of both contexts killed, context bolt: %v", r)
	if err := r.Err(silence); err != nil {
		t.Errorf("context bolt: %v", err)
	}
	p.client.MustPing(lab.Ping{From: p.address, To: lab.PairInsideHost, Interval: 10 * time.Millisecond})
}

// TestFailoverRefused gives the pair a second node that does not fit. Both
// nodes say why, and the first one goes on serving; the second one does not, where
// it is known to be the peer.
func TestFailoverRefused(t *testing.T) {
	change := func(file, old, with string) func(unit, name, text string) string {
		return func(unit, name, text string) string {
			if unit != "secondary" || name != file {
				return text
			}
			if !strings.Contains(text, old) {
				t.Fatalf("%s has no %q", name, old)
			}
			return strings.ReplaceAll(text, old, with)
		}
	}
	tests := []struct {
		name string
		edit func(unit, name, text string) string
		want string // in what both nodes say
		// stranger: what the nodes hear of each other is not signed with their key.
		// Nobody waits for a stranger, so that both serve.
		stranger bool
	}{
		{name: "another key", edit: change("failover.key", "1ab0", "1ab1"), want: "key", stranger: true},
		{name: "the same unit", edit: change("system.hcl", `"secondary"`, `"primary"`), want: "unit"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := lab.New(t)
			p := l.Pair(lab.PairConfig{Edit: tt.edit})
			a, b := p.Nodes[lab.Primary], p.Nodes[lab.Secondary]
			p.StartNode(a)
			p.WaitRole(a, "1", "active")
			p.StartNode(b)
			for _, n := range p.Nodes {
				l.Eventually("node "+n.Port+" to say why", 10*time.Second, func() error { return says(n, tt.want) })
			}
			if tt.stranger {
				p.WaitRole(b, "1", "active")
				return
			}
			site := p.Sites[0]
			ns := site.Client()
			_, address := pairClient(t, site, ns, "alice")
			ns.MustPing(lab.Ping{From: address, To: lab.PairInsideHost, Interval: 10 * time.Millisecond})
			if got := a.Role("1"); got != "active" {
				t.Errorf("the first node is %s, want active", got)
			}
			if got := b.Role("1"); got == "active" || got == "standby-ready" {
				t.Errorf("the second node is %s", got)
			}
		})
	}
}

// says reports what a node says of its peer, when that does not have the word.
func says(n *lab.PairNode, word string) error {
	out, _, err := n.CLI("show", "failover", "--detail")
	if err != nil {
		return err
	}
	if !strings.Contains(out, word) {
		return &unsaid{out}
	}
	return nil
}

type unsaid struct{ out string }

func (u *unsaid) Error() string { return "it says\n" + u.out }
