package plan

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/internal/secret"
)

// TestConcerned: what of a change SAs that stand may depend on, and what not.
func TestConcerned(t *testing.T) {
	tenant := func() *spec.Tenant {
		return &spec.Tenant{
			Secrets: []secret.Value{secret.Copy([]byte("a key"))},
			TunnelGroups: []spec.TunnelGroup{{Name: "staff", Local: spec.PSK{Key: 1}, Remote: spec.PSK{Key: 1},
				Policy: "all"}, {Name: "laptops", Local: spec.Certificate{Trustpoint: "pki"},
				Remote: spec.Certificate{Trustpoint: "pki"}}},
			GroupPolicies: []spec.GroupPolicy{{Name: "all"}},
			Users:         []spec.User{{Name: "alice"}},
			Pools: []spec.Pool{{Name: "p", Start: netip.MustParseAddr("10.0.0.10"),
				End: netip.MustParseAddr("10.0.0.20")}},
			Trustpoints: []spec.Trustpoint{{Name: "pki", Chain: [][]byte{{1}}, Authorities: [][]byte{{2}, {3}}}},
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
		{"an identity", func(n *spec.Tenant) { n.TunnelGroups[0].LocalIdentity = identity.MustParse("a.example") },
			[]string{`identities of tunnel_group "staff"`}},
		{"another peer", func(n *spec.Tenant) {
			n.TunnelGroups[0].RemoteIdentities = []identity.Pattern{identity.MustParsePattern("*.example")}
		},
			[]string{`identities of tunnel_group "staff"`}},
		{"keys of single identities", func(n *spec.Tenant) {
			n.TunnelGroups[0].Remote = spec.PSKs{{Identity: identity.MustParse("alice@example"), PSK: 1}}
		}, []string{`keys of tunnel_group "staff"`}},
		{"no key", func(n *spec.Tenant) { n.TunnelGroups[0].Local = nil }, []string{`keys of tunnel_group "staff"`}},
		{"a renewed certificate", func(n *spec.Tenant) { n.Trustpoints[0].Chain = [][]byte{{4}} }, nil},
		{"one more authority", func(n *spec.Tenant) {
			n.Trustpoints[0].Authorities = [][]byte{{4}, {3}, {2}}
		}, nil},
		{"an authority less", func(n *spec.Tenant) { n.Trustpoints[0].Authorities = [][]byte{{3}} },
			[]string{`keys of tunnel_group "laptops"`}},
		{"certificates in place of a key", func(n *spec.Tenant) {
			n.TunnelGroups[0].Remote = spec.Certificate{Trustpoint: "pki"}
		}, []string{`keys of tunnel_group "staff"`}},
		{"a policy", func(n *spec.Tenant) { n.TunnelGroups[0].Policy = "other" },
			[]string{`networks and pools of tunnel_group "staff"`}},
		{"EAP in place of a key", func(n *spec.Tenant) { n.TunnelGroups[0].Remote = spec.EAP{} },
			[]string{`keys of tunnel_group "staff"`}},
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

// TestEveryFieldIsJudged changes one field after the other of what SAs are made by.
// Either the change concerns those that stand, and the plan says so, or it is known
// not to: the worker looks at it at the next rekeying, or login, and at no SA
// (ikev2.SA.Reconsider). A new field has to be put on one side.
func TestEveryFieldIsJudged(t *testing.T) {
	later := map[string]string{
		"TunnelGroup.Unique":                "it counts at the next login",
		"TunnelGroup.AuthenticationServers": "it counts at the next login",
		"TunnelGroup.RSASHA1":               "it counts at the next login",
		"TunnelGroup.DPD":                   "it is obeyed from the next question on",
		"TunnelGroup.Inherits":              "what is inherited counts, and not from whom",
		"GroupPolicy.Sets":                  "what is inherited counts, and not from whom",
		"Pool.Mask":                         "a client is told when it connects",
		"Pool.ReuseDelay":                   "it counts at the next login",

		"User.Password":             "it is asked for at the next login",
		"User.NTHash":               "it is asked for at the next login",
		"User.Argon2id":             "it is asked for at the next login",
		"User.SimultaneousLogins":   "it counts at the next login",
		"User.GroupLock":            "it counts at the next login",
		"User.Expires":              "it counts at the next login",
		"Attributes.DNSServers":     "a client is told when it connects",
		"Attributes.Banner":         "a client is told when it connects",
		"Attributes.SessionTimeout": "no SA ends for it but by its time",
		"Attributes.IdleTimeout":    "no SA ends for it but by its time",
		"Attributes.Class":          "it is for accounting",

		"PolicyAttributes.DNSServers":         "a client is told when it connects",
		"PolicyAttributes.WINSServers":        "a client is told when it connects",
		"PolicyAttributes.DefaultDomain":      "a client is told when it connects",
		"PolicyAttributes.SplitDNS":           "a client is told when it connects",
		"PolicyAttributes.Banner":             "a client is told when it connects",
		"PolicyAttributes.SessionTimeout":     "no SA ends for it but by its time",
		"PolicyAttributes.IdleTimeout":        "no SA ends for it but by its time",
		"PolicyAttributes.SimultaneousLogins": "it counts at the next login",
		"PolicyAttributes.AccessHours":        "they count at the next login",
		"PolicyAttributes.TimeZone":           "it counts at the next login",
		"PolicyAttributes.GroupLock":          "it counts at the next login",
		"PolicyAttributes.SplitExclude":       "split_tunnel is what is left of it",
		"CryptoEntry.Proposals":               "they hold from the next rekeying",
		"CryptoEntry.ReverseRoute":            "it moves routes, and no SA",
		"CryptoEntry.Initiate":                "it makes SAs, and ends none",
	}
	tenant := func() *spec.Tenant {
		return &spec.Tenant{
			Secrets:       []secret.Value{secret.Copy([]byte("a key")), secret.Copy([]byte("another"))},
			TunnelGroups:  []spec.TunnelGroup{{Name: "staff", Local: spec.PSK{Key: 1}, Remote: spec.PSK{Key: 1}}},
			GroupPolicies: []spec.GroupPolicy{{Name: "all"}},
			Users:         []spec.User{{Name: "alice"}},
			Pools: []spec.Pool{{Name: "p", Start: netip.MustParseAddr("10.0.0.10"),
				End: netip.MustParseAddr("10.0.0.20")}},
			CryptoMaps: []spec.CryptoMap{{Interface: "outside", Entries: []spec.CryptoEntry{{Name: "site"}}}},
		}
	}
	judged := map[string]bool{}
	for _, part := range []func(*spec.Tenant) reflect.Value{
		func(s *spec.Tenant) reflect.Value { return reflect.ValueOf(&s.TunnelGroups[0]).Elem() },
		func(s *spec.Tenant) reflect.Value { return reflect.ValueOf(&s.GroupPolicies[0]).Elem() },
		func(s *spec.Tenant) reflect.Value {
			return reflect.ValueOf(&s.GroupPolicies[0].PolicyAttributes).Elem()
		},
		func(s *spec.Tenant) reflect.Value { return reflect.ValueOf(&s.Users[0]).Elem() },
		func(s *spec.Tenant) reflect.Value { return reflect.ValueOf(&s.Users[0].Attributes).Elem() },
		func(s *spec.Tenant) reflect.Value { return reflect.ValueOf(&s.Pools[0]).Elem() },
		func(s *spec.Tenant) reflect.Value { return reflect.ValueOf(&s.CryptoMaps[0].Entries[0]).Elem() },
	} {
		of := part(tenant()).Type()
		for i := range of.NumField() {
			name := of.Name() + "." + of.Field(i).Name
			if of.Field(i).Anonymous {
				continue // a part of its own
			}
			next := tenant()
			alter(t, part(next).Field(i))
			why, waits := later[name]
			judged[name] = waits
			switch says := concerned(tenant(), next); {
			case name == "GroupPolicy.Name": // the groups that had it have another one: that is their change
			case waits && len(says) > 0:
				t.Errorf("%s concerns SAs (%q), and is known not to: %s", name, says, why)
			case !waits && len(says) == 0:
				t.Errorf("a change of %s concerns no SA, and nobody says why", name)
			}
		}
	}
	for name := range later {
		if !judged[name] {
			t.Errorf("there is no %s any more", name)
		}
	}
}

// alter gives a field another value.
func alter(t *testing.T, v reflect.Value) {
	t.Helper()
	switch old := v.Addr().Interface().(type) {
	case *time.Time:
		*old = old.Add(time.Hour)
	case **int:
		*old = new(int)
	case *netip.Addr:
		*old = netip.MustParseAddr("10.0.0.15") // of a pool: fewer addresses
	case *spec.Credential:
		*old = spec.PSK{Key: 2}
	case *identity.Identity:
		*old = identity.MustParse("a.example")
	default:
		switch v.Kind() {
		case reflect.String:
			v.SetString(v.String() + "x")
		case reflect.Bool:
			v.SetBool(!v.Bool())
		case reflect.Int, reflect.Int64:
			v.SetInt(v.Int() + 1)
		case reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		default:
			t.Fatalf("no other value of %v is known", v.Type())
		}
	}
}
