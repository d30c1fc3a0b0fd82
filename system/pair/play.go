package pair

import (
	"context"
	"sync"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/internal/guard"
)

// play makes a context play the present role of its group, and wg wait for it.
// A takeover that is still under way is overtaken. Changes are made in the order
// of the roles: a worker that was told an older role last would not serve for a
// group that is active, or serve for one that is not.
func (p *Pair) play(ctx context.Context, m *member, wg *sync.WaitGroup) {
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
	before, done := m.played, make(chan struct{})
	m.played = done
	wg.Add(1)
	p.owned.Go(func() {
		defer wg.Done()
		defer cancel()
		defer close(done)
		<-before
		err := guard.Run(p.log, "a change of the role of a context", func() error {
			if role == failover.RoleActive {
				p.activate(ctx, m, epoch)
			} else {
				p.stepBack(ctx, m, role, epoch)
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
func (p *Pair) activate(ctx context.Context, m *member, epoch uint64) {
	if ctx.Err() != nil {
		return
	}
	if err := m.gateway.SetRole(failover.RoleActive); err != nil {
		p.log.Error("addresses not taken over", "tenant", m.name, "reason", err)
	}
	m.activation = control.Activation{Active: true, Epoch: epoch}
	if err := m.worker.SetRole(ctx, m.activation); err != nil && ctx.Err() == nil {
		p.log.Error("worker did not take over and is replaced", "tenant", m.name, "reason", err)
		p.kill(m)
	}
}

// stepBack makes one context silent: the worker first. One that does not obey
// in time is killed, and loses its addresses meanwhile; its successor begins as the
// standby.
func (p *Pair) stepBack(ctx context.Context, m *member, role failover.Role, epoch uint64) {
	var killing sync.WaitGroup
	defer killing.Wait()
	if a := (control.Activation{Epoch: epoch}); m.activation != a {
		m.activation = a
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.muteTime())
		defer cancel()
		if err := m.worker.SetRole(ctx, a); err != nil {
			p.log.Warn("worker did not fall silent and is replaced", "tenant", m.name, "reason", err)
			killing.Go(func() { p.kill(m) })
		}
	}
	if err := m.gateway.SetRole(role); err != nil {
		p.log.Error("addresses not given back", "tenant", m.name, "reason", err)
	}
}

// kill ends the worker of a context; another one takes its place.
func (p *Pair) kill(m *member) {
	if err := m.worker.Kill(); err != nil {
		p.log.Error("worker cannot be killed", "tenant", m.name, "reason", err)
	}
}

// replicates takes what a worker says of its copy; nil: there is no worker.
func (p *Pair) replicates(name string, r *control.Replication) {
	p.post(func(now time.Time, out *failover.Output) {
		m := p.members[name]
		if m == nil {
			return
		}
		if r == nil {
			r = &control.Replication{State: failover.ReplicationNone, Reason: "the worker has ended",
				Holds: m.replication.Holds}
		}
		m.replication, m.told = *r, now
		m.dial.answered(now, r)
		p.progress(now, m, out)
		p.assess(now, m, out)
	})
}

// progress tells the role machine how far the copy of a context is. What a
// worker said of itself when it served is none of its business.
func (p *Pair) progress(now time.Time, m *member, out *failover.Output) {
	r := m.replication
	if p.node == nil || m.told.IsZero() || r.Active || p.role(m.group) == failover.RoleActive {
		return
	}
	p.node.Replication(now, m.name, r.State, out)
	p.node.Copy(now, m.name, r.Holds, out)
}
