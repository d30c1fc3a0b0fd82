package system

import (
	"context"
	"os"
	"sync"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/netns"
	"github.com/warrenvpn/warren/context/spawn"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/internal/guard"
	"github.com/warrenvpn/warren/internal/secret"
	"github.com/warrenvpn/warren/system/plan"
)

const (
	// workerLimit is how long a context may be without a worker before its
	// group goes to the peer: replacing one takes a tenth of a second.
	workerLimit = 5 * time.Second
	// lossesFailed is how many losses of its worker in a row a context may have.
	lossesFailed = 3
	// workerStable is how long a worker that was given up must run again to be
	// trusted.
	workerStable = 10 * time.Second
)

// network is what the pair needs of the network of a context: a netns.Gateway.
type network interface {
	SetRole(netns.Role) error
	Announce()
	Carriers() map[string]bool
	WatchLinks(ctx context.Context, changed func())
	Link(iface string) (device, mac string, mtu int)
	Do(fn func() error) error
}

// servant is what it needs of its worker: a spawn.Worker.
type servant interface {
	SetRole(context.Context, control.Role) error
	Quiesce(context.Context, control.Quiesce) error
	Link(context.Context, *os.File, secret.Value) error
	Kill() error
	Status() spawn.Status
	Replication(context.Context) (*control.Replication, error)
}

// member is a context of the pair that is built. It belongs to the goroutine
// of pair.run, except for what play uses.
type member struct {
	name, group string
	gateway     network
	worker      servant
	interfaces  map[string]string // of the context, by that of the system
	leave       context.CancelFunc
	joined      time.Time

	carriers    map[string]bool // by interface of the context
	replication control.Replication
	told        time.Time // when it was told
	down, up    time.Time // since when the worker is not, or is, ready
	silences    int       // of its worker, that were told
	broken      string    // why it was given up; "": it was not
	dial        dialling

	// One change of the role at a time: whoever has the token plays.
	turn   chan struct{}
	cancel context.CancelFunc // of the change that is under way
	role   control.Role       // what the worker was told last; belongs to the player
}

// Paired implements tenants.Pair.
func (p *pair) Paired(w *plan.Wanted) bool { return p != nil && w.FailoverGroup != "" }

// Twin implements tenants.Pair.
func (p *pair) Twin(w *plan.Wanted) *spawn.Failover {
	if !p.Paired(w) {
		return nil
	}
	name := w.Name
	return &spawn.Failover{
		Unit:        string(p.cfg.Unit),
		Role:        control.Role{Epoch: p.epochs.of(w.FailoverGroup)},
		Replication: func(r *control.Replication) { p.replicates(name, r) },
		Quiesced:    func() { p.quiesced(name) },
	}
}

// Join implements tenants.Pair.
func (p *pair) Join(w *plan.Wanted, gateway *netns.Gateway, worker *spawn.Worker) {
	p.join(w, gateway, worker)
}

// join makes a context that has been built play the role of its group.
func (p *pair) join(w *plan.Wanted, gateway network, worker servant) {
	if !p.Paired(w) {
		return
	}
	ctx, cancel := context.WithCancel(context.Background()) // it ends with part alone
	m := &member{
		name: w.Name, group: w.FailoverGroup, gateway: gateway, worker: worker, leave: cancel, joined: time.Now(),
		interfaces: make(map[string]string), carriers: gateway.Carriers(), turn: make(chan struct{}, 1),
		role: control.Role{Epoch: p.epochs.of(w.FailoverGroup)},
	}
	for _, a := range w.Allocations {
		m.interfaces[a.Interface] = a.Name
	}
	var playing sync.WaitGroup
	joined := p.do(func(now time.Time, out *failover.Output) {
		p.members[m.name] = m
		p.index(m.group)
		if _, lost := p.missing[m.name]; lost {
			m.broken = "it has just been built"
		}
		p.async("the carriers of a context", func() { p.watchMember(ctx, m) })
		p.play(ctx, m, &playing)
		p.openData()
		p.healthOfInterfaces(now, out)
	})
	if !joined {
		cancel()
	}
	playing.Wait() // the worker has not been started: it begins with the role
}

