package worker

import (
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
)

const (
	// maxOfChild bounds the prefixes that one child SA is told to carry. What is
	// beyond is guarded as the configuration says, like all that it protects.
	maxOfChild = 256
	// routesRetry is how long after a refusal everything is told again.
	routesRetry = 10 * time.Second
)

// routes are the networks and addresses that established child SAs carry, as far as
// the supervisor has to know them: networks that lie in no pool (it routes them to the
// TUN device), and IPv6 addresses of clients within the subnet of an interface (it
// answers neighbour solicitations for them, RFC 4861 section 7.2.8). Changes are told
// together, one message at a time, so that a storm of SAs makes few.
type routes struct {
	log        *slog.Logger
	supervisor *supervisor

	tenant   *spec.Tenant
	children map[uint64]carriage
	routes   map[netip.Prefix]routeUse
	answers  map[netip.Addr]int // how many child SAs have it

	// What has changed since it was told. Reset: nothing was told yet, or it is
	// not known what.
	changedRoutes  map[netip.Prefix]struct{}
	changedAnswers map[netip.Addr]struct{}
	reset          bool
	telling        bool      // a message is on its way
	retry          time.Time // nothing is told before
	refusal        string    // the last one, which is logged once
}

// carriage is what one child SA carries.
type carriage struct {
	routes  []netip.Prefix
	answers []netip.Addr
}

// routeUse is a network with the number of child SAs that carry it.
type routeUse struct {
	source netip.Addr
	users  int
}

func newRoutes(t *spec.Tenant, log *slog.Logger, s *supervisor) *routes {
	return &routes{
		log: log, supervisor: s,
		tenant: t, children: make(map[uint64]carriage),
		routes: make(map[netip.Prefix]routeUse), answers: make(map[netip.Addr]int),
		changedRoutes: make(map[netip.Prefix]struct{}), changedAnswers: make(map[netip.Addr]struct{}), reset: true,
	}
}

// change follows one change of a child SA.
func (c *routes) change(ch *sa.Change) {
	switch ch.Op {
	case sa.OpAdd, sa.OpRekey, sa.OpFollow:
		c.add(&ch.Child)
	case sa.OpDelete:
		c.remove(ch.Child.ID)
	case sa.OpMove:
	}
}

// add notes what a child SA carries.
func (c *routes) add(ch *sa.Child) {
	if _, there := c.children[ch.ID]; there {
		return
	}
	var x carriage
	for _, s := range ch.Remote {
		switch {
		case !s.IsValid():
		case c.leased(s.Start, s.End):
			if s.Start == s.End && s.Start.Is6() && onLink(c.tenant, s.Start) {
				x.answers = append(x.answers, s.Start)
			}
		default:
			x.routes = append(x.routes, control.Cover(s.Start, s.End)...)
		}
	}
	slices.SortFunc(x.routes, netip.Prefix.Compare)
	x.routes = slices.Compact(x.routes)
	x.routes = x.routes[:min(len(x.routes), maxOfChild)]
	slices.SortFunc(x.answers, netip.Addr.Compare)
	x.answers = slices.Compact(x.answers)
	if len(x.routes)+len(x.answers) == 0 {
		return
	}
	c.children[ch.ID] = x
	for _, p := range x.routes {
		r := c.routes[p]
		if r.users++; r.users == 1 {
			r.source = oneAddress(ch.Local, p.Addr().Is4())
			c.changedRoutes[p] = struct{}{}
		}
		c.routes[p] = r
	}
	for _, a := range x.answers {
		if c.answers[a]++; c.answers[a] == 1 {
			c.changedAnswers[a] = struct{}{}
		}
	}
}

// remove forgets a child SA.
func (c *routes) remove(id uint64) {
	x, ok := c.children[id]
	if !ok {
		return
	}
	delete(c.children, id)
	for _, p := range x.routes {
		r := c.routes[p]
		if r.users--; r.users > 0 {
			c.routes[p] = r
			continue
		}
		delete(c.routes, p)
		c.changedRoutes[p] = struct{}{}
	}
	for _, a := range x.answers {
		if c.answers[a]--; c.answers[a] == 0 {
			delete(c.answers, a)
			c.changedAnswers[a] = struct{}{}
		}
	}
}

