package worker

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/ike"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/pki/pkitest"
	"github.com/warrenvpn/warren/internal/secret"
)

// TestEngineConfig: what a specification says about who may have what reaches the
// engine.
func TestEngineConfig(t *testing.T) {
	tenant := &spec.Tenant{
		Interfaces: []spec.Interface{{Name: "outside", Addresses: []netip.Prefix{
			netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("2001:db8::1/64"),
		}}},
		Pools: []spec.Pool{{Name: "p", Start: netip.MustParseAddr("10.99.0.10"),
			End: netip.MustParseAddr("10.99.0.20")}},
		TunnelGroups: []spec.TunnelGroup{
			{Name: "DefaultRAGroup", Type: spec.RemoteAccess,
				Remote: spec.PSKs{{Identity: identity.MustParse("alice@x"), PSK: 1}}},
			{Name: "DefaultL2LGroup", Type: spec.SiteToSite},
			{Name: "sites", Type: spec.SiteToSite,
				RemoteNetworks: []netip.Prefix{netip.MustParsePrefix("10.30.0.0/16")}},
		},
		CryptoMaps: []spec.CryptoMap{{Interface: "outside", Entries: []spec.CryptoEntry{
			{Name: "one", Peer: netip.MustParseAddr("203.0.113.7"), TunnelGroup: "sites", Initiate: true},
			{Name: "two", Peer: netip.MustParseAddr("203.0.113.8"), TunnelGroup: "sites", Initiate: true,
				AnyAddress: true},
			{Name: "any", Dynamic: true},
		}}},
		Secrets: []secret.Value{secret.Copy([]byte("key of alice"))},
	}
	cfg := mustConfig(t, tenant)
	if got := fmt.Sprint(cfg.Pools); got != "[10.99.0.10-10.99.0.20]" {
		t.Errorf("pools: got %s", got)
	}
	var profiles, entries string
	for _, p := range cfg.Profiles {
		profiles += fmt.Sprintf("%s %v %v %d; ", p.Name, p.Fallback, p.RemoteNetworks, len(p.Remotes))
	}
	if want := "DefaultRAGroup true [] 1; DefaultL2LGroup true [] 0; sites false [10.30.0.0/16] 0; "; profiles != want {
		t.Errorf("profiles: got %s\nwant %s", profiles, want)
	}
	if k := cfg.Profiles[0].Remotes[0]; k.Identity != identity.MustParse("alice@x") ||
		string(k.Credential.(exchange.PSK).Key.Reveal()) != "key of alice" {
		t.Errorf("key of %s", k.Identity)
	}
	for _, e := range cfg.Entries {
		entries += fmt.Sprintf("%s %v any %v start %v; ", e.Name, e.Local, e.AnyAddress, e.Initiate)
	}
	want := "one 192.0.2.1 any false start true; " +
		"two 192.0.2.1 any true start true; any 192.0.2.1 any false start false; " +
		"one 2001:db8::1 any false start false; two 2001:db8::1 any true start false; " +
		"any 2001:db8::1 any false start false; "
	if entries != want {
		t.Errorf("entries: got %s\nwant %s", entries, want)
	}
}

// TestCookies: a threshold of 0 asks everybody for a cookie, whatever the class says.
func TestCookies(t *testing.T) {
	for _, test := range []struct {
		threshold, limit int
		always           bool
		want             int
	}{
		{0, 0, true, 0}, {0, 1000, true, 0}, {100, 0, false, 100}, {100, 1000, false, 100}, {100, 20, false, 10},
		{100, 1, false, 1},
	} {
		tenant := &spec.Tenant{IKE: spec.IKE{CookieThreshold: test.threshold, MaxHalfOpen: 1000}}
		tenant.Limits.InNegotiate = test.limit
		cfg := mustConfig(t, tenant)
		if cfg.AlwaysCookie != test.always || cfg.CookieThreshold != test.want {
			t.Errorf("threshold %d, limit %d: got %v, %d", test.threshold, test.limit, cfg.AlwaysCookie,
				cfg.CookieThreshold)
		}
	}
}

// TestWhatValidatesCanBeServed: the engine takes what a file may say, as far as
// the files that users rely on and the reference say it.
func TestWhatValidatesCanBeServed(t *testing.T) {
	root := os.DirFS("../../configs")
	for _, file := range []string{"contract/system.hcl", "contract/pair/system-a.hcl", "contract/next/system.hcl",
		"reference/system.hcl"} {
		t.Run(file, func(t *testing.T) {
			conf, diags := configs.Load(anySecret{configs.FSLoader{FS: root}, certificateFiles(t)}, file,
				configs.Machine{Cores: 2, Memory: 4 << 30})
			if conf == nil {
				t.Fatal(diags.Err())
			}
			for _, c := range conf.Contexts {
				if _, err := ike.New(mustConfig(t, c.Spec)); err != nil {
					t.Errorf("context %s: %v", c.Name, err)
				}
			}
		})
	}
}

// certificateFiles are the files of a gateway with certificates, by the ends of their names.
func certificateFiles(t *testing.T) map[string][]byte {
	t.Helper()
	p12, err := os.ReadFile("../../ike/pki/testdata/modern.p12")
	if err != nil {
		t.Fatal(err)
	}
	root := pkitest.Root("root")
	gateway := root.Leaf("gw", pkitest.ECDSA(), func(c *x509.Certificate) {
		c.DNSNames = []string{"gw.laptops.example"}
	})
	return map[string][]byte{"-ca.pem": root.PEM(), "-ca.crl": root.CRL(pkitest.End), "gateway.pem": gateway.PEM(),
		"gateway.key": gateway.KeyPEM(), "gateway.p12": p12, ".p12.password": []byte("correct horse ä")}
}

// anySecret has every secret, the certificates, and an empty file for every server.
type anySecret struct {
	configs.FSLoader
	certificates map[string][]byte
}

func (l anySecret) ReadFile(at configs.Location) ([]byte, error) {
	if at.Scheme == configs.SchemeHTTPS {
		return nil, nil
	}
	if b, err := l.FSLoader.ReadFile(at); err == nil {
		return b, nil
	}
	for end, content := range l.certificates {
		if strings.HasSuffix(at.Path, end) {
			return content, nil
		}
	}
	return []byte("a secret of some length\n"), nil
}

func (anySecret) LookupEnv(string) (string, bool) { return "a secret of some length", true }

// TestFragments: what a file says about fragments is what the engine does.
func TestFragments(t *testing.T) {
	cfg := mustConfig(t, &spec.Tenant{IKE: spec.IKE{NoFragmentation: true, FragmentSize: 576}})
	if !cfg.NoFragmentation || cfg.FragmentSize != 576 {
		t.Errorf("got %v, %d", cfg.NoFragmentation, cfg.FragmentSize)
	}
}

// mustConfig is engineConfig of a tenant whose certificates can be read.
func mustConfig(t *testing.T, tenant *spec.Tenant) *exchange.Config {
	t.Helper()
	cfg, err := engineConfig(tenant)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}
