package policy

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/warrenvpn/warren/context/spec"
)

// Origin is who says an attribute, those whose word counts first in front.
type Origin uint8

// The origins.
const (
	BuiltIn       Origin = iota // nobody says it
	User                        // the user's entry in the configuration
	Server                      // the authentication server
	NamedPolicy                 // the group policy that the user's entry or the server names
	GroupPolicy                 // that of the tunnel group
	TunnelGroup                 // the tunnel group itself
	DefaultPolicy               // DfltGrpPolicy
)

// Source is an Origin and its name.
type Source struct {
	Origin Origin
	Name   string
}

// String returns the source in the words of the configuration.
func (s Source) String() string {
	switch s.Origin {
	case BuiltIn:
		return "default"
	case User:
		return fmt.Sprintf("user %q", s.Name)
	case Server:
		return "authentication server"
	case NamedPolicy:
		return fmt.Sprintf("group_policy %q of the user", s.Name)
	case GroupPolicy, DefaultPolicy:
		return fmt.Sprintf("group_policy %q", s.Name)
	case TunnelGroup:
		return fmt.Sprintf("tunnel_group %q", s.Name)
	}
	return "unknown source"
}

// Setting is the value of one attribute, and who says it.
type Setting struct {
	Name   string // as configurations write it
	Value  string // "none": nothing
	Source Source
}

// Explain returns what a session of a subject gets, attribute by attribute; false where
// there is no such tunnel group.
func (s *Set) Explain(q Subject) (Attributes, []Setting, bool) {
	a, sources, ok := s.resolve(q)
	if !ok {
		return a, nil, false
	}
	list := make([]Setting, 0, len(table))
	for i := range table {
		list = append(list, Setting{string(table[i].name), table[i].text(&a.PolicyAttributes), sources[i]})
	}
	if u := s.users[q.User]; u != nil {
		from := Source{User, u.Name}
		if len(u.Addresses) > 0 {
			list = append(list, Setting{"address", listed(u.Addresses), from})
		}
		if !u.Expires.IsZero() {
			list = append(list, Setting{"expires", u.Expires.UTC().Format(time.RFC3339), from})
		}
	}
	return a, list, true
}

// attribute is one of spec.PolicyAttributes: how it is taken over, and what it looks like.
type attribute struct {
	name spec.Attribute
	copy func(to, from *spec.PolicyAttributes)
	text func(a *spec.PolicyAttributes) string
}

// table is all attributes. To add one: a field and a name in package spec, its row here,
// and what reads it in package configs.
var table = []attribute{
	{spec.DNSServers,
		func(to, from *spec.PolicyAttributes) { to.DNSServers = from.DNSServers },
		func(a *spec.PolicyAttributes) string { return listed(a.DNSServers) }},
	{spec.WINSServers,
		func(to, from *spec.PolicyAttributes) { to.WINSServers = from.WINSServers },
		func(a *spec.PolicyAttributes) string { return listed(a.WINSServers) }},
	{spec.DefaultDomain,
		func(to, from *spec.PolicyAttributes) { to.DefaultDomain = from.DefaultDomain },
		func(a *spec.PolicyAttributes) string { return orNone(a.DefaultDomain) }},
	{spec.Split,
		func(to, from *spec.PolicyAttributes) {
			to.SplitTunnel, to.SplitExclude = from.SplitTunnel, from.SplitExclude
		},
		func(a *spec.PolicyAttributes) string {
			if len(a.SplitExclude) > 0 {
				return "all but " + listed(a.SplitExclude)
			}
			return listed(a.SplitTunnel)
		}},
	{spec.SplitDNS,
		func(to, from *spec.PolicyAttributes) { to.SplitDNS = from.SplitDNS },
		func(a *spec.PolicyAttributes) string { return listed(a.SplitDNS) }},
	{spec.AddressPools,
		func(to, from *spec.PolicyAttributes) {
			to.AddressPools, to.InterfacePools = from.AddressPools, from.InterfacePools
		},
		poolText},
	{spec.TunnelProtocols,
		func(to, from *spec.PolicyAttributes) { to.TunnelProtocols = from.TunnelProtocols },
		func(a *spec.PolicyAttributes) string { return listed(a.TunnelProtocols) }},
	{spec.SessionTimeout,
		func(to, from *spec.PolicyAttributes) { to.SessionTimeout = from.SessionTimeout },
		func(a *spec.PolicyAttributes) string { return durationText(a.SessionTimeout) }},
	{spec.IdleTimeout,
		func(to, from *spec.PolicyAttributes) { to.IdleTimeout = from.IdleTimeout },
		func(a *spec.PolicyAttributes) string { return durationText(a.IdleTimeout) }},
	{spec.Banner,
		func(to, from *spec.PolicyAttributes) { to.Banner = from.Banner },
		func(a *spec.PolicyAttributes) string { return orNone(a.Banner) }},
	{spec.SimultaneousLogins,
		func(to, from *spec.PolicyAttributes) { to.SimultaneousLogins = from.SimultaneousLogins },
		func(a *spec.PolicyAttributes) string {
			if a.SimultaneousLogins == spec.UnlimitedLogins {
				return "unlimited"
			}
			return strconv.Itoa(a.SimultaneousLogins)
		}},
	{spec.AccessHours,
		func(to, from *spec.PolicyAttributes) { to.AccessHours = from.AccessHours },
		func(a *spec.PolicyAttributes) string { return listed(a.AccessHours) }},
	{spec.TimeZone,
		func(to, from *spec.PolicyAttributes) { to.TimeZone = from.TimeZone },
		func(a *spec.PolicyAttributes) string {
			if a.TimeZone == "" {
				return "UTC"
			}
			return a.TimeZone
		}},
	{spec.GroupLock,
		func(to, from *spec.PolicyAttributes) { to.GroupLock = from.GroupLock },
		func(a *spec.PolicyAttributes) string { return orNone(a.GroupLock) }},
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// listed prints a list.
func listed[T any](list []T) string {
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = fmt.Sprint(v)
	}
	return orNone(strings.Join(words, ", "))
}

// poolText prints pools; those for some interfaces in front.
func poolText(a *spec.PolicyAttributes) string {
	if len(a.InterfacePools) == 0 {
		return listed(a.AddressPools)
	}
	var words []string
	for _, by := range a.InterfacePools {
		words = append(words, by.Interface+": "+listed(by.Pools))
	}
	if len(a.AddressPools) > 0 {
		words = append(words, "*: "+listed(a.AddressPools))
	}
	return strings.Join(words, "; ")
}

func durationText(d time.Duration) string {
	if d == 0 {
		return "none"
	}
	return d.String()
}
