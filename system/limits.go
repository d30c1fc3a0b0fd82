package system

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/netns"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/internal/guard"
	"github.com/warrenvpn/warren/resource"
	"github.com/warrenvpn/warren/resource/cgroup"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/plan"
)

const (
	// watchEvery is how often refusals are looked for, and the neighbours of
	// contexts with a limit are counted.
	watchEvery = time.Second
	// groupsEvery is how often that is so for what the kernel refuses: reading
	// it costs a dozen files for every context.
	groupsEvery = 5
)

// rests are what the guarantees of all contexts leave, for those that may have
// more than they were promised.
type rests struct {
	mu     sync.Mutex // protects what follows
	byName map[resource.Name]*resource.Rest
	limits map[string]spec.Limits // by context
}

// newRests returns rests of nothing.
func newRests() *rests {
	r := &rests{byName: make(map[resource.Name]*resource.Rest), limits: make(map[string]spec.Limits)}
	for _, k := range resource.Kinds() {
		if k.Of != "" {
			r.byName[k.Name] = &resource.Rest{}
		}
	}
	return r
}

// set makes the rests those of a list of contexts. What those that have gone
// held is free again.
func (r *rests) set(totals resource.Totals, list []*plan.Wanted) {
	r.mu.Lock()
	defer r.mu.Unlock()
	gone := r.limits
	r.limits = make(map[string]spec.Limits)
	var members []resource.Limits
	for _, w := range list {
		l := w.Spec.Limits
		r.limits[w.Name] = l
		delete(gone, w.Name)
		members = append(members, resource.Limits{
			resource.Sessions: float64(l.Sessions), resource.SiteToSite: float64(l.SiteToSite),
		})
	}
	for _, k := range resource.Kinds() {
		if rest := r.byName[k.Name]; rest != nil {
			rest.Resize(int64(resource.Remainder(k.Of, members, totals)))
			for name := range gone {
				rest.Leave(name)
			}
		}
	}
}

// claim answers the claim of a context's worker, which is taken for hostile: it
// gets no more than its class allows.
func (r *rests) claim(tenant string, c control.Claim) (control.Grant, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rest := r.byName[resource.Name(c.Resource)]
	l, ok := r.limits[tenant]
	if rest == nil || !ok {
		return control.Grant{}, fmt.Errorf("system: there is no share of %q", c.Resource)
	}
	most := int64(l.BurstSessions)
	if resource.Name(c.Resource) == resource.BurstSiteToSite {
		most = int64(l.BurstSiteToSite)
	}
	if most == resource.None {
		return control.Grant{}, nil
	}
	return control.Grant{Most: rest.Claim(tenant, c.Held, c.More, most)}, nil
}

// Shared returns what is used of what the contexts share, as rows of the context
// "system".
func (s *System) Shared() []control.Resource {
	r := s.rests
	r.mu.Lock()
	defer r.mu.Unlock()
	var rows []control.Resource
	for _, k := range resource.Kinds() {
		if rest := r.byName[k.Name]; rest != nil {
			m := rest.Meter()
			if m.Limit == 0 {
				m.Limit = resource.None
			}
			rows = append(rows, usage("system", k.Name, m))
		}
	}
	return rows
}

// usage is a row of a context.
func usage(tenant string, name resource.Name, m resource.Meter) control.Resource {
	return control.Resource{
		Context: tenant, Resource: string(name), Unit: unitOf(name),
		Current: m.Current, Peak: m.Peak, Limit: m.Limit, Denied: m.Denied,
	}
}

// apiSessions are the requests about one context that are being answered.
type apiSessions struct {
	mu    sync.Mutex // protects meter
	meter resource.Meter
}

// Enter lets one more request about a context in, if its class allows it. leave
// must be called when it was answered.
func (s *System) Enter(name string) (leave func(), err error) {
	s.mu.Lock()
	t := s.tenants[name]
	s.mu.Unlock()
	if t == nil {
		return func() {}, nil // the answer says what is wrong
	}
	t.mu.Lock()
	limit, class := t.want.Spec.Limits.APISessions, t.want.Class
	t.mu.Unlock()
	a := &t.api
	a.mu.Lock()
	defer a.mu.Unlock()
	a.meter.Limit = int64(limit)
	if !a.meter.Take(1) {
		return nil, &fault.Error{
			Code: fault.CodeRefused, Reason: fmt.Sprintf("%d requests about context %q are being answered, and api_sessions of its class %q allows no more", limit, name, class),
			Hint: "wait for one to end, or raise api_sessions",
		}
	}
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.meter.Give(1)
	}, nil
}

// unitOf is a resource's unit in the API.
func unitOf(name resource.Name) control.Unit {
	k, _ := resource.Lookup(name)
	switch k.Unit {
	case resource.Cores:
		return control.UnitMillicores
	case resource.Bytes:
		return control.UnitBytes
	case resource.Bits:
		return control.UnitBits
	case resource.Rate:
		return control.UnitRate
	}
	return control.UnitCount
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
		t.log.Debug("neighbours are not counted", "err", err.Error())
	}
	return []control.Resource{usage(t.name, resource.MACAddresses, macs)}
}

// confined are the resources that the kernel counts.
func (t *tenant) confined(v view) []control.Resource {
	if v.group == nil || t.sys.groups.Mode() == cgroup.None {
		return nil
	}
	u, l := v.group.Usage(), v.want.Limits
	t.mu.Lock()
	rate, peak := t.cpu.Measure(time.Now(), 1000*u.CPU.Seconds(), cpuWindow)
	t.mu.Unlock()
	return []control.Resource{
		usage(t.name, resource.CPU, resource.Meter{
			Current: int64(math.Round(rate)), Peak: int64(math.Round(peak)), Limit: int64(math.Round(l.CPU * 1000)), Denied: u.Throttled,
		}),
		usage(t.name, resource.Memory, resource.Meter{Current: u.Memory, Peak: max(u.Memory, u.MemoryPeak), Limit: l.Memory, Denied: u.OOMKills}),
		usage(t.name, resource.PIDs, resource.Meter{Current: u.PIDs, Peak: max(u.PIDs, u.PIDsPeak), Limit: int64(l.PIDs), Denied: u.PIDsDenied}),
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
	slices.SortStableFunc(rows, func(a, b control.Resource) int { return cmp.Compare(place[a.Resource], place[b.Resource]) })
}

// watch tells the log what was refused to contexts, until ctx ends.
func (s *System) watch(ctx context.Context) {
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
						t.lookAtGroup(t.view().group)
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
		rows = append(rows, t.sys.disks.Resources(t.name)...)
	}
	for _, r := range rows {
		n := t.notices[resource.Name(r.Resource)]
		if n == nil {
			n = &resource.Notice{}
			t.notices[resource.Name(r.Resource)] = n
		}
		if count, due := n.Due(now, r.Denied); due && r.Limit != 0 {
			t.log.Warn("limit of the class reached", "class", v.want.Class, "resource", r.Resource, "limit", r.Limit, "count", count)
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
		t.log.Debug("packets in clear are not counted", "err", err.Error())
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
