// Package policy resolves what a session gets: the attributes of its tunnel
// group's policy over the built-in defaults. It does no I/O and decides nothing
// about addresses, which are leased by package pool.
package policy

import (
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/context/spec"
)

// Attributes are what a session gets.
type Attributes struct {
	TunnelGroup        string
	GroupPolicy        string // "" for the built-in defaults
	RemoteAccess       bool
	DNSServers         []netip.Addr
	DefaultDomain      string
	SplitTunnel        []netip.Prefix // empty: everything goes through the tunnel
	AddressPools       []string       // tried in this order
	TunnelProtocols    []spec.Protocol
	SessionTimeout     time.Duration // 0: none
	IdleTimeout        time.Duration // 0: none
	Banner             string
	SimultaneousLogins int // 0: nobody may log in; spec.UnlimitedLogins: no bound
	Unique             spec.Unique
}

// Set holds the groups and policies of one tenant. It is not changed after
// NewSet.
type Set struct {
	groups   map[string]spec.TunnelGroup
	policies map[string]spec.GroupPolicy
}

// NewSet returns the groups and policies of t.
func NewSet(t *spec.Tenant) *Set {
	s := &Set{
		groups:   make(map[string]spec.TunnelGroup, len(t.TunnelGroups)),
		policies: make(map[string]spec.GroupPolicy, len(t.GroupPolicies)),
	}
	for _, g := range t.TunnelGroups {
		s.groups[g.Name] = g
	}
	for _, p := range t.GroupPolicies {
		s.policies[p.Name] = p
	}
	return s
}

// HasGroup reports whether there is a tunnel group called name.
func (s *Set) HasGroup(name string) bool {
	_, ok := s.groups[name]
	return ok
}

// Resolve returns what a session of the tunnel group called group gets, and
// false where there is no such group. The policy's pools take the place of the
// group's.
func (s *Set) Resolve(group string) (Attributes, bool) {
	g, ok := s.groups[group]
	if !ok {
		return Attributes{}, false
	}
	a := Attributes{
		TunnelGroup:     g.Name,
		GroupPolicy:     g.Policy,
		RemoteAccess:    g.Type == spec.RemoteAccess,
		AddressPools:    g.AddressPools,
		TunnelProtocols: []spec.Protocol{spec.IKEv2},
		Unique:          g.Unique,
	}
	p, ok := s.policies[g.Policy]
	if !ok {
		return a, true
	}
	a.DNSServers = p.DNSServers
	a.DefaultDomain = p.DefaultDomain
	a.SplitTunnel = p.SplitTunnel
	a.TunnelProtocols = p.TunnelProtocols
	a.SessionTimeout = p.SessionTimeout
	a.IdleTimeout = p.IdleTimeout
	a.Banner = p.Banner
	a.SimultaneousLogins = p.SimultaneousLogins
	if len(p.AddressPools) > 0 {
		a.AddressPools = p.AddressPools
	}
	return a, true
}
