package pair

import (
	"context"
	"os"
	"sync"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/netns"
	"github.com/warrenvpn/warren/context/spawn"
	"github.com/warrenvpn/warren/failover"
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
	SetRole(failover.Role) error
	Announce()
	Carriers() map[string]bool
	WatchLinks(ctx context.Context, changed func())
	Link(iface string) (device, mac string, mtu int)
	Do(fn func() error) error
}

// servant is what it needs of its worker: a spawn.Worker.
type servant interface {
	SetRole(context.Context, control.Activation) error
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
	silences    int       // of its worker, that were told, or were before begin
	broken      string    // why it was given up; "": it was not
	dial        dialling

	// One change of the role at a time, in the order of the roles.
	played     chan struct{}      // closed when the last change that was asked for is made
	cancel     context.CancelFunc // of that change
	activation control.Activation // what the worker was told last; belongs to the change that is being made
}

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
		Activation:  control.Activation{Epoch: p.epochs.of(w.FailoverGroup)},
		Replication: func(r *control.Replication) { p.replicates(name, r) },
		Quiesced:    func() { p.quiesced(name) },
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
		activation: control.Activation{Epoch: p.epochs.of(w.FailoverGroup)},
	}
	close(m.played)
	for _, a := range w.Allocations {
		m.interfaces[a.Interface] = a.Name
	}
	var playing sync.WaitGroup
	joined := p.do(func(now time.Time, out *failover.Output) {
		p.members[m.name] = m
		p.index(m.group)
		if p.missing[m.name].told {
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
func (p *Pair) Part(name string) {
	if p == nil {
		return
	}
	p.do(func(now time.Time, out *failover.Output) { p.forget(name) })
}

func (p *Pair) forget(name string) {
	m := p.members[name]
	if m == nil {
		return
	}
	m.leave()
	delete(p.members, name)
	p.index(m.group)
	p.closeData(m)
}

func (p *Pair) leaveAll() {
	for name := range p.members {
		p.forget(name)
	}
}

// index lists the contexts of a group that are built, in order.
func (p *Pair) index(group string) {
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

// Role implements tenants.Pair.
func (p *Pair) Role(w *plan.Wanted) string {
	if !p.Paired(w) {
		return "active"
	}
	role := p.role(w.FailoverGroup)
	if role.Standby() {
		return "standby"
	}
	return role.String()
}
