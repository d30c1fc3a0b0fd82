package tenants

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/warrenvpn/warren/context/netns"
	"github.com/warrenvpn/warren/internal/guard"
	"github.com/warrenvpn/warren/resource/cgroup"
	"github.com/warrenvpn/warren/system/fault"
)

// gatewayLinks is what is watched of a netns.Gateway.
type gatewayLinks interface {
	Faults() map[string]netns.Fault
	WatchLinks(ctx context.Context, changed func())
}

// watchLinks follows the links of the context until ctx ends: what is gone is
// logged, and a problem in the status. What the kernel has taken away with a link
// the Gateway itself puts back when the link returns.
func (t *tenant) watchLinks(ctx context.Context, g gatewayLinks) {
	g.WatchLinks(ctx, func() {
		_ = t.tendLinks(func() error { // which never fails but by a panic
			t.lookAtLinks(g)
			return nil
		})
	})
}

// tendLinks does what the Gateway of the context does when a device has changed,
// and tells what has gone wrong. The netlink library needs 128 KiB of stack.
func (t *tenant) tendLinks(do func() error) error {
	err := guard.Apart(t.log, "the watch over links", do)
	if err != nil && !errors.Is(err, guard.ErrPanic) { // which has been told
		t.log.Warn("devices of a context not tended", "reason", err)
	}
	return err
}

// lookAtLinks notes and logs what has changed.
func (t *tenant) lookAtLinks(g gatewayLinks) {
	t.looking.Lock()
	defer t.looking.Unlock()
	now := g.Faults()
	t.mu.Lock()
	before := t.faults
	t.faults = now
	t.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if before[name] != now[name] {
			t.log.Warn("interface lost", "interface", name, "reason", string(now[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if _, still := now[name]; !still {
			t.log.Info("interface is back", "interface", name)
		}
	}
	t.env.Changed()
}

// problems are what is not as it should be although the context may run.
func (t *tenant) problems() []fault.ContextError {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []fault.ContextError
	for _, name := range slices.Sorted(maps.Keys(t.faults)) {
		hint := ""
		if t.faults[name] != netns.NoCarrier {
			hint = "`warren reload` puts it back, as soon as the host has the device"
		}
		list = append(list, fault.ContextError{Context: t.name, Error: "interface " + name + ": " +
			string(t.faults[name]), Hint: hint})
	}
	if t.unconfined {
		list = append(list, fault.ContextError{Context: t.name,
			Error: "its control group was removed: its limits are not enforced",
			Hint:  "`warren reload` puts it back"})
	}
	return list
}

// confinement is the control group of a context, as its worker is put into it:
// what somebody has removed is made again first.
type confinement struct {
	*cgroup.Group
	t *tenant
}

// Add implements spawn.Group.
func (c confinement) Add(pid int) error {
	if _, err := c.t.mendGroup(c.Group); err != nil {
		return err
	}
	return c.Group.Add(pid)
}

// mendGroup makes a group again of which something is missing, and tells whether
// it was.
func (t *tenant) mendGroup(g *cgroup.Group) (bool, error) {
	if !g.Missing() {
		return false, nil
	}
	t.mu.Lock()
	limits := cgroup.Limits(t.want.Limits)
	t.mu.Unlock()
	if _, err := t.env.Groups.Create(t.name, limits); err != nil {
		return false, err
	}
	t.mu.Lock()
	t.unconfined = false
	t.mu.Unlock()
	t.log.Warn("control group made again: somebody had removed it")
	return true, nil
}

// lookAtGroup notes whether the control group is there.
func (t *tenant) lookAtGroup(g *cgroup.Group) {
	missing := g != nil && g.Missing()
	t.mu.Lock()
	if t.group != g {
		missing = false // it was taken apart meanwhile
	}
	was := t.unconfined
	t.unconfined = missing
	t.mu.Unlock()
	if missing && !was {
		t.log.Warn("control group was removed: limits are not enforced")
	}
	if missing != was {
		t.env.Changed()
	}
}

// Restore implements lifecycle.Actor.
func (s *Tenants) Restore(context.Context) (steps []string, errs []fault.ContextError) {
	for _, t := range s.list() {
		var done []string
		err := guard.Run(t.log, "a reload", func() (err error) {
			done, err = t.restore()
			return err
		})
		for _, what := range done {
			steps = append(steps, "restore context \""+t.name+"\": "+what)
		}
		if err != nil {
			errs = append(errs, fault.ContextError{Context: t.name, Error: err.Error()})
		}
	}
	return steps, errs
}

// restore puts back what somebody else has taken from a context that runs: its
// control group, links that are down, devices that were deleted and that the host has
// again, addresses, routes. Its SAs stay.
func (t *tenant) restore() (done []string, err error) {
	t.mu.Lock()
	w, worker, gateway, group := t.want, t.worker, t.gateway, t.group
	t.mu.Unlock()
	if worker == nil {
		return nil, nil // it is being built, and nothing is missing then
	}
	mended, err := t.mendGroup(group)
	if err != nil {
		return nil, err
	}
	if mended {
		done = append(done, "its control group had been removed")
		if pid := worker.Status().PID; pid != 0 {
			if err := group.Add(pid); err != nil {
				return done, err
			}
		}
	}
	before := gateway.Faults()
	err = gateway.Update(w.Spec)
	after := gateway.Faults()
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if _, still := after[name]; !still {
			done = append(done, "interface "+name+" is back")
		}
	}
	t.lookAtLinks(gateway)
	return done, err
}
