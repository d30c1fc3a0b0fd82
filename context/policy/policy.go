// Package policy says what a session gets, and why: each attribute comes from the first of
// those who say it, in this order:
//
//	the user's own entry in the configuration
//	the authentication server
//	the group policy that the user's entry names, or else the server
//	the group policy of the tunnel group
//	DfltGrpPolicy
//
// "none" is a value that stands for nothing, so that what comes later does not count. The
// package does no I/O and decides nothing about addresses, which are leased by package pool.
package policy

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/warrenvpn/warren/context/spec"
)

// Attributes are what a session gets.
type Attributes struct {
	TunnelGroup  string
	GroupPolicy  string // "" for the built-in defaults
	RemoteAccess bool
	Unique       spec.Unique
	Expires      time.Time // when the user may have no session any more; zero: never
	spec.PolicyAttributes
}

// Set holds the groups and policies of one tenant. It is not changed after
// NewSet.
type Set struct {
	list     []*spec.TunnelGroup // in the order of the configuration
	groups   map[string]*spec.TunnelGroup
	policies map[string]*spec.GroupPolicy
	users    map[string]*spec.User
	zones    map[string]*time.Location
}

// Subject is whom attributes are for.
type Subject struct {
	Group string // the tunnel group
	User  string // the identity, proven; "": nobody's in particular
	// Said is what an authentication server says; nil: nothing. A group policy of a name that
	// there is not does not count.
	Said *spec.Attributes
	// Interface is where the peer comes in; "": it is not known.
	Interface string
}

// NewSet returns the groups and policies of t.
func NewSet(t *spec.Tenant) *Set {
	s := &Set{
		groups:   make(map[string]*spec.TunnelGroup, len(t.TunnelGroups)),
		policies: make(map[string]*spec.GroupPolicy, len(t.GroupPolicies)),
		users:    make(map[string]*spec.User, len(t.Users)),
		zones:    make(map[string]*time.Location),
	}
	for i := range t.Users {
		s.users[t.Users[i].Name] = &t.Users[i]
	}
	for i := range t.TunnelGroups {
		g := &t.TunnelGroups[i]
		s.list = append(s.list, g)
		s.groups[g.Name] = g
	}
	for i := range t.GroupPolicies {
		p := &t.GroupPolicies[i]
		s.policies[p.Name] = p
		if zone, err := spec.Zone(p.TimeZone); err == nil {
			s.zones[p.TimeZone] = zone
		}
	}
	return s
}

// HasGroup reports whether there is a tunnel group called name.
func (s *Set) HasGroup(name string) bool { return s.groups[name] != nil }

// Resolve returns what a session of a subject gets, and false where there is no such
// tunnel group.
func (s *Set) Resolve(q Subject) (Attributes, bool) {
	a, _, ok := s.resolve(q)
	return a, ok
}

// layer is one of those who say attributes.
type layer struct {
	source Source
	values *spec.PolicyAttributes
	sets   []spec.Attribute // nil: all
}

func (l *layer) says(name spec.Attribute) bool { return l.sets == nil || slices.Contains(l.sets, name) }

// saidLayer is what somebody says of a user; what is zero is not said.
func saidLayer(from Source, a *spec.Attributes) layer {
	l := layer{source: from, sets: []spec.Attribute{}, values: &spec.PolicyAttributes{
		AddressPools: a.Pools, DNSServers: a.DNSServers, Banner: a.Banner, SplitTunnel: a.SplitTunnel,
		SessionTimeout: a.SessionTimeout, IdleTimeout: a.IdleTimeout,
	}}
	for name, is := range map[spec.Attribute]bool{
		spec.AddressPools: len(a.Pools) > 0, spec.DNSServers: len(a.DNSServers) > 0, spec.Banner: a.Banner != "",
		spec.Split: len(a.SplitTunnel) > 0, spec.SessionTimeout: a.SessionTimeout > 0,
		spec.IdleTimeout: a.IdleTimeout > 0,
	} {
		if is {
			l.sets = append(l.sets, name)
		}
	}
	return l
}

// userLayer is what the user's entry in the configuration says.
func userLayer(u *spec.User) layer {
	l := saidLayer(Source{User, u.Name}, &u.Attributes)
	if u.SimultaneousLogins != nil {
		l.values.SimultaneousLogins = *u.SimultaneousLogins
		l.sets = append(l.sets, spec.SimultaneousLogins)
	}
	if u.GroupLock != "" {
		l.values.GroupLock = u.GroupLock
		l.sets = append(l.sets, spec.GroupLock)
	}
	return l
}

