package tenants

import (
	"context"
	"sync"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/netns"
	"github.com/warrenvpn/warren/internal/guard"
	"github.com/warrenvpn/warren/resource"
)

const (
	// watchEvery is how often refusals are looked for, and the neighbours of
	// contexts with a limit are counted.
	watchEvery = time.Second
	// groupsEvery: counters of the kernel are read every so many ticks. Reading
	// them costs a dozen files for every context.
	groupsEvery = 5
)

// watchAgain is how long after a failure something is watched again.
const watchAgain = time.Second

// Watch tells the log what was refused to contexts, and has put back what somebody takes
// from them on the host, until ctx ends.
func (s *Tenants) Watch(ctx context.Context) {
	var watching sync.WaitGroup
	defer watching.Wait()
	for what, watch := range map[string]func() error{
		"the watch over control groups":      func() error { return s.env.Groups.Watch(ctx, s.groupGone) },
		"the watch over names of namespaces": func() error { return s.env.Host.WatchNames(ctx, s.nameGone) },
		"the watch over devices of the host": func() error { return s.env.Host.WatchLinks(ctx, s.hostChanged) },
	} {
		watching.Go(func() {
			guard.Keep(ctx, s.env.Log, what, watchAgain, watch, func(err error) {
				s.env.Log.Debug("watch has ended", "kind", what, "reason", err)
			})
		})
	}
	s.watchRefusals(ctx)
}

// groupGone has a control group looked at that was removed; "": all.
func (s *Tenants) groupGone(group string) {
	for _, t := range s.list() {
		if group == "" || group == t.name {
			t.lookAtGroup()
		}
	}
}

// nameGone has the context looked at whose namespace has lost its name; "": none, as
// contexts look by themselves now and then.
func (s *Tenants) nameGone(name string) {
	for _, t := range s.list() {
		if v := t.view(); v.gateway != nil && name == v.want.Namespace {
			v.gateway.Check()
		}
	}
}

// hostChanged has contexts look that miss a device: the host may have it again.
func (s *Tenants) hostChanged() {
	for _, t := range s.list() {
		if v := t.view(); v.gateway != nil {
			v.gateway.Nudge()
		}
	}
}

// watchRefusals tells the log what was refused to contexts, until ctx ends.
func (s *Tenants) watchRefusals(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for round := 0; ; round++ {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for _, t := range s.list() {
				all := round%groupsEvery == 0
				_ = guard.Run(t.log, "the watch over limits", func() error { // the log has it
					t.watchLimits(now, all)
					if all {
						t.lookAtGroup()
					}
					return nil
				})
			}
		}
	}
}

// watchLimits tells what was refused to one context since it was told last.
func (t *tenant) watchLimits(now time.Time, all bool) {
	v := t.view()
	l := v.want.Spec.Limits
	var rows []control.Resource
	if l.APISessions > 0 || l.Routes > 0 {
		rows = t.counted(v)
	}
	if l.MACAddresses > 0 {
		rows = append(rows, t.neighbours(v)...)
	}
	if all && (l.CPU > 0 || l.Memory > 0 || l.PIDs > 0) {
		rows = append(rows, t.confined(v)...)
	}
	if l.Storage > 0 || l.StorageFiles > 0 {
		rows = append(rows, t.env.Disks.Resources(t.name)...)
	}
	for _, r := range rows {
		n := t.notices[resource.Name(r.Resource)]
		if n == nil {
			n = &resource.Notice{}
			t.notices[resource.Name(r.Resource)] = n
		}
		if count, due := n.Due(now, r.Denied); due && r.Limit != 0 {
			t.env.Events.Tell(t.log, t.name, &control.LimitReached{Class: v.want.Class, Resource: r.Resource,
				Limit: r.Limit, Count: uint64(count)})
		}
	}
	if v.gateway != nil && all {
		t.watchClear(now, v.gateway)
	}
}

// clearDrops is how many packets came in clear and may not; false: nobody can say.
func (t *tenant) clearDrops(g *netns.Gateway) (uint64, bool) {
	drops, err := g.ClearDrops()
	if err != nil {
		t.log.Debug("packets in clear are not counted", "reason", err)
	}
	return drops, err == nil
}

// watchClear tells the log of what came in clear and may not.
func (t *tenant) watchClear(now time.Time, g *netns.Gateway) {
	drops, ok := t.clearDrops(g)
	if !ok {
		return
	}
	if count, due := t.clear.Due(now, int64(drops)); due {
		t.log.Warn("packets came in clear over an interface with a crypto map; they were dropped", "count", count)
	}
}
