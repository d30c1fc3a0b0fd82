package plan

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/ike/auth"
	"github.com/warrenvpn/warren/internal/secret"
)

// TestConcerned: what of a change SAs that stand may depend on, and what not.
func TestConcerned(t *testing.T) {
	tenant := func() *spec.Tenant {
		return &spec.Tenant{
			Secrets: []secret.Value{secret.Copy([]byte("a key"))},
			TunnelGroups: []spec.TunnelGroup{{Name: "staff", Local: spec.PSK{Key: 1}, Remote: spec.PSK{Key: 1},
				Policy: "all"}},
			GroupPolicies: []spec.GroupPolicy{{Name: "all"}},
			Pools: []spec.Pool{{Name: "p", Start: netip.MustParseAddr("10.0.0.10"),
				End: netip.MustParseAddr("10.0.0.20")}},
			CryptoMaps: []spec.CryptoMap{{Interface: "outside",
				Entries: []spec.CryptoEntry{{Name: "site", TunnelGroup: "staff"}}}},
		}
	}
	tests := []struct {
		name string
		edit func(*spec.Tenant)
		want []string
	}{
		{"nothing", func(*spec.Tenant) {}, nil},
		{"its MTU", func(n *spec.Tenant) { n.DataPlane.MTU = 1400 }, nil},
		{"a key", func(n *spec.Tenant) { n.Secrets[0] = secret.Copy([]byte("another")) },
			[]string{`keys of tunnel_group "staff"`}},
		{"an identity", func(n *spec.Tenant) { n.TunnelGroups[0].LocalIdentity = auth.MustParseIdentity("a.example") },
			[]string{`identities of tunnel_group "staff"`}},
		{"another peer", func(n *spec.Tenant) {
			n.TunnelGroups[0].RemoteIdentities = []auth.Pattern{auth.MustParsePattern("*.example")}
		},
			[]string{`identities of tunnel_group "staff"`}},
		{"keys of single identities", func(n *spec.Tenant) {
			n.TunnelGroups[0].Remote = spec.PSKs{{Identity: auth.MustParseIdentity("alice@example"), PSK: 1}}
		}, []string{`keys of tunnel_group "staff"`}},
		{"no key", func(n *spec.Tenant) { n.TunnelGroups[0].Local = nil }, []string{`keys of tunnel_group "staff"`}},
		{"a policy", func(n *spec.Tenant) { n.TunnelGroups[0].Policy = "other" },
			[]string{`networks and pools of tunnel_group "staff"`}},
		{"a group that goes, and one that comes", func(n *spec.Tenant) { n.TunnelGroups[0].Name = "guests" },
			[]string{`tunnel_group "staff"`, `tunnel_group "guests"`}},
		{"protocols", func(n *spec.Tenant) { n.GroupPolicies[0].AddressPools = []string{"p"} },
			[]string{`networks, pools and protocols of group_policy "all"`}},
		{"a policy that goes", func(n *spec.Tenant) { n.GroupPolicies = nil }, nil},
		{"a smaller pool", func(n *spec.Tenant) { n.Pools[0].End = netip.MustParseAddr("10.0.0.19") },
			[]string{`ip_pool "p"`}},
		{"a larger pool", func(n *spec.Tenant) { n.Pools[0].End = netip.MustParseAddr("10.0.0.21") }, nil},
		{"an entry", func(n *spec.Tenant) { n.CryptoMaps[0].Entries[0].TunnelGroup = "guests" },
			[]string{`crypto_map entry "site" on outside`}},
	}
	for _, tt := range tests {
		next := tenant()
		tt.edit(next)
		if diff := cmp.Diff(tt.want, concerned(tenant(), next)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}