// message is what has to be told, or the first part of it, and false where that is
// nothing. What it says counts as told.
func (c *routes) message() (control.Routes, bool) {
	m := control.Routes{Reset: c.reset}
	if c.reset {
		clear(c.changedRoutes)
		clear(c.changedAnswers)
		for p := range c.routes {
			c.changedRoutes[p] = struct{}{}
		}
		for a := range c.answers {
			c.changedAnswers[a] = struct{}{}
		}
	}
	for p := range c.changedRoutes {
		if m.Changes() == control.MaxChanges {
			break
		}
		if r, ok := c.routes[p]; ok {
			m.Add = append(m.Add, control.Route{Destination: p, Source: r.source})
		} else {
			m.Remove = append(m.Remove, p)
		}
		delete(c.changedRoutes, p)
	}
	for a := range c.changedAnswers {
		if m.Changes() == control.MaxChanges {
			break
		}
		if _, ok := c.answers[a]; ok {
			m.Answer = append(m.Answer, a)
		} else {
			m.Silence = append(m.Silence, a)
		}
		delete(c.changedAnswers, a)
	}
	c.reset = false
	m.More = len(c.changedRoutes)+len(c.changedAnswers) > 0
	slices.SortFunc(m.Add, func(a, b control.Route) int { return a.Destination.Compare(b.Destination) })
	return m, m.Reset || m.Changes() > 0
}

// leased reports whether all addresses of a range are of one pool.
func (c *routes) leased(first, last netip.Addr) bool {
	return slices.ContainsFunc(c.tenant.Pools, func(p spec.Pool) bool {
		return p.Start.BitLen() == first.BitLen() && !first.Less(p.Start) && !p.End.Less(last)
	})
}

// onLink reports whether an address lies within a subnet of an interface.
func onLink(t *spec.Tenant, a netip.Addr) bool {
	return slices.ContainsFunc(t.Interfaces, func(i spec.Interface) bool {
		return slices.ContainsFunc(i.Addresses, func(p netip.Prefix) bool { return p.Contains(a) })
	})
}

// oneAddress is the only address of a family among selectors; invalid: there are
// several, or none.
func oneAddress(list []sa.Selector, v4 bool) (one netip.Addr) {
	for _, s := range list {
		if s.Start.Is4() != v4 {
			continue
		}
		if s.Start != s.End || one.IsValid() && one != s.Start {
			return netip.Addr{}
		}
		one = s.Start
	}
	return one
}

// reconfigure notes anew what all child SAs carry, for another configuration, or for
// IKE SAs that came from the journal.
func (c *routes) reconfigure(t *spec.Tenant, all []exchange.Status) {
	fresh := newRoutes(t, c.log, c.supervisor)
	fresh.telling, fresh.refusal = c.telling, c.refusal
	*c = *fresh
	for _, s := range all {
		for i := range s.Children {
			c.add(&s.Children[i])
		}
	}
}

// repeat has everything told anew: the supervisor knows nothing of it.
func (c *routes) repeat() { c.reset = true }

// tell tells the supervisor what child SAs carry, where that has changed. An answer
// that is awaited is awaited first; again is called behind it.
func (c *routes) tell(now time.Time, again func(now time.Time)) {
	if c.telling || now.Before(c.retry) {
		return
	}
	m, any := c.message()
	if !any {
		return
	}
	c.telling = c.supervisor.request(control.KindRoutes, m, func(now time.Time, err error) {
		c.telling = false
		if err != nil {
			c.refused(now, err)
			return
		}
		c.refusal = ""
		again(now)
	})
	if !c.telling {
		c.reset, c.retry = true, now.Add(routesRetry)
	}
}

// refused has everything told again later. The networks that the configuration
// protects are guarded meanwhile.
func (c *routes) refused(now time.Time, err error) {
	if text := err.Error(); text != c.refusal {
		c.refusal = text
		c.log.Error("the supervisor refuses routes into the tunnel", "reason", text)
	}
	c.reset, c.retry = true, now.Add(routesRetry)
}

// tellRoutes tells the supervisor what child SAs carry, where this worker serves.
func (w *Worker) tellRoutes(now time.Time) {
	_ = w.replica.Serve(func() { w.routes.tell(now, w.tellRoutes) })
}
