package failover

import (
	"slices"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/secret"
)

// TestKeyRotation gives a running pair another key, on one node after the other: no
// role changes, no heartbeat is missed, the nodes use the new key as soon as both have
// it, and a node that restarts on the way finds its peer.
func TestKeyRotation(t *testing.T) {
	older, newer := secret.Copy([]byte("sixteen characters")), secret.Copy([]byte("seventeen characters"))
	hash := func(i byte) [16]byte { return [16]byte{i} }
	for restart := range 6 {
		l := newLab(t)
		for i := range l.cfg {
			l.cfg[i].Groups[0].Hashes = [MaxKeys][16]byte{hash(1)}
		}
		l.pair()
		changes := [2]int{len(l.seen[0].Changes), len(l.seen[1].Changes)}
		for step, s := range []struct {
			node   int
			keys   []secret.Value
			hashes [MaxKeys][16]byte
			used   secret.Value
		}{
			{1, []secret.Value{newer, older}, [MaxKeys][16]byte{hash(2), hash(1)}, older},
			{0, []secret.Value{newer, older}, [MaxKeys][16]byte{hash(2), hash(1)}, newer},
			{1, []secret.Value{newer}, [MaxKeys][16]byte{hash(2)}, newer},
			{0, []secret.Value{newer}, [MaxKeys][16]byte{hash(2)}, newer},
		} {
			l.cfg[s.node].Keys = s.keys
			l.cfg[s.node].Groups[0].Hashes = s.hashes
			l.do(s.node, func(n *Node, out *Output) {
				if err := n.SetKeys(l.now, s.keys, out); err != nil {
					t.Fatal(err)
				}
				if err := n.Configure(l.now, l.cfg[s.node].Groups, out); err != nil {
					t.Fatal(err)
				}
			})
			l.run(2 * DefaultHold)
			if step+1 == restart {
				l.boot(1)
				l.run(500 * time.Millisecond)
				l.ready(1)
				changes = [2]int{len(l.seen[0].Changes), len(l.seen[1].Changes)}
			}
			l.want("active", "standby-ready")
			for i, n := range l.nodes {
				if _, id := n.Key(); id != KeyIDOf(s.used) {
					t.Errorf("step %d: node %d uses key %v, want %v", step, i, id, KeyIDOf(s.used))
				}
				if st, _ := n.Group(l.now, "g"); st.Configuration != "same" {
					t.Errorf("step %d: node %d: configuration %s", step, i, st.Configuration)
				}
				if !slices.Contains(n.PeerKeys(), KeyIDOf(s.used)) {
					t.Errorf("step %d: node %d: its peer takes %v", step, i, n.PeerKeys())
				}
			}
		}
		for i, before := range changes {
			if got := l.seen[i].Changes[before:]; len(got) > 0 {
				t.Errorf("restart %d: node %d changed its role: %+v", restart, i, got)
			}
			if slices.ContainsFunc(l.seen[i].Events, func(e Event) bool {
				return e.Kind == EventPeerDown && restart == 0 || e.Kind == EventConfigurationDiffers
			}) {
				t.Errorf("restart %d: node %d: %+v", restart, i, l.seen[i].Events)
			}
		}
	}
}

// TestKeysThatNobodyHas: nodes without a key in common are strangers.
func TestKeysThatNobodyHas(t *testing.T) {
	l := newLab(t)
	l.cfg[1].Keys = []secret.Value{secret.Copy([]byte("another key")), secret.Copy([]byte("and one more"))}
	l.boot(0)
	l.boot(1)
	l.run(2 * time.Second)
	l.want("active", "active")
	if s := l.nodes[0].Status(l.now); s.Peer.State != "refused" {
		t.Errorf("the peer is %q", s.Peer.State)
	}
	if err := l.nodes[0].SetKeys(l.now, nil, &Output{}); err == nil {
		t.Error("a node without a key")
	}
	if ids := l.nodes[0].PeerKeys(); len(ids) > 0 {
		t.Errorf("a peer that was never heard takes %v", ids)
	}
}
