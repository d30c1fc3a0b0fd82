package failovertest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/internal/secret"
)

// GroupsResult is what a run with many groups did.
type GroupsResult struct {
	Kills, Cuts, Crashes, Takeovers, Heartbeats int
	Largest                                     int // heartbeat, in bytes
}

// many is a world of two role machines with very many groups, each of one context.
// Contexts are in step some time after they have become standby. One of them
// crashes wherever it runs.
type many struct {
	rand    *rand.Rand
	now     time.Time
	flights []flight
	nodes   [2]*manyNode
	linkUp  [numLinks]bool
	used    map[string]map[uint64]bool // epochs, by group
	groups  []string
	result  GroupsResult
	failure error
}

type manyNode struct {
	index   int
	machine *failover.Node // nil: dead
	back    time.Time      // when it boots again
	disk    map[string]uint64
	roles   map[string]failover.Role
	ready   map[string]time.Time // when a copy will be in step
}

// flight is a heartbeat, or the end of what workers have begun, on its way.
type flight struct {
	at time.Time
	to int
	do func(m *failover.Node, out *failover.Output)
}

// crasher is the context that cannot run.
const crasher = "context-0007"

// RunGroups plays one seed with count groups, and says what was violated: a
// heartbeat that is too large, an epoch that is used twice, a group that is
// active on both nodes, or not on one, after a quiet time.
func RunGroups(seed uint64, count int) (GroupsResult, error) {
	w := &many{
		rand: rand.New(rand.NewPCG(seed, 0x67726f757073)), now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC),
		linkUp: [numLinks]bool{true, true}, used: map[string]map[uint64]bool{},
	}
	for i := range count {
		w.groups = append(w.groups, fmt.Sprintf("context-%04d", i))
	}
	for i := range w.nodes {
		w.nodes[i] = &manyNode{index: i, disk: map[string]uint64{},
			back: w.now.Add(time.Duration(w.rand.IntN(300)) * time.Millisecond)}
	}
	const chaos, quiet = 4 * time.Second, 3 * time.Second
	start := w.now
	for w.failure == nil && w.now.Sub(start) < chaos+quiet {
		w.step(w.now.Sub(start) < chaos)
		w.now = w.now.Add(time.Millisecond)
	}
	w.checkEnd()
	return w.result, w.failure
}

func (w *many) fail(format string, args ...any) {
	if w.failure == nil {
		w.failure = fmt.Errorf(format, args...)
	}
}

// step is one millisecond.
func (w *many) step(chaos bool) {
	if chaos && w.rand.IntN(250) == 0 {
		w.disturb()
	}
	if !chaos {
		w.linkUp = [numLinks]bool{true, true}
	}
	var due []flight
	for len(w.flights) > 0 && !w.flights[0].at.After(w.now) {
		due = append(due, w.flights[0])
		w.flights = w.flights[1:]
	}
	for _, f := range due {
		w.tell(w.nodes[f.to], f.do)
	}
	for _, n := range w.nodes {
		if n.machine == nil && (!chaos || !w.now.Before(n.back)) {
			w.boot(n)
		}
		if n.machine != nil && !w.now.Before(n.machine.Deadline()) {
			w.tell(n, func(m *failover.Node, out *failover.Output) { m.Expire(w.now, out) })
		}
		for _, group := range w.groups {
			if at, ok := n.ready[group]; ok && !w.now.Before(at) {
				delete(n.ready, group)
				w.tell(n, func(m *failover.Node, out *failover.Output) {
					m.Replication(w.now, group, failover.ReplicationReady, out)
				})
			}
		}
	}
}

// disturb does one bad thing.
func (w *many) disturb() {
	n := w.nodes[w.rand.IntN(2)]
	switch w.rand.IntN(4) {
	case 0:
		if n.machine != nil {
			w.result.Kills++
			n.machine, n.ready = nil, nil
			n.back = w.now.Add(time.Duration(w.rand.IntN(1000)) * time.Millisecond)
		}
	case 1:
		w.result.Cuts++
		w.linkUp[w.rand.IntN(numLinks)] = false
	case 2:
		w.linkUp = [numLinks]bool{true, true}
	case 3:
		w.result.Crashes++
		w.tell(n, func(m *failover.Node, out *failover.Output) { m.WorkerFailed(w.now, crasher, "it crashes", out) })
	}
}

