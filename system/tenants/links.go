package tenants

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/warrenvpn/warren/context/netns"
	"github.com/warrenvpn/warren/internal/guard"
	"github.com/warrenvpn/warren/system/events"
	"github.com/warrenvpn/warren/system/fault"
)

// gatewayLinks is what is watched of a netns.Gateway.
type gatewayLinks interface {
	Faults() map[string]netns.Fault
	WatchLinks(ctx context.Context, changed func())
}

// watchLinks follows the links of the context until ctx ends: what is gone is
// logged, and a problem in the status. What was taken away the Gateway itself puts
// back.
func (t *tenant) watchLinks(ctx context.Context, g gatewayLinks) {
	g.WatchLinks(ctx, func() {
		_ = t.tendLinks(func() error { // which never fails but by a panic
			t.lookAtLinks(g)
			return nil
		})
	})
}

// tendLinks does what the Gateway of the context does of its own accord, and tells
// what has gone wrong. The netlink library needs 128 KiB of stack.
func (t *tenant) tendLinks(do func() error) error {
	err := guard.Apart(t.log, "the watch over a network", do)
	if err != nil && !errors.Is(err, guard.ErrPanic) { // which has been told
		t.log.Warn("network of the context not watched", "reason", err)
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
			t.env.Events.Tell(t.log, t.name, &events.InterfaceLost{Interface: name, Reason: string(now[name])})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if _, still := now[name]; !still {
			t.env.Events.Tell(t.log, t.name, &events.InterfaceBack{Interface: name})
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
		switch t.faults[name] {
		case netns.DeviceGone:
			hint = "it is taken again by itself, as soon as the host has the device"
		case netns.LinkDown:
			hint = "somebody has set it down; `warren reload` sets it up"
		case netns.NoCarrier:
		}
		list = append(list, fault.ContextError{Context: t.name, Error: "interface " + name + ": " +
			string(t.faults[name]), Hint: hint})
	}
	if t.network.contested {
		list = append(list, fault.ContextError{Context: t.name,
			Error: "somebody keeps changing its network, which is put right less and less often",
			Hint:  "the log says what; see what else configures devices here, such as a network manager"})
	}
	if t.network.reason != "" {
		list = append(list, fault.ContextError{Context: t.name, Error: "its network is not as it must be: " +
			t.network.reason, Hint: "it is tried again by itself"})
	}
	if t.unconfined != "" {
		list = append(list, fault.ContextError{Context: t.name,
			Error: "its control group was removed, and its limits are not enforced: " + t.unconfined,
			Hint:  "it is tried again by itself"})
	}
	return list
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
	w, worker, gateway := t.want, t.worker, t.gateway
	t.mu.Unlock()
	if worker == nil {
		return nil, nil // it is being built, and nothing is missing then
	}
	mended, err := t.restoreGroup()
	if mended {
		done = append(done, "its control group had been removed")
	}
	if err != nil {
		return done, err
	}
	if gateway.Sound(w.Spec) {
		return done, nil
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
