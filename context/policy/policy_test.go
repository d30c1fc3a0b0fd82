package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/ike/identity"
)

var addr, prefix = netip.MustParseAddr, netip.MustParsePrefix

// tenant has a group "sales" whose policy "staff" stands before DfltGrpPolicy, and a policy
// "guests" that somebody may be given by name.
func tenant() *spec.Tenant {
	base := spec.PolicyAttributes{
		DNSServers: []netip.Addr{addr("10.0.0.1")}, Banner: "be quiet", IdleTimeout: time.Hour,
		TunnelProtocols: []spec.Protocol{spec.IKEv2}, SimultaneousLogins: 3,
	}
	staff, guests := base, base
	staff.DNSServers, staff.DefaultDomain = []netip.Addr{addr("10.0.0.2")}, "staff.example"
	staff.SplitTunnel = []netip.Prefix{prefix("10.1.0.0/16")}
	guests.Banner, guests.SplitTunnel, guests.SimultaneousLogins = "", nil, 1
	guests.AddressPools = []string{}
	none := 0
	return &spec.Tenant{
		Users: []spec.User{{Name: "alice", SimultaneousLogins: &none, GroupLock: "sales",
			Expires: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
			Attributes: spec.Attributes{GroupPolicy: "guests", Banner: "of alice",
				Addresses: []netip.Addr{addr("10.0.0.7"), addr("fd00::7")}}}},
		GroupPolicies: []spec.GroupPolicy{
			{Name: spec.DefaultGroupPolicy, PolicyAttributes: base,
				Sets: []spec.Attribute{spec.DNSServers, spec.Banner, spec.IdleTimeout}},
			{Name: "staff", PolicyAttributes: staff,
				Sets: []spec.Attribute{spec.DNSServers, spec.DefaultDomain, spec.Split}},
			{Name: "guests", PolicyAttributes: guests,
				Sets: []spec.Attribute{spec.Banner, spec.Split, spec.SimultaneousLogins, spec.AddressPools}},
		},
		TunnelGroups: []spec.TunnelGroup{
			{Name: "sales", Type: spec.RemoteAccess, Policy: "staff", AddressPools: []string{"p"},
				InterfacePools: []spec.InterfacePools{{Interface: "dmz", Pools: []string{"q", "p"}}}},
			{Name: "plain", Type: spec.RemoteAccess, Policy: spec.DefaultGroupPolicy,
				AddressPools: []string{"p"}, Inherits: []string{"address_pools"}},
			{Name: "orphan", Type: spec.SiteToSite},
		},
	}
}

// explained says the attributes that anybody has said, one a line.
func explained(list []Setting) string {
	var out strings.Builder
	for _, s := range list {
		if o := s.Source.Origin; o != BuiltIn && (s.Value != "none" || o != DefaultPolicy) {
			fmt.Fprintf(&out, "%s = %s: %v\n", s.Name, s.Value, s.Source)
		}
	}
	return out.String()
}

