package policy

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/warrenvpn/warren/context/spec"
)

func TestResolve(t *testing.T) {
	dns := []netip.Addr{netip.MustParseAddr("10.0.0.53")}
	set := NewSet(&spec.Tenant{
		GroupPolicies: []spec.GroupPolicy{
			{Name: "staff", DNSServers: dns, TunnelProtocols: []spec.Protocol{spec.IKEv2}, IdleTimeout: time.Hour},
			{Name: "guests", AddressPools: []string{"g"}, TunnelProtocols: []spec.Protocol{spec.IKEv2},
				SimultaneousLogins: 1},
		},
		TunnelGroups: []spec.TunnelGroup{
			{Name: "plain", Type: spec.SiteToSite},
			{Name: "a", Type: spec.RemoteAccess, Policy: "staff", AddressPools: []string{"p", "q"}},
			{Name: "b", Type: spec.RemoteAccess, Policy: "guests", AddressPools: []string{"p"}},
		},
	})
	tests := []struct {
		group string
		want  Attributes
		ok    bool
	}{
		{"plain", Attributes{TunnelGroup: "plain", TunnelProtocols: []spec.Protocol{spec.IKEv2}}, true},
		{"a", Attributes{TunnelGroup: "a", GroupPolicy: "staff", RemoteAccess: true, DNSServers: dns,
			AddressPools: []string{"p", "q"}, TunnelProtocols: []spec.Protocol{spec.IKEv2}, IdleTimeout: time.Hour},
			true},
		{"b", Attributes{TunnelGroup: "b", GroupPolicy: "guests", RemoteAccess: true,
			AddressPools: []string{"g"}, TunnelProtocols: []spec.Protocol{spec.IKEv2}, SimultaneousLogins: 1}, true},
		{"absent", Attributes{}, false},
	}
	for _, tt := range tests {
		got, ok := set.Resolve(tt.group)
		if diff := cmp.Diff(tt.want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" || ok != tt.ok {
			t.Errorf("Resolve(%q) = %v (-want +got):\n%s", tt.group, ok, diff)
		}
		if set.HasGroup(tt.group) != tt.ok {
			t.Errorf("HasGroup(%q) = %v", tt.group, !tt.ok)
		}
	}
}
