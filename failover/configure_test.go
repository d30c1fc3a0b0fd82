package failover

import (
	"testing"
	"time"
)

// TestChangeOnBothNodes changes the configuration of both nodes, one after the other: the
// standby is ready throughout. What is not tolerated any more makes the nodes different.
func TestChangeOnBothNodes(t *testing.T) {
	l := newLab(t)
	older, newer := [MaxKeys][16]byte{{1}}, [MaxKeys][16]byte{{2}}
	for i := range l.cfg {
		l.cfg[i].Groups[0].Hashes = older
	}
	l.pair()
	changes := [2]int{len(l.seen[0].Changes), len(l.seen[1].Changes)}
	tolerate := func(i int, hashes ...[MaxKeys][16]byte) {
		l.do(i, func(n *Node, out *Output) {
			n.Tolerate(l.now, map[string][][MaxKeys][16]byte{"g": hashes}, out)
		})
	}
	configure := func(i int, hashes [MaxKeys][16]byte) {
		l.do(i, func(n *Node, out *Output) {
			cfg := l.cfg[i].Groups[0]
			cfg.Hashes = hashes
			if err := n.Configure(l.now, []GroupConfig{cfg}, out); err != nil {
				t.Fatal(err)
			}
		})
		l.run(4 * DefaultHold)
		l.want("active", "standby-ready")
	}
	tolerate(0, older, newer)
	tolerate(1, older, newer)
	configure(1, newer)
	configure(0, newer)
	tolerate(0)
	tolerate(1)
	l.run(4 * DefaultHold)
	l.want("active", "standby-ready")
	for i := range l.seen {
		if got := len(l.seen[i].Changes); got != changes[i] {
			t.Errorf("node %d: %d roles have changed", i, got-changes[i])
		}
		for _, e := range l.seen[i].Events {
			if e.Kind == EventConfigurationDiffers {
				t.Errorf("node %d says that they differ", i)
			}
		}
	}
	tolerate(1, older, newer)
	configure(1, older)
	tolerate(1)
	l.run(200 * time.Millisecond)
	l.want("active", "standby-cold")
}