func TestPrecedence(t *testing.T) {
	set := NewSet(tenant())
	const rest = `tunnel_protocols = ikev2: group_policy "DfltGrpPolicy"
idle_timeout = 1h0m0s: group_policy "DfltGrpPolicy"
`
	for _, tt := range []struct {
		name string
		q    Subject
		want string
	}{
		{"the group's policy before the default", Subject{Group: "sales"},
			`dns_servers = 10.0.0.2: group_policy "staff"
default_domain = staff.example: group_policy "staff"
split_tunnel = 10.1.0.0/16: group_policy "staff"
address_pools = dmz: q, p; *: p: tunnel_group "sales"
tunnel_protocols = ikev2: group_policy "DfltGrpPolicy"
idle_timeout = 1h0m0s: group_policy "DfltGrpPolicy"
banner = be quiet: group_policy "DfltGrpPolicy"
simultaneous_logins = 3: group_policy "DfltGrpPolicy"
time_zone = UTC: group_policy "DfltGrpPolicy"
`},
		{"a named policy before the group's, none stops inheritance",
			Subject{Group: "sales", Said: &spec.Attributes{GroupPolicy: "guests"}},
			`dns_servers = 10.0.0.2: group_policy "staff"
default_domain = staff.example: group_policy "staff"
split_tunnel = none: group_policy "guests" of the user
address_pools = none: group_policy "guests" of the user
tunnel_protocols = ikev2: group_policy "DfltGrpPolicy"
idle_timeout = 1h0m0s: group_policy "DfltGrpPolicy"
banner = none: group_policy "guests" of the user
simultaneous_logins = 1: group_policy "guests" of the user
time_zone = UTC: group_policy "DfltGrpPolicy"
`},
		{"the server before all policies", Subject{Group: "sales", Said: &spec.Attributes{
			GroupPolicy: "guests", IdleTimeout: time.Minute, DNSServers: []netip.Addr{addr("10.0.0.3")}}},
			`dns_servers = 10.0.0.3: authentication server
default_domain = staff.example: group_policy "staff"
split_tunnel = none: group_policy "guests" of the user
address_pools = none: group_policy "guests" of the user
tunnel_protocols = ikev2: group_policy "DfltGrpPolicy"
idle_timeout = 1m0s: authentication server
banner = none: group_policy "guests" of the user
simultaneous_logins = 1: group_policy "guests" of the user
time_zone = UTC: group_policy "DfltGrpPolicy"
`},
		{"the user before the server", Subject{Group: "sales", User: "alice", Said: &spec.Attributes{
			GroupPolicy: "staff", IdleTimeout: time.Minute, Banner: "of the server"}},
			`dns_servers = 10.0.0.2: group_policy "staff"
default_domain = staff.example: group_policy "staff"
split_tunnel = none: group_policy "guests" of the user
address_pools = none: group_policy "guests" of the user
tunnel_protocols = ikev2: group_policy "DfltGrpPolicy"
idle_timeout = 1m0s: authentication server
banner = of alice: user "alice"
simultaneous_logins = 0: user "alice"
time_zone = UTC: group_policy "DfltGrpPolicy"
group_lock = sales: user "alice"
address = 10.0.0.7, fd00::7: user "alice"
expires = 2027-01-01T00:00:00Z: user "alice"
`},
		{"a policy that there is not", Subject{Group: "plain", Said: &spec.Attributes{GroupPolicy: "nobody's"}},
			`dns_servers = 10.0.0.1: group_policy "DfltGrpPolicy"
address_pools = p: tunnel_group "DefaultRAGroup"
` + rest + `banner = be quiet: group_policy "DfltGrpPolicy"
simultaneous_logins = 3: group_policy "DfltGrpPolicy"
time_zone = UTC: group_policy "DfltGrpPolicy"
`},
	} {
		_, list, ok := set.Explain(tt.q)
		if diff := cmp.Diff(tt.want, explained(list)); diff != "" || !ok {
			t.Errorf("%s: %v (-want +got):\n%s", tt.name, ok, diff)
		}
	}
	if _, _, ok := set.Explain(Subject{Group: "absent"}); ok || set.HasGroup("absent") || !set.HasGroup("plain") {
		t.Error("a group that is not there was found, or one that is was not")
	}
}

// TestOlderSpecification: an older supervisor says only what a policy has in all.
func TestOlderSpecification(t *testing.T) {
	old := tenant()
	for i := range old.GroupPolicies {
		old.GroupPolicies[i].Sets = nil
	}
	got, _ := NewSet(old).Resolve(Subject{Group: "sales"})
	want := old.GroupPolicies[1].PolicyAttributes
	if got.Banner != want.Banner || len(got.SplitTunnel) != 1 || got.SimultaneousLogins != 3 {
		t.Errorf("got %+v, want %+v", got.PolicyAttributes, want)
	}
}

func TestPoolsByInterface(t *testing.T) {
	set := NewSet(tenant())
	for iface, want := range map[string]string{"": "[p]", "outside": "[p]", "dmz": "[q p]"} {
		a, _ := set.Resolve(Subject{Group: "sales", Interface: iface})
		if got := fmt.Sprint(a.AddressPools); got != want {
			t.Errorf("over %q: %s, want %s", iface, got, want)
		}
	}
	here := &spec.Tenant{Interfaces: []spec.Interface{{Name: "dmz",
		Addresses: []netip.Prefix{prefix("192.0.2.1/24")}, Standby: []netip.Addr{addr("192.0.2.2")}}}}
	for a, want := range map[string]string{"192.0.2.1": "dmz", "192.0.2.2": "dmz", "192.0.2.3": ""} {
		if got := Interface(here, addr(a)); got != want {
			t.Errorf("%s is of %q, want %q", a, got, want)
		}
	}
}

