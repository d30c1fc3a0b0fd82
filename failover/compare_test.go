package failover

import (
	"slices"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/record"
)

// TestContextsAreComparedOneByOne: of a group with several contexts only those that differ
// are not ready. Where all differ, or the peer tells nothing of single ones, none is.
func TestContextsAreComparedOneByOne(t *testing.T) {
	l := newLab(t)
	hash := func(i byte) [MaxKeys][16]byte { return [MaxKeys][16]byte{{i}} }
	set := func(i int, tenants []string, group byte, hashes ...byte) GroupConfig {
		cfg := l.cfg[i].Groups[0]
		cfg.Tenants, cfg.Hashes, cfg.TenantHashes = tenants, hash(group), nil
		for _, h := range hashes {
			cfg.TenantHashes = append(cfg.TenantHashes, hash(h))
		}
		return cfg
	}
	both := []string{"acme", "bolt"}
	for i := range l.cfg {
		l.cfg[i].Groups[0] = set(i, both, 1, 2, 3)
	}
	l.boot(0)
	l.boot(1)
	l.run(100 * time.Millisecond)
	ready := func(names ...string) {
		for _, name := range names {
			l.do(1, func(n *Node, out *Output) { n.Replication(l.now, name, ReplicationReady, out) })
		}
		l.run(100 * time.Millisecond)
	}
	ready("acme", "bolt")
	l.want("active", "standby-ready")
	for _, tt := range []struct {
		name  string
		cfg   GroupConfig
		role  string
		shown string
		which []string
	}{
		{"one differs", set(1, both, 9, 2, 8), "standby-ready", "partly different", []string{"bolt"}},
		{"both differ", set(1, both, 9, 7, 8), "standby-cold", "different", nil},
		{"the same again", set(1, both, 1, 2, 3), "standby-ready", "same", nil},
		{"nothing is told of single ones", set(1, both, 9), "standby-cold", "different", nil},
		{"the same once more", set(1, both, 1, 2, 3), "standby-ready", "same", nil},
		{"one is missing", set(1, []string{"acme"}, 9), "standby-cold", "different", nil},
	} {
		l.do(1, func(n *Node, out *Output) {
			if err := n.Configure(l.now, []GroupConfig{tt.cfg}, out); err != nil {
				t.Fatal(err)
			}
		})
		l.run(4 * DefaultHold)
		l.want("active", tt.role)
		for i, n := range l.nodes {
			st, _ := n.Group(l.now, "g")
			if i == 0 && tt.name == "one is missing" {
				continue // this node knows of the other one, and says so
			}
			if st.Configuration != tt.shown || !slices.Equal(st.Differ, tt.which) {
				t.Errorf("%s: node %d shows %q, %v", tt.name, i, st.Configuration, st.Differ)
			}
		}
	}
}

// TestReadyCountsWhoIsTheSame: the copy of a context that differs is not waited for, and the
// takeover of the others waits for none.
func TestReadyCountsWhoIsTheSame(t *testing.T) {
	g := newGroup(time.Time{}, GroupConfig{Name: "g", Tenants: []string{"acme", "bolt"}})
	g.tenants[0].replication, g.tenants[0].held = ReplicationReady, true
	g.tenants[1].differs = true
	c := g.census(time.Time{})
	if c.state != ReplicationReady || !c.holds || c.ready != 1 {
		t.Errorf("got %+v", c)
	}
}

// TestTenantEntry: an entry of a context is the same after its way over the wire.
func TestTenantEntry(t *testing.T) {
	want := Entry{Kind: EntryTenant, Name: "acme", Tenant: TenantState{Hash: [16]byte{1}, Hash2: [16]byte{2}}}
	b := want.encoded()
	var got Entry
	if err := record.Parse(b, got.fields); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
}
