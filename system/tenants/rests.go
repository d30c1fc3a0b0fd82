package tenants

import (
	"fmt"
	"sync"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/resource"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/plan"
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

// resize computes what the guarantees of a list of contexts leave. What contexts held that
// are no longer in the list is free again.
func (r *rests) resize(totals resource.Totals, list []*plan.Wanted) {
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
func (s *Tenants) Shared() []control.Resource {
	r := s.env.rests
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
func (s *Tenants) Enter(name string) (leave func(), err error) {
	s.mu.Lock()
	t := s.byName[name]
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
			Code: fault.CodeRefused,
			Reason: fmt.Sprintf(
				"%d requests about context %q are being answered, and api_sessions of its class %q allows no more",
				limit, name, class),
			Hint: "wait for one to end, or raise api_sessions",
		}
	}
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.meter.Give(1)
	}, nil
}