func TestAccessHours(t *testing.T) {
	days := func(list ...time.Weekday) (mask uint8) {
		for _, d := range list {
			mask |= 1 << d
		}
		return mask
	}
	week := []spec.Hours{
		{Days: days(1, 2, 3, 4, 5), From: 7 * 60, To: 12 * 60},
		{Days: days(1, 2, 3, 4, 5), From: 12 * 60, To: 20 * 60}, // without a gap
		{Days: days(5), From: 22 * 60, To: 24 * 60},
		{Days: days(6), From: 0, To: 90},
		{Days: days(0), From: 60, To: 4 * 60}, // when clocks change
	}
	always := []spec.Hours{{Days: 1<<7 - 1, To: 24 * 60}}
	for _, tt := range []struct {
		name, zone, now string
		hours           []spec.Hours
		until           string
		ok              bool
	}{
		{"none", "", "2026-12-02T03:00:00Z", nil, "", true},
		{"inside, over two", "", "2026-12-02T07:00:00Z", week, "2026-12-02T20:00:00Z", true},
		{"before", "", "2026-12-02T06:59:59Z", week, "", false},
		{"at the end", "", "2026-12-02T20:00:00Z", week, "", false},
		{"zone", "Europe/Berlin", "2026-12-02T06:00:00Z", week, "2026-12-02T19:00:00Z", true},
		{"zone in summer", "Europe/Berlin", "2026-07-01T05:00:00Z", week, "2026-07-01T18:00:00Z", true},
		{"over midnight", "", "2026-12-04T23:00:00Z", week, "2026-12-05T01:30:00Z", true},
		{"an hour is left out", "Europe/Berlin", "2026-03-29T00:30:00Z", week, "2026-03-29T02:00:00Z", true},
		{"an hour comes twice", "Europe/Berlin", "2026-10-25T00:30:00Z", week, "2026-10-25T03:00:00Z", true},
		{"always", "Asia/Tokyo", "2026-12-02T03:00:00Z", always, "", true},
		{"unknown zone", "Nowhere/Land", "2026-12-02T10:00:00Z", always, "", false},
	} {
		set := NewSet(&spec.Tenant{GroupPolicies: []spec.GroupPolicy{{
			Name: spec.DefaultGroupPolicy, PolicyAttributes: spec.PolicyAttributes{TimeZone: tt.zone}}}})
		now, err := time.Parse(time.RFC3339, tt.now)
		if err != nil {
			t.Fatal(err)
		}
		a := Attributes{PolicyAttributes: spec.PolicyAttributes{AccessHours: tt.hours, TimeZone: tt.zone}}
		until, ok := set.Within(&a, now)
		got := ""
		if !until.IsZero() && ok {
			got = until.UTC().Format(time.RFC3339)
		}
		if got != tt.until || ok != tt.ok {
			t.Errorf("%s: until %q, %v; want %q, %v", tt.name, got, ok, tt.until, tt.ok)
		}
	}
}

func TestGroupOf(t *testing.T) {
	group := func(name string, patterns ...string) spec.TunnelGroup {
		g := spec.TunnelGroup{Name: name, Type: spec.RemoteAccess}
		for _, p := range patterns {
			g.RemoteIdentities = append(g.RemoteIdentities, identity.MustParsePattern(p))
		}
		return g
	}
	set := NewSet(&spec.Tenant{TunnelGroups: []spec.TunnelGroup{
		group("DefaultRAGroup"), group("all", "*@example"), group("alice", "alice@example", "al"),
		{Name: "site", Type: spec.SiteToSite},
	}})
	for user, want := range map[string]string{"alice@example": "alice", "bob@example": "all",
		"carol": "DefaultRAGroup", "": "DefaultRAGroup"} {
		if got, ok := set.GroupOf(user); got != want || !ok {
			t.Errorf("%q gets %q, %v; want %q", user, got, ok, want)
		}
	}
	if got := fmt.Sprint(set.Groups()); got != "[DefaultRAGroup alice all]" {
		t.Errorf("groups: %s", got)
	}
	set = NewSet(&spec.Tenant{TunnelGroups: []spec.TunnelGroup{group("alice", "alice@example")}})
	if got, ok := set.GroupOf("bob@example"); ok {
		t.Errorf("bob gets %q", got)
	}
}
