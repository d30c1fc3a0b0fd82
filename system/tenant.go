package system

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/netns"
	"github.com/warrenvpn/warren/context/spawn"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/internal/guard"
	"github.com/warrenvpn/warren/resource"
	"github.com/warrenvpn/warren/resource/cgroup"
	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/plan"
)

const (
	// retryFirst is when a context that could not be built is tried again; each
	// later time after twice as long, to retryMost. A missing device may appear.
	retryFirst = time.Second
	retryMost  = 30 * time.Second
	// teardownTimeout bounds what the end of one context may take.
	teardownTimeout = 10 * time.Second
	// lossesFailed is how many losses in a row make a context a failed one.
	lossesFailed = 3
)

// tenant is one running context. One goroutine lives its life: run.
type tenant struct {
	sys    *System
	name   string
	uid    uint32
	log    *slog.Logger
	cancel context.CancelFunc
	ended  chan struct{}
	// settled is closed once the context is ready for the first time, or cannot
	// be; outcome is valid then.
	settled chan struct{}
	outcome error

	looking sync.Mutex // makes looks at the links one at a time, so that the last one counts; taken before mu

	mu         sync.Mutex // protects what follows
	want       *plan.Wanted
	state      api.State // while there is no worker to ask
	reason     string
	worker     *spawn.Worker  // nil: not built
	gateway    *netns.Gateway // as worker
	group      *cgroup.Group  // as worker
	cpu        resource.RateMeter
	faults     map[string]netns.Fault // of interfaces, while it is built
	unconfined bool                   // its control group was removed

	again   chan struct{} // holds one token when the context is to be built anew
	api     apiSessions
	notices map[resource.Name]*resource.Notice // System.watch has them
	clear   resource.Notice                    // of packets that came in clear; System.watch has it
}

// live starts the life of a context. A suspended one only waits for its end.
func (s *System) live(w *plan.Wanted, uid uint32) *tenant {
	ctx, cancel := context.WithCancel(context.Background()) // it ends with end alone
	t := &tenant{
		sys: s, name: w.Name, uid: uid, log: s.cfg.Log.With("tenant", w.Name), cancel: cancel, ended: make(chan struct{}),
		settled: make(chan struct{}), again: make(chan struct{}, 1), want: w, state: api.StateStarting, reason: "waiting to be built",
		notices: make(map[resource.Name]*resource.Notice),
	}
	if w.Suspended {
		t.state, t.reason = api.StateSuspended, ""
		close(t.settled)
		close(t.ended)
		return t
	}
	go func() {
		defer close(t.ended)
		t.run(ctx)
		t.settle(errors.New("system: it was stopped before it was ready"))
	}()
	return t
}

// end stops the context and waits until nothing is left of it.
func (t *tenant) end() {
	t.mu.Lock()
	t.state, t.reason = api.StateStopping, "stopping"
	t.mu.Unlock()
	t.cancel()
	<-t.ended
}

