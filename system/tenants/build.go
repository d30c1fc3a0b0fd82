package tenants

import (
	"context"
	"errors"
	"path/filepath"
	"strings"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/netns"
	"github.com/warrenvpn/warren/context/spawn"
	"github.com/warrenvpn/warren/resource"
	"github.com/warrenvpn/warren/resource/cgroup"
	"github.com/warrenvpn/warren/system/plan"
)

// build makes everything that the worker needs. On error nothing of it is left.
func (t *tenant) build(ctx context.Context, w *plan.Wanted) (err error) {
	select {
	case t.env.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-t.env.slots }()
	t.setState(StateStarting, "being built")

	group, err := t.env.Groups.Create(w.Name, cgroup.Limits(w.Limits))
	if err != nil {
		return err
	}
	if _, missing := t.env.Groups.Unheld(cgroup.Limits(w.Limits)); missing != nil {
		t.log.Warn("limit of the class not held: the kernel has no such control groups", "class", w.Class,
			"resource", strings.Join(missing, ", "))
	}
	gateway, err := netns.Build(&netns.Config{
		Host: t.env.Host, Namespace: w.Namespace, Record: filepath.Join(t.env.Records, w.Name+".json"),
		Devices: w.Devices, Tenant: w.Spec, Paired: t.env.Pair.Paired(w), Attempt: t.tendLinks,
	})
	if err != nil {
		return errors.Join(err, deleteGroup(group))
	}
	worker, err := spawn.New(&spawn.Config{
		Tenant: w.Spec, Binary: t.env.Worker, UID: t.uid, Network: gateway, Group: confinement{group, t},
		MemoryLimit: w.Limits.Memory, Stderr: t.env.Stderr,
		Claim:     func(c control.Claim) (control.Grant, error) { return t.env.rests.claim(t.name, c) },
		LogFormat: t.env.LogFormat, LogLevel: t.env.LogLevel, Log: t.log, Changed: t.workerChanged,
		Failover: t.env.Pair.Twin(w), RequireSandbox: w.RequireSandbox,
	})
	if err != nil {
		return errors.Join(err, gateway.Remove(), deleteGroup(group))
	}
	t.mu.Lock()
	t.worker, t.gateway, t.group, t.cpu = worker, gateway, group, resource.RateMeter{}
	t.faults, t.unconfined = nil, false
	t.mu.Unlock()
	t.env.Pair.Join(w, gateway, worker)
	return nil
}

// takeApart undoes build, in reverse order.
func (t *tenant) takeApart() error {
	t.env.slots <- struct{}{}
	defer func() { <-t.env.slots }()
	t.mu.Lock()
	worker, gateway, group := t.worker, t.gateway, t.group
	t.worker, t.gateway, t.group, t.faults, t.unconfined = nil, nil, nil, nil, false
	t.mu.Unlock()
	t.env.Pair.Part(t.name)
	worker.Close()
	return errors.Join(gateway.Remove(), deleteGroup(group))
}

func deleteGroup(g *cgroup.Group) error {
	ctx, cancel := context.WithTimeout(context.Background(), teardownTimeout)
	defer cancel()
	return g.Delete(ctx)
}

// configure changes a running context in place.
func (t *tenant) configure(ctx context.Context, w *plan.Wanted) error {
	t.mu.Lock()
	old := t.want
	t.want = w
	worker, gateway, group := t.worker, t.gateway, t.group
	t.mu.Unlock()
	if worker == nil {
		return nil // it will be built with what is wanted now
	}
	var errs []error
	if old.Limits != w.Limits {
		errs = append(errs, group.Update(cgroup.Limits(w.Limits)))
	}
	worker.RequireSandbox(w.RequireSandbox)
	if old.Fingerprint() != w.Fingerprint() {
		errs = append(errs, gateway.Update(w.Spec), worker.Configure(ctx, w.Spec))
	}
	return errors.Join(errs...)
}
