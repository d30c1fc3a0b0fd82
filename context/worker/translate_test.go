package worker

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/internal/secret"
)

// TestEngineConfig: what a specification says about who may have what reaches the
// engine.
func TestEngineConfig(t *testing.T) {
	tenant := &spec.Tenant{
		Interfaces: []spec.Interface{{Name: "outside", Addresses: []netip.Prefix{
			netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("2001:db8::1/64"),
		}}},
		Pools: []spec.Pool{{Name: "p", Start: netip.MustParseAddr("10.99.0.10"), End: netip.MustParseAddr("10.99.0.20")}},
		TunnelGroups: []spec.TunnelGroup{
			{Name: "DefaultRAGroup", Type: spec.RemoteAccess, RemotePSKs: []spec.IdentityPSK{{Identity: "alice@x", PSK: 1}}},
			{Name: "DefaultL2LGroup", Type: spec.SiteToSite},
			{Name: "sites", Type: spec.SiteToSite, RemoteNetworks: []netip.Prefix{netip.MustParsePrefix("10.30.0.0/16")}},
		},
		CryptoMaps: []spec.CryptoMap{{Interface: "outside", Entries: []spec.CryptoEntry{
			{Name: "one", Peer: netip.MustParseAddr("203.0.113.7"), TunnelGroup: "sites", Initiate: true},
			{Name: "two", Peer: netip.MustParseAddr("203.0.113.8"), TunnelGroup: "sites", Initiate: true, AnyAddress: true},
			{Name: "any", Dynamic: true},
		}}},
		Secrets: []secret.Value{secret.Copy([]byte("key of alice"))},
	}
	cfg := engineConfig(tenant)
	if got := fmt.Sprint(cfg.Pools); got != "[10.99.0.10-10.99.0.20]" {
		t.Errorf("pools: got %s", got)
	}
	var profiles, entries string
	for _, p := range cfg.Profiles {
		profiles += fmt.Sprintf("%s %v %v %d; ", p.Name, p.Fallback, p.RemoteNetworks, len(p.RemotePSKs))
	}
	if want := "DefaultRAGroup true [] 1; DefaultL2LGroup true [] 0; sites false [10.30.0.0/16] 0; "; profiles != want {
		t.Errorf("profiles: got %s\nwant %s", profiles, want)
	}
	if k := cfg.Profiles[0].RemotePSKs[0]; k.Identity != "alice@x" || string(k.PSK.Reveal()) != "key of alice" {
		t.Errorf("key of %s", k.Identity)
	}
	for _, e := range cfg.Entries {
		entries += fmt.Sprintf("%s %v any %v start %v; ", e.Name, e.Local, e.AnyAddress, e.Initiate)
	}
	want := "one 192.0.2.1 any false start true; two 192.0.2.1 any true start true; any 192.0.2.1 any false start false; " +
		"two 2001:db8::1 any true start false; any 2001:db8::1 any false start false; "
	if entries != want {
		t.Errorf("entries: got %s\nwant %s", entries, want)
	}
}
