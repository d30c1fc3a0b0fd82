package pair

import (
	"context"
	"sync"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/internal/guard"
)

// play makes a context play the present role of its group, and wg wait for it.
// A takeover that is still under way is overtaken. Changes are made in the order
// of the roles: a worker that was told an older role last would not serve for a
// group that is active, or serve for one that is not.
func (t *takeover) play(ctx context.Context, m *member, wg *sync.WaitGroup) {
	role, epoch, alone := t.roles.of(m.group), t.epochs.of(m.group), t.alone
	if m.cancel != nil {
		m.cancel()
	}
	ctx, cancel := context.WithCancel(ctx)
	m.cancel = cancel
	before, done := m.played, make(chan struct{})
	m.played = done
	wg.Add(1)
	t.owned.Go(func() {
		defer wg.Done()
		defer cancel()
		defer close(done)
		<-before
		err := guard.Run(t.log, "a change of the role of a context", func() error {
			if role == failover.RoleActive {
				t.activate(ctx, m, control.Activation{Active: true, Epoch: epoch, Alone: alone})
			} else {
				t.stepBack(ctx, m, role, epoch)
			}
			return nil
		})
		if err != nil { // nobody knows how far it came
			t.kill(m)
		}
	})
}

// activate is the takeover of one context: its addresses, and its worker at the same time, so
// that packets which come for the addresses find it open as soon as may be. What the worker
// sends of itself it sends after its answer. A worker that hangs is found and replaced by who
// runs it, and its successor begins with the role.
func (t *takeover) activate(ctx context.Context, m *member, a control.Activation) {
	if ctx.Err() != nil {
		return
	}
	var addresses sync.WaitGroup
	defer addresses.Wait()
	if (m.activation != control.Activation{Active: true, Epoch: a.Epoch, Alone: !a.Alone}) { // else they are there
		addresses.Go(func() {
			err := guard.Run(t.log, "a change of addresses",
				func() error { return m.gateway.SetRole(failover.RoleActive) })
			if err != nil {
				t.log.Error("addresses not taken over", "tenant", m.name, "reason", err)
			}
		})
	}
	m.activation = a
	if err := m.worker.SetRole(ctx, a); err != nil && ctx.Err() == nil {
		t.log.Error("worker did not take over and is replaced", "tenant", m.name, "reason", err)
		t.kill(m)
	}
}

// stepBack makes one context silent: the worker first. One that does not obey
// in time is killed, and loses its addresses meanwhile; its successor begins as the
// standby.
func (t *takeover) stepBack(ctx context.Context, m *member, role failover.Role, epoch uint64) {
	var killing sync.WaitGroup
	defer killing.Wait()
	if a := (control.Activation{Epoch: epoch}); m.activation != a {
		m.activation = a
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.muteTime())
		defer cancel()
		if err := m.worker.SetRole(ctx, a); err != nil {
			t.log.Warn("worker did not fall silent and is replaced", "tenant", m.name, "reason", err)
			killing.Go(func() { t.kill(m) })
		}
	}
	if err := m.gateway.SetRole(role); err != nil {
		t.log.Error("addresses not given back", "tenant", m.name, "reason", err)
	}
}

// kill ends the worker of a context; another one takes its place.
func (t *takeover) kill(m *member) {
	if err := m.worker.Kill(); err != nil {
		t.log.Error("worker cannot be killed", "tenant", m.name, "reason", err)
	}
}
