package spec

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a worker sees no files of the host
)

// GroupPolicy is what the sessions of a tunnel group get, or those of a user. Its values
// are whole: what it leaves out it has from DfltGrpPolicy already.
type GroupPolicy struct {
	Name string
	PolicyAttributes

	// Sets are the attributes that the policy says itself; another policy, which stands
	// behind it, may say the others. nil, as older supervisors leave it: all.
	Sets []Attribute
}

// DefaultGroupPolicy is the group policy that all others inherit from.
const DefaultGroupPolicy = "DfltGrpPolicy"

// PolicyAttributes are what a session gets.
type PolicyAttributes struct {
	DNSServers    []netip.Addr
	WINSServers   []netip.Addr `json:",omitempty"` // IPv4
	DefaultDomain string
	// SplitTunnel are the networks that clients reach through the tunnel; empty: all.
	// SplitExclude are those that were left out of it, for people: SplitTunnel is all but
	// these already.
	SplitTunnel  []netip.Prefix
	SplitExclude []netip.Prefix `json:",omitempty"`
	SplitDNS     []string       `json:",omitempty"` // domains that the DNSServers are asked about (RFC 8598)

	// AddressPools override the tunnel group's, unless they are nil; empty: there is no
	// pool. InterfacePools take their place for peers of some interfaces.
	AddressPools   []string
	InterfacePools []InterfacePools `json:",omitempty"`

	TunnelProtocols []Protocol    // what a session may come by
	SessionTimeout  time.Duration // 0: none
	IdleTimeout     time.Duration // 0: none
	Banner          string
	// SimultaneousLogins is how many sessions one identity may have at once; 0:
	// nobody may log in; UnlimitedLogins: any number.
	SimultaneousLogins int

	AccessHours []Hours `json:",omitempty"` // when there may be sessions; empty: always
	TimeZone    string  `json:",omitempty"` // of AccessHours, by its name of the IANA; "": UTC
	GroupLock   string  `json:",omitempty"` // the only tunnel group for a session; "": any
}

// InterfacePools are the pools for peers that come in over one interface.
type InterfacePools struct {
	Interface string
	Pools     []string // tried in this order
}

// AllPools returns pools, and those for peers of some interfaces.
func AllPools(pools []string, by []InterfacePools) []string {
	all := slices.Clone(pools)
	for _, b := range by {
		all = append(all, b.Pools...)
	}
	return all
}

// Hours are some hours of some days of the week, in local time.
type Hours struct {
	Days     uint8 // bit n: time.Weekday n
	From, To int   // minutes of the day, 0 to 1440; From is before To
}

// Zone returns the time zone that the IANA calls name; "": UTC.
func Zone(name string) (*time.Location, error) { return time.LoadLocation(name) }

// Attribute names one of the PolicyAttributes, as configurations write it.
type Attribute string

// The attributes. Split is both split_tunnel and split_exclude: one takes the place of the other.
const (
	DNSServers         Attribute = "dns_servers"
	WINSServers        Attribute = "wins_servers"
	DefaultDomain      Attribute = "default_domain"
	Split              Attribute = "split_tunnel"
	SplitDNS           Attribute = "split_dns"
	AddressPools       Attribute = "address_pools"
	TunnelProtocols    Attribute = "tunnel_protocols"
	SessionTimeout     Attribute = "session_timeout"
	IdleTimeout        Attribute = "idle_timeout"
	Banner             Attribute = "banner"
	SimultaneousLogins Attribute = "simultaneous_logins"
	AccessHours        Attribute = "access_hours"
	TimeZone           Attribute = "time_zone"
	GroupLock          Attribute = "group_lock"
)

// weekdays are the words for days, in the order of time.Weekday.
var weekdays = [...]string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}

// String prints the hours as configurations write them: "Mon-Fri 07:00-20:00".
func (h Hours) String() string {
	return fmt.Sprintf("%s %02d:%02d-%02d:%02d", h.days(), h.From/60, h.From%60, h.To/60, h.To%60)
}

// days prints the days, of which there is one run that may go over the end of a week.
func (h Hours) days() string {
	const all = 1<<len(weekdays) - 1
	if h.Days&all == all {
		return "daily"
	}
	has := func(day int) bool { return h.Days&(1<<((day+len(weekdays))%len(weekdays))) != 0 }
	var runs []string
	for first := range weekdays {
		if !has(first) || has(first-1) {
			continue
		}
		last := first
		for has(last + 1) {
			last++
		}
		run := weekdays[first]
		if last > first {
			run += "-" + weekdays[last%len(weekdays)]
		}
		runs = append(runs, run)
	}
	return strings.Join(runs, ",")
}
