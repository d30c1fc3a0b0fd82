package tenants

import (
	"context"
	"errors"
	"strings"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/netns"
	"github.com/warrenvpn/warren/context/spawn"
	"github.com/warrenvpn/warren/resource"
	"github.com/warrenvpn/warren/resource/cgroup"
	"github.com/warrenvpn/warren/system/plan"
)

// build makes everything that the worker needs, of what is wanted once it is its
// turn, and is changed as that changes meanwhile. On error nothing of it is left.
func (t *tenant) build(ctx context.Context) error {
	if !t.env.Kept.Has(t.name) {
		if err := t.env.Kept.awaitEnded(ctx); err != nil {
			return err
		}
	}
	select {
	case t.env.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-t.env.slots }()
	t.setState(StateStarting, "being built")
	w := t.view().want
	built, err := t.adopt(ctx, w)
	if built == nil && err == nil {
		built, err = t.buildParts(w)
	}
	if err != nil {
		return err
	}
	for !t.publish(built, w) {
		next := t.view().want
		if err := built.configure(ctx, w, next); err != nil {
			return errors.Join(err, built.takeApart())
		}
		w = next
	}
	t.env.Pair.Join(w, built.gateway, built.worker)
	return nil
}

// buildParts makes the parts of a context. On error nothing of them is left.
func (t *tenant) buildParts(w *plan.Wanted) (*parts, error) {
	for _, d := range w.Devices {
		if err := t.env.Host.Check(d, nil); err != nil {
			return nil, err
		}
	}
	group, err := t.makeGroup(w)
	if err != nil {
		return nil, err
	}
	gateway, err := netns.Build(t.networkConfig(w))
	if err != nil {
		return nil, errors.Join(err, deleteGroup(group))
	}
	worker, err := spawn.New(t.workerConfig(w, gateway, group))
	if err != nil {
		return nil, errors.Join(err, gateway.Remove(), deleteGroup(group))
	}
	return &parts{worker, gateway, group}, nil
}

// makeGroup makes the control group of a context, or takes over the one there.
func (t *tenant) makeGroup(w *plan.Wanted) (*cgroup.Group, error) {
	group, err := t.env.Groups.Create(w.Name, cgroup.Limits(w.Limits))
	if err != nil {
		return nil, err
	}
	if _, missing := t.env.Groups.Unheld(cgroup.Limits(w.Limits)); missing != nil {
		t.log.Warn("limit of the class not held: the kernel has no such control groups", "class", w.Class,
			"resource", strings.Join(missing, ", "))
	}
	return group, nil
}

func (t *tenant) networkConfig(w *plan.Wanted) *netns.Config {
	return &netns.Config{
		Host: t.env.Host, Namespace: w.Namespace, Record: t.env.recordOf(w.Name),
		Devices: w.Devices, Tenant: w.Spec, Paired: t.env.Pair.Paired(w), Attempt: t.tendLinks,
		Looked: t.lookedAt, First: !t.env.begun.Load(),
	}
}

func (t *tenant) workerConfig(w *plan.Wanted, gateway *netns.Gateway, group *cgroup.Group) *spawn.Config {
	cfg := &spawn.Config{
		Tenant: w.Spec, Binary: t.env.Worker, UID: t.uid, Network: gateway, Group: confinement{group, t},
		MemoryLimit: w.Limits.Memory, Stderr: t.env.Stderr,
		Claim:     func(c control.Claim) (control.Grant, error) { return t.env.rests.claim(t.name, c) },
		LogFormat: t.env.LogFormat, LogLevel: t.env.LogLevel, Log: t.log, Changed: t.workerChanged,
		Event:    t.env.Events.Worker(t.name),
		Failover: t.env.Pair.Twin(w), RequireSandbox: w.RequireSandbox,
	}
	if t.env.Store != nil {
		cfg.Keeper, cfg.KeepAs, cfg.Note = t.env.Store, keptAs(w.Name), t.env.note(w)
	}
	return cfg
}

// publish makes known what was built for w: whoever changes the context from then on
// changes the parts. It reports false, and does nothing, when w is not wanted any more.
func (t *tenant) publish(p *parts, w *plan.Wanted) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.want != w {
		return false
	}
	t.worker, t.gateway, t.group, t.cpu = p.worker, p.gateway, p.group, resource.RateMeter{}
	t.faults, t.unconfined, t.half = nil, "", false
	return true
}

// takeApart undoes build, in reverse order.
func (t *tenant) takeApart() error {
	t.env.slots <- struct{}{}
	defer func() { <-t.env.slots }()
	t.mending.Lock() // who is making the group again has done that, and nobody does from now on
	t.mu.Lock()
	p := parts{t.worker, t.gateway, t.group}
	t.worker, t.gateway, t.group, t.faults, t.unconfined, t.network = nil, nil, nil, nil, "", network{}
	t.mu.Unlock()
	t.mending.Unlock()
	t.env.Pair.Part(t.name)
	return p.takeApart()
}

// takeApart ends what the parts are of; the worker has no process any more.
func (p *parts) takeApart() error {
	p.worker.Close()
	return errors.Join(p.gateway.Remove(), deleteGroup(p.group))
}

func deleteGroup(g *cgroup.Group) error {
	ctx, cancel := context.WithTimeout(context.Background(), teardownTimeout)
	defer cancel()
	return g.Delete(ctx)
}

// configure changes a running context in place. After an error the next one tells it everything
// again, whatever has changed.
func (t *tenant) configure(ctx context.Context, w *plan.Wanted) error {
	t.mu.Lock()
	old := t.want
	if t.half {
		old = nil
	}
	p := parts{t.worker, t.gateway, t.group}
	t.want, t.half = w, p.worker != nil
	t.mu.Unlock()
	if p.worker == nil {
		return nil // build finds what is wanted now
	}
	if err := p.configure(ctx, old, w); err != nil {
		return err
	}
	t.mu.Lock()
	t.half = false
	t.mu.Unlock()
	return nil
}

// parts are what a context is built of.
type parts struct {
	worker  *spawn.Worker
	gateway *netns.Gateway
	group   *cgroup.Group
}

// configure changes the parts from what was wanted to what is. old is nil where they are
// half changed: then they are told everything.
func (p *parts) configure(ctx context.Context, old, w *plan.Wanted) error {
	var errs []error
	if old == nil || old.Limits != w.Limits {
		errs = append(errs, p.group.Update(cgroup.Limits(w.Limits)))
	}
	p.worker.RequireSandbox(w.RequireSandbox)
	if old == nil || old.Fingerprint() != w.Fingerprint() {
		errs = append(errs, p.gateway.Update(w.Spec), p.worker.Configure(ctx, w.Spec))
	}
	return errors.Join(errs...)
}