// Part implements tenants.Pair.
func (p *pair) Part(name string) {
	if p == nil {
		return
	}
	p.do(func(now time.Time, out *failover.Output) { p.forget(name) })
}

func (p *pair) forget(name string) {
	m := p.members[name]
	if m == nil {
		return
	}
	m.leave()
	delete(p.members, name)
	p.index(m.group)
	p.closeData(m)
}

func (p *pair) leaveAll() {
	for name := range p.members {
		p.forget(name)
	}
}

// index lists the contexts of a group that are built, in order.
func (p *pair) index(group string) {
	var list []*member
	for _, name := range p.contexts[group] {
		if m := p.members[name]; m != nil && m.group == group {
			list = append(list, m)
		}
	}
	if p.byGroup[group] = list; len(list) == 0 {
		delete(p.byGroup, group)
	}
}

// play makes a context play the present role of its group, and wg wait for it.
// A change that is still under way is overtaken.
func (p *pair) play(ctx context.Context, m *member, wg *sync.WaitGroup) {
	role := p.role(m.group)
	epoch := p.floor[m.group]
	if p.node != nil {
		_, now := p.node.Role(m.group)
		epoch = max(epoch, now)
	}
	if m.cancel != nil {
		m.cancel()
	}
	ctx, cancel := context.WithCancel(ctx)
	m.cancel = cancel
	wg.Add(1)
	p.owned.Go(func() {
		defer wg.Done()
		defer cancel()
		m.turn <- struct{}{}
		defer func() { <-m.turn }()
		err := guard.Run(p.log, "a change of the role of a context", func() error {
			if role == failover.RoleActive {
				p.activate(ctx, m, control.Role{Active: true, Epoch: epoch})
			} else {
				p.stepBack(ctx, m, control.Role{Epoch: epoch}, networkRole(role))
			}
			return nil
		})
		if err != nil { // nobody knows how far it came
			p.kill(m)
		}
	})
}

// activate is the takeover of one context: its addresses first, so that what
// the worker sends leaves with the right MAC. A worker that hangs is found and
// replaced by who runs it, and its successor begins with the role.
func (p *pair) activate(ctx context.Context, m *member, role control.Role) {
	if ctx.Err() != nil {
		return
	}
	if err := m.gateway.SetRole(netns.Active); err != nil {
		p.log.Error("addresses not taken over", "tenant", m.name, "reason", err)
	}
	m.role = role
	if err := m.worker.SetRole(ctx, role); err != nil && ctx.Err() == nil {
		p.log.Error("worker did not take over and is replaced", "tenant", m.name, "reason", err)
		p.kill(m)
	}
}

// stepBack makes one context silent: the worker first. One that does not obey
// in time is killed, and loses its addresses meanwhile; its successor begins as the
// standby.
func (p *pair) stepBack(ctx context.Context, m *member, role control.Role, network netns.Role) {
	var killing sync.WaitGroup
	defer killing.Wait()
	if m.role != role {
		m.role = role
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.muteTime())
		defer cancel()
		if err := m.worker.SetRole(ctx, role); err != nil {
			p.log.Warn("worker did not fall silent and is replaced", "tenant", m.name, "reason", err)
			killing.Go(func() { p.kill(m) })
		}
	}
	if err := m.gateway.SetRole(network); err != nil {
		p.log.Error("addresses not given back", "tenant", m.name, "reason", err)
	}
}

// kill ends the worker of a context; another one takes its place.
func (p *pair) kill(m *member) {
	if err := m.worker.Kill(); err != nil {
		p.log.Error("worker cannot be killed", "tenant", m.name, "reason", err)
	}
}

// networkRole says whose addresses a context has that is not active.
func networkRole(r failover.Role) netns.Role {
	if r.Standby() || r == failover.RoleFailed {
		return netns.Standby
	}
	return netns.Waiting
}

// replicates takes what a worker says of its copy; nil: there is no worker.
func (p *pair) replicates(name string, r *control.Replication) {
	p.post(func(now time.Time, out *failover.Output) {
		m := p.members[name]
		if m == nil {
			return
		}
		if r == nil {
			r = &control.Replication{State: failover.ReplicationNone.String(), Reason: "the worker has ended", Holds: m.replication.Holds}
		}
		m.replication, m.told = *r, now
		m.dial.answered(now, r)
		p.progress(now, m, out)
		p.assess(now, m, out)
	})
}

