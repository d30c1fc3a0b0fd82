package configs

import (
	"net/netip"
	"testing"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/internal/secret"
)

func TestFingerprint(t *testing.T) {
	tenant := func() *spec.Tenant {
		return &spec.Tenant{
			Name: "blue",
			Interfaces: []spec.Interface{
				{Name: "outside", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}}},
			Secrets: []secret.Value{secret.Copy([]byte("ab")), secret.Copy([]byte("c"))},
		}
	}
	key := []byte("key")
	base := Fingerprint(tenant(), key)
	if again := Fingerprint(tenant(), key); again != base {
		t.Errorf("equal tenants: %s and %s", base, again)
	}
	seen := map[string]string{base: "nothing"}
	for name, change := range map[string]func(*spec.Tenant){
		"name": func(t *spec.Tenant) { t.Name = "red" },
		"address": func(t *spec.Tenant) {
			t.Interfaces[0].Addresses[0] = netip.MustParsePrefix("192.0.2.2/24")
		},
		"MAC":    func(t *spec.Tenant) { t.Interfaces[0].MAC = spec.MAC{2} },
		"secret": func(t *spec.Tenant) { t.Secrets[1] = secret.Copy([]byte("d")) },
		"border of secrets": func(t *spec.Tenant) {
			t.Secrets = []secret.Value{secret.Copy([]byte("a")), secret.Copy([]byte("bc"))}
		},
		"number of secrets": func(t *spec.Tenant) { t.Secrets = t.Secrets[:1] },
		"limit":             func(t *spec.Tenant) { t.Limits.Sessions = 1 },
		"reference into secrets": func(t *spec.Tenant) {
			t.TunnelGroups = []spec.TunnelGroup{{Local: spec.PSK{Key: 1}}}
		},
		"other reference into it": func(t *spec.Tenant) {
			t.TunnelGroups = []spec.TunnelGroup{{Local: spec.PSK{Key: 2}}}
		},
		"third kind of a reference": func(t *spec.Tenant) {
			t.TunnelGroups = []spec.TunnelGroup{{Remote: spec.PSK{Key: 2}}}
		},
	} {
		changed := tenant()
		change(changed)
		got := Fingerprint(changed, key)
		if other, ok := seen[got]; ok {
			t.Errorf("changes of %s and of %s have one fingerprint", name, other)
		}
		seen[got] = name
	}
	if _, ok := seen[Fingerprint(tenant(), []byte("other"))]; ok {
		t.Error("the key does not count")
	}
}
