package configs

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"testing"

	"github.com/warrenvpn/warren/configs/contract"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/internal/secret"
)

// TestGroupHash: what the nodes of a pair must have alike counts, and nothing
// that is each node's own.
func TestGroupHash(t *testing.T) {
	hash := func(edit func(*System)) [16]byte {
		s := &System{
			Name: "a", StateDir: "/a", Interfaces: []Interface{{Name: "Ethernet0/0", Device: "a-out"}},
			Failover: &Failover{Unit: failover.UnitPrimary, Key: secret.Copy([]byte("the key of the pair"))},
			Contexts: []Tenant{
				{Name: "acme", FailoverGroup: "1",
					Allocations: []Allocation{{Interface: "Ethernet0/0", Name: "outside"}}, Spec: &spec.Tenant{
						Name: "acme", Secrets: []secret.Value{secret.Copy([]byte("psk"))},
						Pools: []spec.Pool{{Name: "p", Start: netip.MustParseAddr("10.0.0.1"),
							End: netip.MustParseAddr("10.0.0.9")}},
					}},
				{Name: "blue", FailoverGroup: "1", Spec: &spec.Tenant{Name: "blue"}},
				{Name: "other", FailoverGroup: "2", Spec: &spec.Tenant{Name: "other"}},
			},
		}
		edit(s)
		return GroupHash(s, "1", s.Failover.Key)
	}
	want := hash(func(*System) {})
	alone := &System{Failover: &Failover{}, Contexts: []Tenant{{Name: "acme", FailoverGroup: "acme",
		Spec: &spec.Tenant{Name: "acme"}}}}
	key := secret.Copy([]byte("the key of the pair"))
	if TenantHash(alone.Contexts[0], key) != GroupHash(alone, "acme", key) {
		t.Error("the hash of a context is not that of a group of its own")
	}
	for what, edit := range map[string]func(*System){
		"names and devices of the node": func(s *System) {
			s.Name, s.StateDir, s.Interfaces[0].Device = "b",
				"/b", "b-out"
		},
		"the unit":              func(s *System) { s.Failover.Unit = failover.UnitSecondary },
		"limits of the machine": func(s *System) { s.Contexts[0].Spec.Limits.Memory = 1 << 30 },
		"the order of contexts": func(s *System) {
			s.Contexts[0], s.Contexts[1] = s.Contexts[1],
				s.Contexts[0]
		},
		"another group": func(s *System) { s.Contexts[2].Spec.Class = "gold" },
	} {
		if hash(edit) != want {
			t.Errorf("%s must not count", what)
		}
	}
	for what, edit := range map[string]func(*System){
		"a pool":         func(s *System) { s.Contexts[0].Spec.Pools[0].End = netip.MustParseAddr("10.0.0.8") },
		"a secret":       func(s *System) { s.Contexts[0].Spec.Secrets[0] = secret.Copy([]byte("other")) },
		"a context less": func(s *System) { s.Contexts = s.Contexts[:1] },
		"an allocation":  func(s *System) { s.Contexts[0].Allocations[0].Name = "dmz" },
		"suspension":     func(s *System) { s.Contexts[1].Suspended = true },
		"the key":        func(s *System) { s.Failover.Key = secret.Copy([]byte("another key of a pair")) },
	} {
		if hash(edit) == want {
			t.Errorf("%s must count", what)
		}
	}
}

// TestPlain: what is zero is not there, so that a field which a newer program has
// does not make two nodes differ; what is not zero is.
func TestPlain(t *testing.T) {
	got := string(plain(&spec.Tenant{
		Name:       "blue",
		Interfaces: []spec.Interface{{}, {Name: "outside", MTU: 1400, Shutdown: true}},
		Secrets:    []secret.Value{secret.Copy([]byte("psk"))},
	}))
	if want := `{"Interfaces":[null,{"MTU":1400,"Name":"outside","Shutdown":true}],"Name":"blue"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestNeighboursCompare shows what nodes compare of some contexts. Where the golden file
// changes, nodes of neighbouring versions take the same text for different
// configurations, and neither is ready to take over from the other: see GroupHash.
func TestNeighboursCompare(t *testing.T) {
	var out bytes.Buffer
	for _, file := range []string{"system.hcl", "pair/system-a.hcl", "next/system.hcl"} {
		sys, diags := Load(withKeys{FSLoader{FS: contract.Files}}, file, machine)
		if diags.HasErrors() {
			t.Fatal(report(t, diags))
		}
		for _, c := range sys.Contexts {
			tenant := *c.Spec
			tenant.Limits = spec.Limits{}
			out.WriteString(file + ": " + c.Name + "\n")
			if err := json.Indent(&out, plain(&tenant), "", "  "); err != nil {
				t.Fatal(err)
			}
			out.WriteString("\n")
		}
	}
	golden(t, "testdata/pairing.golden", out.String())
}
