package pair

import (
	"context"
	"sync"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/netns"
	"github.com/warrenvpn/warren/context/spawn"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/system/plan"
)

// Paired implements tenants.Pair.
func (p *Pair) Paired(w *plan.Wanted) bool { return p != nil && w.FailoverGroup != "" }

// Twin implements tenants.Pair.
func (p *Pair) Twin(w *plan.Wanted) *spawn.Failover {
	if !p.Paired(w) {
		return nil
	}
	name := w.Name
	return &spawn.Failover{
		Unit:        p.cfg.Unit,
		Hold:        p.cfg.Hold,
		Activation:  control.Activation{Epoch: p.epochs.store.of(w.FailoverGroup)},
		Replication: func(r *control.Replication) { p.replicates(name, r) },
		Quiesced:    func() { p.takeover.quiescing.done(name) },
	}
}

// Join implements tenants.Pair.
func (p *Pair) Join(w *plan.Wanted, gateway *netns.Gateway, worker *spawn.Worker) {
	p.join(w, gateway, worker)
}

// join makes a context that has been built play the role of its group.
func (p *Pair) join(w *plan.Wanted, gateway network, worker servant) {
	if !p.Paired(w) {
		return
	}
	ctx, cancel := context.WithCancel(context.Background()) // it ends with part alone
	m := &member{
		name: w.Name, group: w.FailoverGroup, gateway: gateway, worker: worker, leave: cancel, joined: time.Now(),
		interfaces: make(map[string]string), carriers: gateway.Carriers(), played: make(chan struct{}),
		activation: control.Activation{Epoch: p.epochs.store.of(w.FailoverGroup)},
	}
	if m.adopted = worker.Adopted(); m.adopted {
		m.activation = unknownActivation
	}
	close(m.played)
	for _, a := range w.Allocations {
		m.interfaces[a.Interface] = a.Name
	}
	var playing sync.WaitGroup
	joined := p.do(func(now time.Time, out *failover.Output) {
		p.members.add(m)
		if p.health.missing[m.name].told {
			m.broken = "it has just been built"
		}
		p.async("the carriers of a context", func() { p.health.watch(ctx, m) })
		if p.node != nil || !m.adopted { // else it plays on until begin
			p.takeover.play(ctx, m, &playing)
		}
		p.data.openAll()
		p.health.interfaces(now, out)
	})
	if !joined {
		cancel()
	}
	playing.Wait() // the worker has not been started: it begins with the role
}

// Part implements tenants.Pair.
func (p *Pair) Part(name string) {
	if p == nil {
		return
	}
	p.do(func(now time.Time, out *failover.Output) { p.forget(name) })
}

func (p *Pair) forget(name string) {
	if m := p.members.remove(name); m != nil {
		p.data.leave(m)
	}
}

func (p *Pair) leaveAll() {
	for name := range p.members.byName {
		p.forget(name)
	}
}
