package tenants

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/netns"
	"github.com/warrenvpn/warren/resource"
	"github.com/warrenvpn/warren/resource/cgroup"
	"github.com/warrenvpn/warren/system/plan"
)

// unitOf is a resource's unit.
func unitOf(name resource.Name) resource.Unit {
	k, _ := resource.Lookup(name)
	return k.Unit
}

// resources are what the supervisor counts of a context.
func (t *tenant) resources() []control.Resource {
	v := t.view()
	return slices.Concat(t.counted(v), t.neighbours(v), t.confined(v))
}

// view is what a context has at one moment.
type view struct {
	want    *plan.Wanted
	gateway *netns.Gateway
	group   *cgroup.Group
}

func (t *tenant) view() view {
	t.mu.Lock()
	defer t.mu.Unlock()
	return view{t.want, t.gateway, t.group}
}

// counted are the resources that are counted as they are used.
func (t *tenant) counted(v view) []control.Resource {
	t.api.mu.Lock()
	sessions := t.api.meter
	t.api.mu.Unlock()
	sessions.Limit = int64(v.want.Spec.Limits.APISessions)
	rows := []control.Resource{usage(t.name, resource.APISessions, sessions)}
	if v.gateway == nil {
		return rows
	}
	return append(rows, usage(t.name, resource.Routes, v.gateway.RouteUse()))
}

// neighbours asks the kernel for those of the context. What is beyond the limit
// goes.
func (t *tenant) neighbours(v view) []control.Resource {
	if v.gateway == nil {
		return nil
	}
	macs, err := v.gateway.MACUse()
	if err != nil {
		t.log.Debug("neighbours are not counted", "reason", err)
	}
	return []control.Resource{usage(t.name, resource.MACAddresses, macs)}
}

// confined are the resources that the kernel counts.
func (t *tenant) confined(v view) []control.Resource {
	if v.group == nil || t.env.Groups.Mode() == cgroup.None {
		return nil
	}
	u, l := v.group.Usage(), v.want.Limits
	t.mu.Lock()
	rate, peak := t.cpu.Measure(time.Now(), 1000*u.CPU.Seconds(), cpuWindow)
	t.mu.Unlock()
	return []control.Resource{
		usage(t.name, resource.CPU, resource.Meter{
			Current: int64(math.Round(rate)), Peak: int64(math.Round(peak)), Limit: int64(math.Round(l.CPU * 1000)),
			Denied: u.Throttled,
		}),
		usage(t.name, resource.Memory, resource.Meter{Current: u.Memory, Peak: max(u.Memory, u.MemoryPeak),
			Limit: l.Memory, Denied: u.OOMKills}),
		usage(t.name, resource.PIDs, resource.Meter{Current: u.PIDs, Peak: max(u.PIDs, u.PIDsPeak),
			Limit: int64(l.PIDs), Denied: u.PIDsDenied}),
	}
}

// cpuWindow is the shortest time that a rate is computed over.
const cpuWindow = 200 * time.Millisecond

// inOrder sorts rows as `show resource usage` has them.
func inOrder(rows []control.Resource) {
	place := make(map[string]int)
	for i, k := range resource.Kinds() {
		place[string(k.Name)] = i
	}
	slices.SortStableFunc(rows, func(a, b control.Resource) int {
		return cmp.Compare(place[a.Resource],
			place[b.Resource])
	})
}
