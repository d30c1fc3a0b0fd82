package pair

import (
	"slices"
	"sync"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/failover"
)

// toleranceAfter is for how long a change counts that this unit knows to be over: what the
// other one runs is said by its next heartbeat.
const toleranceAfter = 2 * time.Second

// Place says where changes of the configuration belong at the moment.
type Place struct {
	Peer      failover.Unit // the other unit
	Alive     bool          // it is heard
	Elsewhere bool          // all that is active is active there
	Wins      bool          // where the units differ, this one's configuration is the one to keep
}

// Place says where changes of the configuration belong at the moment. What wins is the
// configuration of the unit that is active for the first of the groups that both have; where
// none is active yet, that of the primary.
func (p *Pair) Place() (out Place) {
	out.Peer = failover.UnitSecondary
	if p.cfg.Unit == failover.UnitSecondary {
		out.Peer = failover.UnitPrimary
	}
	p.do(func(now time.Time, _ *failover.Output) {
		if p.node == nil || !p.node.PeerAlive() {
			return
		}
		out.Alive = true
		out.weigh(p.node.Status(now).Groups, p.cfg.Unit == failover.UnitPrimary)
	})
	return out
}

// weigh looks at the roles of the groups.
func (out *Place) weigh(groups []failover.GroupStatus, primary bool) {
	active := failover.RoleActive.String()
	groups = slices.SortedFunc(slices.Values(groups), func(a, b failover.GroupStatus) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	here, there, decided := false, false, false
	for _, g := range groups {
		here, there = here || g.Role == active, there || g.PeerRole == active
		if !decided && g.Configuration != "not compared" && (g.Role == active || g.PeerRole == active) {
			decided, out.Wins = true, g.Role == active
		}
	}
	if !decided {
		out.Wins = primary && !there
	}
	out.Elsewhere = there && !here
}

// tolerances are the configurations of which the other unit may run any, as both change from
// one to the other. Its methods may be called from several goroutines at once, but not from that
// of the role machine.
type tolerances struct {
	*machine

	mu    sync.Mutex // protects what follows
	next  int
	confs map[int][]*configs.System
}

// Tolerate lets the other unit count as one with the same configuration while it runs one of
// these, until release is called and it has been heard for a moment more.
func (p *Pair) Tolerate(confs ...*configs.System) (release func()) {
	t := p.tolerances
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next++
	id := t.next
	t.confs[id] = confs
	t.tellLocked()
	var once sync.Once
	return func() {
		once.Do(func() {
			time.AfterFunc(toleranceAfter, func() {
				t.mu.Lock()
				defer t.mu.Unlock()
				delete(t.confs, id)
				t.tellLocked()
			})
		})
	}
}

// tellLocked hands the present ones to the role machine, and does not wait for it: what that
// is asked later it does later. The lock keeps them in order.
func (t *tolerances) tellLocked() {
	var list []*configs.System
	for _, confs := range t.confs {
		list = append(list, confs...)
	}
	hashes := make(map[string][][failover.MaxKeys][16]byte)
	for _, conf := range list {
		for _, g := range conf.Failover.Groups {
			hashes[g.Name] = append(hashes[g.Name], hashesOf(conf, g.Name))
		}
	}
	t.post(func(now time.Time, out *failover.Output) {
		if t.node != nil {
			t.node.Tolerate(now, hashes, out)
		}
	})
}

// hashesOf returns the hashes of a group, one for each key.
func hashesOf(conf *configs.System, group string) (list [failover.MaxKeys][16]byte) {
	for i, key := range conf.Failover.Keys() {
		list[i] = configs.GroupHash(conf, group, key)
	}
	return list
}