func (w *many) boot(n *manyNode) {
	n.roles, n.ready = map[string]failover.Role{}, map[string]time.Time{}
	cfg := failover.Config{
		Unit: failover.UnitPrimary, Keys: []secret.Value{secret.Copy([]byte("a failover key for the lab"))},
		Version: "test",
		Poll:    poll, Hold: hold, Wait: 400 * time.Millisecond, Links: []string{"one", "two"}, Rand: numbers{w.rand},
	}
	if n.index == 1 {
		cfg.Unit = failover.UnitSecondary
	}
	for _, group := range w.groups {
		cfg.Groups = append(cfg.Groups, failover.GroupConfig{Name: group, Tenants: []string{group},
			Epoch: n.disk[group]})
	}
	var out failover.Output
	m, err := failover.New(w.now, cfg, &out)
	if err != nil {
		w.fail("New: %v", err)
		return
	}
	n.machine = m
	w.carryOut(n, &out)
}

func (w *many) tell(n *manyNode, call func(*failover.Node, *failover.Output)) {
	if n.machine == nil {
		return
	}
	var out failover.Output
	call(n.machine, &out)
	w.carryOut(n, &out)
}

func (w *many) carryOut(n *manyNode, out *failover.Output) {
	for _, r := range out.Remember {
		n.disk[r.Group] = max(n.disk[r.Group], r.Epoch)
		n.machine.Remembered(r.Group, r.Epoch)
	}
	for _, c := range out.Changes {
		w.change(n, c)
	}
	for _, c := range out.Changes {
		if c.From == failover.RoleActive && c.To != failover.RoleActive {
			w.tell(n, func(m *failover.Node, out *failover.Output) { m.Muted(w.now, c.Group, out) })
		}
	}
	later := w.now.Add(time.Duration(1+w.rand.IntN(3)) * time.Millisecond)
	for _, q := range out.Quiesce {
		if !q.Cancel {
			w.flights = append(w.flights, flight{later, n.index, func(m *failover.Node, out *failover.Output) {
				m.Quiesced(w.now, q.Group, out)
			}})
		}
	}
	for _, d := range out.Send {
		w.result.Heartbeats++
		w.result.Largest = max(w.result.Largest, len(d.Payload))
		if len(d.Payload) > failover.MaxHeartbeat {
			w.fail("a heartbeat of %d bytes", len(d.Payload))
		}
		if d.Path.Link >= 0 && w.linkUp[d.Path.Link] && w.rand.IntN(20) > 0 {
			w.flights = append(w.flights,
				flight{w.now.Add(time.Millisecond), 1 - n.index, func(m *failover.Node, out *failover.Output) {
					_ = m.Receive(w.now, d.Path, d.Payload, out)
				}})
		}
	}
}

// change notes a role; a standby's copy will be in step soon.
func (w *many) change(n *manyNode, c failover.RoleChange) {
	n.roles[c.Group] = c.To
	delete(n.ready, c.Group)
	if c.To == failover.RoleActive {
		w.result.Takeovers++
		if w.used[c.Group] == nil {
			w.used[c.Group] = map[uint64]bool{}
		}
		if w.used[c.Group][c.Epoch] {
			w.fail("%s: epoch %d is used twice", c.Group, c.Epoch)
		}
		w.used[c.Group][c.Epoch] = true
	} else if c.To.Standby() && c.To != failover.RoleStandbyReady {
		n.ready[c.Group] = w.now.Add(time.Duration(10+w.rand.IntN(50)) * time.Millisecond)
	}
}

func (w *many) checkEnd() {
	if w.failure != nil {
		return
	}
	for _, group := range w.groups {
		a, b := w.nodes[0].roles[group], w.nodes[1].roles[group]
		standby := b
		if b == failover.RoleActive {
			standby = a
		}
		if (a == failover.RoleActive) == (b == failover.RoleActive) || group != crasher &&
			standby != failover.RoleStandbyReady {
			w.fail("%s ends as %v and %v", group, a, b)
		}
	}
}

// numbers is a source of randomness for role machines.
type numbers struct{ rand *rand.Rand }

// Read implements io.Reader.
func (n numbers) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(n.rand.Uint32())
	}
	return len(b), nil
}