// resolve returns what a session gets, and for each of the attributes, in their order,
// who has said it.
func (s *Set) resolve(q Subject) (a Attributes, sources []Source, ok bool) {
	g := s.groups[q.Group]
	if g == nil {
		return a, nil, false
	}
	a = Attributes{TunnelGroup: g.Name, GroupPolicy: g.Policy, RemoteAccess: g.Type == spec.RemoteAccess,
		Unique: g.Unique}
	a.TunnelProtocols = []spec.Protocol{spec.IKEv2}
	var layers []layer
	named := ""
	if u := s.users[q.User]; u != nil {
		a.Expires, named = u.Expires, u.GroupPolicy
		layers = append(layers, userLayer(u))
	}
	if q.Said != nil {
		named = cmp.Or(named, q.Said.GroupPolicy)
		layers = append(layers, saidLayer(Source{Server, ""}, q.Said))
	}
	if p := s.policies[named]; p != nil {
		a.GroupPolicy = p.Name
		layers = append(layers, layer{Source{NamedPolicy, p.Name}, &p.PolicyAttributes, p.Sets})
	}
	if p := s.policies[g.Policy]; p != nil && p.Name != spec.DefaultGroupPolicy {
		layers = append(layers, layer{Source{GroupPolicy, p.Name}, &p.PolicyAttributes, p.Sets})
	}
	if p := s.policies[spec.DefaultGroupPolicy]; p != nil {
		layers = append(layers, layer{Source{DefaultPolicy, p.Name}, &p.PolicyAttributes, nil})
	}
	sources = make([]Source, len(table))
	for i := range table {
		for j := range layers {
			if layers[j].says(table[i].name) {
				table[i].copy(&a.PolicyAttributes, layers[j].values)
				sources[i] = layers[j].source
				break
			}
		}
	}
	s.pools(&a, g, q.Interface, sources)
	return a, sources, true
}

// pools settles which pools there are: the tunnel group's where no policy says, and of
// those by interface the ones of where the peer comes in.
func (s *Set) pools(a *Attributes, g *spec.TunnelGroup, iface string, sources []Source) {
	if a.AddressPools == nil && len(a.InterfacePools) == 0 {
		a.AddressPools, a.InterfacePools = g.AddressPools, g.InterfacePools
		i := slices.IndexFunc(table, func(x attribute) bool { return x.name == spec.AddressPools })
		sources[i] = Source{TunnelGroup, g.Name}
		if slices.Contains(g.Inherits, string(spec.AddressPools)) {
			sources[i] = Source{TunnelGroup, spec.DefaultRAGroup}
		}
	}
	for _, by := range a.InterfacePools {
		if by.Interface == iface {
			a.AddressPools = by.Pools
		}
	}
}

// Within returns whether there may be a session at now, and until when; the zero time:
// for ever. A time zone that this program does not know has no hours.
func (s *Set) Within(a *Attributes, now time.Time) (until time.Time, ok bool) {
	if len(a.AccessHours) == 0 {
		return time.Time{}, true
	}
	zone := s.zones[a.TimeZone]
	if zone == nil {
		return time.Time{}, false
	}
	return within(a.AccessHours, now.In(zone))
}

// within returns the end of the hours that now, in its local time, lies in. Hours that
// follow one another without a gap are one; a week of them never ends.
func within(list []spec.Hours, now time.Time) (until time.Time, ok bool) {
	at, days := now, 0
	for ; days <= 7; days++ {
		next, inside := endOfHours(list, at)
		if !inside {
			break
		}
		at, ok = next, true
	}
	if days > 7 {
		return time.Time{}, true
	}
	return at, ok
}

// endOfHours returns the latest end, on the day of now, of hours that now lies in, and of
// those that follow them without a gap.
func endOfHours(list []spec.Hours, now time.Time) (end time.Time, ok bool) {
	year, month, day := now.Date()
	clock := func(minute int) time.Time { return time.Date(year, month, day, 0, minute, 0, 0, now.Location()) }
	end = now
	for range list { // each pass but the last finds hours that follow
		for _, h := range list {
			to := clock(h.To)
			if h.Days&(1<<now.Weekday()) != 0 && !end.Before(clock(h.From)) && end.Before(to) {
				end, ok = to, true
			}
		}
	}
	return end, ok
}

// Interface returns the interface of t that has the address a; "": none has.
func Interface(t *spec.Tenant, a netip.Addr) string {
	for _, i := range t.Interfaces {
		if slices.ContainsFunc(i.Addresses, func(p netip.Prefix) bool { return p.Addr() == a }) ||
			slices.Contains(i.Standby, a) {
			return i.Name
		}
	}
	return ""
}