// progress tells the role machine how far the copy of a context is. What a
// worker said of itself when it served is none of its business.
func (p *pair) progress(now time.Time, m *member, out *failover.Output) {
	r := m.replication
	if p.node == nil || m.told.IsZero() || r.Active || p.role(m.group) == failover.RoleActive {
		return
	}
	p.node.Replication(now, m.name, stageOf(r.State), out)
	p.node.Copy(now, m.name, r.Holds, out)
}

func stageOf(state string) failover.Replication {
	for _, r := range []failover.Replication{failover.ReplicationBulk, failover.ReplicationReady} {
		if r.String() == state {
			return r
		}
	}
	return failover.ReplicationNone
}

// inspect looks at what tells nothing by itself.
func (p *pair) inspect(now time.Time, out *failover.Output) {
	p.openData()
	for _, m := range p.members {
		p.assess(now, m, out)
	}
	p.assessMissing(now, workerLimit, out)
	gone := p.gaps(now)
	p.mu.Lock()
	p.gone = gone
	p.mu.Unlock()
}

// assessMissing gives up contexts that could not be built for longer than
// limit.
func (p *pair) assessMissing(now time.Time, limit time.Duration, out *failover.Output) {
	for _, c := range p.conf.Contexts {
		if m := p.members[c.Name]; m != nil || c.Suspended {
			if c.Suspended || m.broken == "" {
				delete(p.missing, c.Name)
			}
			continue
		}
		since, noted := p.missing[c.Name]
		if !noted {
			p.missing[c.Name], since = now, now
		}
		if p.node != nil && now.Sub(since) >= limit {
			p.node.WorkerFailed(now, c.Name, "it cannot be built", out)
		}
	}
}

// assess decides whether the worker of a context can be relied on.
func (p *pair) assess(now time.Time, m *member, out *failover.Output) {
	s := m.worker.Status()
	if s.Ready {
		m.down = time.Time{}
		if m.up.IsZero() {
			m.up = now
		}
	} else {
		m.up = time.Time{}
		if m.down.IsZero() {
			m.down = now
		}
	}
	if p.node == nil {
		return
	}
	switch {
	case s.Silences > m.silences:
		// Its successor comes at once, but what has stopped it may stop it again.
		m.silences, m.broken, m.up = s.Silences, "its worker did not answer", time.Time{}
		p.node.WorkerFailed(now, m.name, m.broken, out)
	case m.broken == "" && (s.Losses > lossesFailed || !m.down.IsZero() && now.Sub(m.down) >= workerLimit):
		m.broken = "its worker does not come back: " + s.Reason
		p.node.WorkerFailed(now, m.name, m.broken, out)
	case m.broken != "" && !m.up.IsZero() && now.Sub(m.up) >= workerStable:
		m.broken = ""
		p.node.WorkerRecovered(now, m.name, out)
	}
}

// watchMember follows the carriers of a context until it leaves.
func (p *pair) watchMember(ctx context.Context, m *member) {
	m.gateway.WatchLinks(ctx, func() {
		carriers := m.gateway.Carriers()
		p.post(func(now time.Time, out *failover.Output) {
			for name, up := range carriers {
				m.carriers[name] = up
			}
			p.healthOfInterfaces(now, out)
		})
	})
}

// healthOfInterfaces tells the role machine which monitored interfaces are fit
// for use. One that no context has at the moment stays as it was.
func (p *pair) healthOfInterfaces(now time.Time, out *failover.Output) {
	if p.node == nil {
		return
	}
	health := make(map[string]bool)
	for _, m := range p.members {
		for system, own := range m.interfaces {
			up, known := m.carriers[own]
			if known {
				health[system] = health[system] || up
			}
		}
	}
	for name, up := range health {
		p.node.Interface(now, name, up, out)
	}
}

// Role implements tenants.Pair.
func (p *pair) Role(w *plan.Wanted) string {
	if !p.Paired(w) {
		return "active"
	}
	role := p.role(w.FailoverGroup)
	if role.Standby() {
		return "standby"
	}
	return role.String()
}