// run builds the context and keeps it until ctx ends; what cannot be built is
// tried again.
func (t *tenant) run(ctx context.Context) {
	for delay := retryFirst; ; delay = min(2*delay, retryMost) {
		err := guard.Run(t.log, "a context", func() error { return t.serve(ctx) })
		if ctx.Err() != nil {
			return
		}
		if err == nil { // it is to be built anew
			delay = retryFirst / 2
			continue
		}
		t.settle(err)
		t.log.Error("context failed", "reason", err.Error(), "retry_in", delay)
		t.set(api.StateFailed, err.Error())
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// settle says, the first time, how the start of the context has ended.
func (t *tenant) settle(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-t.settled:
	default:
		t.outcome = err
		close(t.settled)
	}
}

// watch is told of every change of the worker.
func (t *tenant) watch() {
	t.mu.Lock()
	worker := t.worker
	t.mu.Unlock()
	if worker != nil {
		switch s := worker.Status(); {
		case s.Ready:
			t.settle(nil)
		case s.Losses > 0:
			t.settle(errors.New(s.Reason))
		}
	}
	t.sys.poke()
}

// set changes the state, unless the context is being stopped, and tells.
func (t *tenant) set(state api.State, reason string) {
	t.mu.Lock()
	if t.state != api.StateStopping {
		t.state, t.reason = state, reason
	}
	t.mu.Unlock()
	t.sys.poke()
}

// serve is one life of the context: built, run, taken apart. Without an error
// another one is to follow.
func (t *tenant) serve(ctx context.Context) (err error) {
	t.mu.Lock()
	w := t.want
	t.mu.Unlock()
	for _, d := range w.Devices {
		if err := t.sys.host.Check(d, nil); err != nil {
			return err
		}
	}
	if err := t.build(ctx, w); err != nil {
		return err
	}
	defer func() {
		if downErr := t.takeApart(); downErr != nil {
			t.log.Error("context not wholly removed", "reason", downErr.Error())
		}
	}()
	t.log.Info("context built", "namespace", w.Namespace, "class", w.Class)
	life, end := context.WithCancel(ctx)
	var watching sync.WaitGroup
	defer func() {
		end()
		watching.Wait()
	}()
	watching.Go(func() { t.watchLinks(life, t.gateway) })
	anew := false
	watching.Go(func() {
		select {
		case <-t.again:
			anew = true
			end()
		case <-life.Done():
		}
	})
	err = t.worker.Run(life)
	end()
	watching.Wait()
	if anew && ctx.Err() == nil {
		return nil
	}
	return err
}

// build makes everything that the worker needs. On error nothing of it is left.
func (t *tenant) build(ctx context.Context, w *plan.Wanted) (err error) {
	select {
	case t.sys.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-t.sys.slots }()
	t.set(api.StateStarting, "being built")

	group, err := t.sys.groups.Create(w.Name, cgroup.Limits(w.Limits))
	if err != nil {
		return err
	}
	if _, missing := t.sys.groups.Unheld(cgroup.Limits(w.Limits)); missing != nil {
		t.log.Warn("limit of the class not held: the kernel has no such control groups", "class", w.Class, "resource", strings.Join(missing, ", "))
	}
	gateway, err := netns.Build(&netns.Config{
		Host: t.sys.host, Namespace: w.Namespace, Record: filepath.Join(t.sys.recordDir(), w.Name+".json"),
		Devices: w.Devices, Tenant: w.Spec, Paired: t.sys.pair.pairs(w), Attempt: t.tendLinks,
	})
	if err != nil {
		return errors.Join(err, deleteGroup(group))
	}
	worker, err := spawn.New(&spawn.Config{
		Tenant: w.Spec, Binary: t.sys.cfg.Worker, UID: t.uid, Network: gateway, Group: confinement{group, t},
		MemoryLimit: w.Limits.Memory, Stderr: t.sys.cfg.Stderr,
		Claim:     func(c control.Claim) (control.Grant, error) { return t.sys.rests.claim(t.name, c) },
		LogFormat: t.sys.cfg.LogFormat, LogLevel: t.sys.cfg.LogLevel, Log: t.log, Changed: t.watch,
		Failover: t.sys.pair.twin(w), RequireSandbox: w.RequireSandbox,
	})
	if err != nil {
		return errors.Join(err, gateway.Remove(), deleteGroup(group))
	}
	t.mu.Lock()
	t.worker, t.gateway, t.group, t.cpu = worker, gateway, group, resource.RateMeter{}
	t.faults, t.unconfined = nil, false
	t.mu.Unlock()
	t.sys.pair.join(w, gateway, worker)
	return nil
}

// takeApart undoes build, in reverse order.
func (t *tenant) takeApart() error {
	t.sys.slots <- struct{}{}
	defer func() { <-t.sys.slots }()
	t.mu.Lock()
	worker, gateway, group := t.worker, t.gateway, t.group
	t.worker, t.gateway, t.group, t.faults, t.unconfined = nil, nil, nil, nil, false
	t.mu.Unlock()
	t.sys.pair.part(t.name)
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

// condition returns the state of the context and why it is that. It asks nobody.
func (t *tenant) condition() (api.State, string) {
	t.mu.Lock()
	state, reason, worker := t.state, t.reason, t.worker
	t.mu.Unlock()
	if worker == nil || state == api.StateStopping {
		return state, reason
	}
	s := worker.Status()
	return stateOf(s), s.Reason
}

// row is the context for `show context`.
func (t *tenant) row() api.Tenant {
	t.mu.Lock()
	w, worker, gateway := t.want, t.worker, t.gateway
	row := api.Tenant{
		Name: t.name, State: t.state, Reason: t.reason, Class: w.Class, Role: t.sys.pair.roleOf(w),
		ConfigURL: w.Config.String(), Namespace: w.Namespace,
	}
	t.mu.Unlock()
	if w.Config.Scheme == configs.SchemeDisk {
		row.ConfigURL = "disk0:" + w.Config.Path
	}
	if worker != nil {
		s := worker.Status()
		row.PID, row.Restarts, row.Started, row.Sandbox = s.PID, s.Restarts, s.Started, s.Sandbox.String()
		row.State, row.Reason = t.condition()
	}
	for i, d := range w.Devices {
		out := api.Interface{Name: d.Interface, Allocated: w.Allocations[i].Interface, Device: d.Host, Shared: d.Kind == spec.Macvlan}
		if d.VLAN != 0 {
			out.Device = fmt.Sprintf("%s.%d", d.Host, d.VLAN)
		}
		for _, one := range w.Spec.Interfaces {
			if one.Name == d.Interface {
				out.Addresses = one.Addresses
			}
		}
		if gateway != nil {
			_, out.MAC, out.MTU = gateway.Link(d.Interface)
			out.Addresses = gateway.Addresses(d.Interface) // those of the role
		}
		row.Interfaces = append(row.Interfaces, out)
	}
	return row
}

// stateOf is the state of a context with a worker.
func stateOf(s spawn.Status) api.State {
	switch {
	case s.Ready:
		return api.StateReady
	case s.Losses >= lossesFailed:
		return api.StateFailed
	}
	return api.StateStarting
}
