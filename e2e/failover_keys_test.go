//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/warrenvpn/warren/internal/lab"
)

// TestFailoverKeyRotation gives a running pair another failover key, on one node after
// the other, as docs/failover.md says: the client notices nothing, no role changes,
// and replication goes on. A step that would make strangers of the nodes is refused.
func TestFailoverKeyRotation(t *testing.T) {
	p := startPair(t, lab.PairConfig{})
	group := p.site.Group
	active, standby := p.Active(group)
	was := epoch(t, active)
	var original [2]string
	nodes := []*lab.PairNode{active, standby}
	for i, n := range nodes {
		text, err := os.ReadFile(filepath.Join(n.Dir, "system.hcl"))
		if err != nil {
			t.Fatal(err)
		}
		original[i] = string(text)
		n.Write("next.key", "hex:"+strings.Repeat("2cd1", 16)+"\n")
	}
	const now = `key  = { file = "failover.key" }`
	apply := func(i int, keys string) error {
		nodes[i].Write("system.hcl", strings.Replace(original[i], now, keys, 1))
		_, stderr, err := nodes[i].CLI("apply")
		if err != nil {
			return fmt.Errorf("%w: %s", err, stderr)
		}
		return nil
	}
	const next, both = `key = { file = "next.key" }`, `key = { file = "next.key" }
  previous_key = { file = "failover.key" }`
	if err := apply(0, next); err == nil || !strings.Contains(err.Error(), "previous_key") {
		t.Errorf("the key was changed at once: %v", err)
	}
	keys := map[string]bool{}
	r := p.notice(t, "another failover key", func() {
		for _, step := range []struct {
			node int
			keys string
		}{{1, both}, {0, both}, {1, next}, {0, next}} {
			if err := apply(step.node, step.keys); err != nil {
				t.Fatal(err)
			}
			if step.node == 0 { // the worker of the standby node has to find its twin again
				before := standby.Context(p.site.Context)
				if err := syscall.Kill(before.PID, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
				anotherWorker(p.lab, standby.Warrend, p.site.Context, before)
			}
			p.Whole()
			var used []string
			for _, n := range nodes {
				s, err := n.Failover()
				if err != nil {
					t.Fatal(err)
				}
				used = append(used, s.Keys.Used)
				keys[s.Keys.Used] = true
			}
			if used[0] != used[1] || used[0] == "" {
				t.Errorf("node %d, %s: keys in use: %q", step.node, step.keys, used)
			}
		}
	})
	if lost := max(r.Pings[0].Lost(), r.Pings[1].Lost()); lost > 0 {
		t.Logf("%d pings lost", lost)
	}
	if len(keys) != 2 {
		t.Errorf("keys that were in use: %v, want two", keys)
	}
	if now, _ := p.Active(group); now != active || epoch(t, active) != was {
		t.Errorf("node %s is active with epoch %d, want %s with %d", now.Port, epoch(t, now), active.Port, was)
	}
	p.noticeSwitch(t, "a switch with the new key", func() { p.Switch(group) })
}
