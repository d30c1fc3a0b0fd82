package iketest

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/secret"
)

// selectorsOf parses prefixes.
func selectorsOf(prefixes ...string) []sa.Selector {
	var out []sa.Selector
	for _, p := range prefixes {
		out = append(out, sa.SelectorOf(netip.MustParsePrefix(p)))
	}
	return out
}

// sitesConfig is a gateway for clients, for the branch behind 203.0.113.7, and for
// sites at any address.
func sitesConfig(tune func(*exchange.Config)) exchange.Config {
	cfg := GatewayConfig()
	site := func(name, id string, networks ...string) exchange.Profile {
		return exchange.Profile{
			Name: name, LocalIdentity: identity.MustParse("gw.example"), RemoteIdentities: patterns(id),
			RemoteNetworks: selectorsOf(networks...),
			Local:          exchange.PSK{Key: secret.Copy([]byte("key of the gateway"))},
			Remote:         exchange.PSK{Key: secret.Copy([]byte("key of " + name))},
		}
	}
	cfg.Profiles = append(cfg.Profiles, site("branch", "branch.example"),
		site("sites", "*.sites", "10.30.0.0/16", "10.99.0.0/16"), site("poor", "*.poor"))
	cfg.Entries = append([]exchange.Entry{{
		Name: "branch", Local: GatewayAddr, Peer: netip.MustParseAddr("203.0.113.7"), Profile: "branch",
		LocalTS: selectorsOf("10.10.0.0/24"), RemoteTS: selectorsOf("10.20.0.0/24"), Proposals: childProposals(),
	}}, cfg.Entries...)
	cfg.Pools = []sa.Selector{{Start: LeaseAddr, End: netip.MustParseAddr("10.99.0.20"), EndPort: 0xffff}}
	if tune != nil {
		tune(&cfg)
	}
	return cfg
}

// sites is such a gateway at work.
func sites(t *testing.T, tune func(*exchange.Config)) (*Lab, *Node) {
	t.Helper()
	l := New(17, Faults{})
	g := l.Add("gateway", GatewayAddr, sitesConfig(tune))
	g.Authorise = func(q exchange.AskSession) exchange.AnswerSession {
		if q.RemoteAccess {
			return Grant(q)
		}
		return exchange.AnswerSession{Question: q.Question}
	}
	t.Cleanup(func() { noTrouble(t, l) })
	return l, g
}

// site connects a site that brings networks and wants to reach ours; the answer
// is its selectors, or the notification.
func site(t *testing.T, g *Node, from, id, key string, ours, networks []string) string {
	t.Helper()
	return siteOf(t, g, from, id, key, selectorsOf(ours...), selectorsOf(networks...))
}

// siteOf is site for any selectors.
func siteOf(t *testing.T, g *Node, from, id, key string, ours, networks []sa.Selector) string {
	t.Helper()
	s := NewStranger(g, netip.MustParseAddrPort(from))
	if !s.Init() {
		t.Fatal("IKE_SA_INIT was not answered")
	}
	ident, err := identity.Parse(id)
	if err != nil {
		t.Fatal(err)
	}
	s.iv = uint64(len(g.Journal)) // another SPI
	ps := without(s.AuthPayloads(ident, key), wire.TypeCP)
	ps = replaced(ps, wire.TSi{TS: wire.TS{Selectors: networks}})
	ps = replaced(ps, wire.TSr{TS: wire.TS{Selectors: ours}})
	answer := s.Request(wire.IKEAuth, ps...)
	if e := errorOf(answer); e != "" {
		return e
	}
	tsi, _ := wire.Find[wire.TSi](answer)
	tsr, _ := wire.Find[wire.TSr](answer)
	return fmt.Sprintf("%v === %v", tsr.Selectors, tsi.Selectors)
}

// reasons are those of all refusals.
func reasons(n *Node) string {
	var out []string
	for _, e := range n.Events {
		if r, ok := e.(exchange.Refused); ok {
			out = append(out, r.Reason)
		}
	}
	return strings.Join(out, "\n")
}

// TestStaticSiteElsewhere: who a site is says what it may bring, wherever it
// comes from.
func TestStaticSiteElsewhere(t *testing.T) {
	all := []string{"0.0.0.0/0"}
	for _, tt := range []struct {
		name, from string
		anyAddress bool
		want       string
		reason     string
	}{
		{"its address", "203.0.113.7:500", false, "[10.10.0.0/24] === [10.20.0.0/24]", ""},
		{"another address", "192.0.2.66:500", false, "AUTHENTICATION_FAILED", "any_address"},
		{"another address, and that is wanted", "192.0.2.66:500", true, "[10.10.0.0/24] === [10.20.0.0/24]", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, g := sites(t, func(c *exchange.Config) { c.Entries[0].AnyAddress = tt.anyAddress })
			if got := site(t, g, tt.from, "branch.example", "key of branch", all, all); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if got := reasons(g); (tt.reason == "") != (got == "") || !strings.Contains(got, tt.reason) {
				t.Errorf("reason %q, want %q", got, tt.reason)
			}
		})
	}
}

// TestSelectorsAreBounded: a site that brings ranges of more prefixes than the
// data plane keeps for a child SA is refused, and is told why.
func TestSelectorsAreBounded(t *testing.T) {
	odd := func(n int) (ranges []sa.Selector) { // each is 22 prefixes
		for i := range n {
			s := sa.SelectorOf(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 30, byte(i) << 4}), 20))
			s.Start, s.End = s.Start.Next(), s.End.Prev()
			ranges = append(ranges, s)
		}
		return ranges
	}
	for _, tt := range []struct {
		ranges int
		want   string
	}{{11, ""}, {12, "TS_UNACCEPTABLE"}} {
		_, g := sites(t, nil)
		got := siteOf(t, g, "192.0.2.66:500", "a.sites", "key of sites", selectorsOf("10.10.0.0/24"), odd(tt.ranges))
		if tt.want == "" {
			if !strings.HasPrefix(got, "[10.10.0.0/24] === [10.30.0.1-10.30.15.254 ") {
				t.Errorf("%d ranges: got %s", tt.ranges, got)
			}
			continue
		}
		if got != tt.want || !strings.Contains(reasons(g), "more than 256 prefixes") || len(g.Plane) != 0 {
			t.Errorf("%d ranges: got %s, want %s; reason %q, %d child SAs", tt.ranges, got, tt.want, reasons(g),
				len(g.Plane))
		}
	}
}

// TestDynamicSite: a site at an address that nobody knows beforehand brings what
// its profile names, and nothing that is somebody else's.
func TestDynamicSite(t *testing.T) {
	for _, tt := range []struct {
		name, id, key string
		networks      []string
		before        string // a network that b.sites has brought
		tune          func(*exchange.Config)
		want, reason  string
	}{
		{name: "its networks", id: "a.sites", networks: []string{"10.30.1.0/24", "10.40.0.0/16"},
			want: "[10.30.1.0/24]"},
		{name: "everything", id: "a.sites", networks: []string{"0.0.0.0/0"},
			tune: func(c *exchange.Config) { c.Profiles[2].RemoteNetworks = selectorsOf("10.30.0.0/16") },
			want: "[10.30.0.0/16]"},
		{name: "an address that is leased, though of no pool", id: "a.sites", networks: []string{"10.99.0.10/32"},
			tune: func(c *exchange.Config) { c.Pools = nil }, want: "TS_UNACCEPTABLE",
			reason: "of peer client@example"},
		{name: "somebody's", id: "a.sites", networks: []string{"10.20.0.0/24"}, want: "TS_UNACCEPTABLE",
			reason: "no common traffic selectors"},
		{name: "nothing", id: "a.poor", key: "key of poor", networks: []string{"10.50.0.0/16"}, want: "TS_UNACCEPTABLE",
			reason: "no remote_networks"},
		{name: "a leased address", id: "a.sites", networks: []string{"10.99.0.10/32"}, want: "TS_UNACCEPTABLE",
			reason: "address pool"},
		{name: "a wider network than the pool", id: "a.sites", networks: []string{"10.99.0.0/16"},
			want: "TS_UNACCEPTABLE", reason: "address pool"},
		{name: "another's network", id: "a.sites", networks: []string{"10.30.1.0/25"}, before: "10.30.1.0/24",
			want: "TS_UNACCEPTABLE", reason: "of peer b.sites"},
		{name: "around another's network", id: "a.sites", networks: []string{"10.30.0.0/16"}, before: "10.30.1.0/24",
			want: "TS_UNACCEPTABLE", reason: "of peer b.sites"},
		{name: "beside another's network", id: "a.sites", networks: []string{"10.30.2.0/24"}, before: "10.30.1.0/24",
			want: "[10.30.2.0/24]"},
		{name: "its own once more", id: "b.sites", networks: []string{"10.30.1.0/24"}, before: "10.30.1.0/24",
			want: "[10.30.1.0/24]"},
		{name: "a network of a static entry that is down", id: "a.sites", networks: []string{"10.30.0.0/24"},
			tune: func(c *exchange.Config) { c.Entries[0].RemoteTS = selectorsOf("10.30.0.128/25") },
			want: "TS_UNACCEPTABLE", reason: "static entry branch"},
		{name: "cut out of a static entry", id: "a.sites", networks: []string{"10.30.0.0/24"},
			tune: func(c *exchange.Config) { c.Entries[0].RemoteTS = selectorsOf("10.0.0.0/8") },
			want: "[10.30.0.0/24]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, g := sites(t, tt.tune)
			if !NewStranger(g, netip.MustParseAddrPort("192.0.2.1:500")).Connect() {
				t.Fatal("the client with the lease is not connected")
			}
			if tt.before != "" {
				if got := site(t, g, "192.0.2.2:500", "b.sites", "key of sites", []string{"0.0.0.0/0"},
					[]string{tt.before}); got != "[0.0.0.0/0] === ["+tt.before+"]" {
					t.Fatalf("the other site: got %s", got)
				}
			}
			if tt.key == "" {
				tt.key = "key of sites"
			}
			if strings.HasPrefix(tt.want, "[") {
				tt.want = "[0.0.0.0/0] === " + tt.want
			}
			if got := site(t, g, "192.0.2.3:500", tt.id, tt.key, []string{"0.0.0.0/0"}, tt.networks); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if got := reasons(g); (tt.reason == "") != (got == "") || !strings.Contains(got, tt.reason) {
				t.Errorf("reason %q, want %q", got, tt.reason)
			}
		})
	}
}

// TestStaticSitesMeet: the same network behind two static peers is fine where the
// networks of ours differ, or where one is wider: the operator wrote both. One
// entry for several peers gives each what the others have not.
func TestStaticSitesMeet(t *testing.T) {
	_, g := sites(t, func(c *exchange.Config) {
		second := c.Entries[0]
		second.Name, second.Profile, second.Peer = "second", "poor", netip.MustParseAddr("203.0.113.8")
		second.LocalTS, second.RemoteTS = selectorsOf("10.10.1.0/24"), selectorsOf("10.20.0.0/24")
		third := second
		third.Name, third.Profile, third.AnyAddress = "third", "sites", true
		third.LocalTS, third.RemoteTS = selectorsOf("10.10.0.0/16"), selectorsOf("10.0.0.0/8")
		c.Entries = append([]exchange.Entry{second, third}, c.Entries...)
	})
	ours := []string{"10.10.0.0/16"}
	for _, tt := range []struct{ from, id, key, network, want string }{
		{"203.0.113.7:500", "branch.example", "key of branch", "10.20.0.0/24", "[10.10.0.0/24] === [10.20.0.0/24]"},
		{"203.0.113.8:500", "a.poor", "key of poor", "10.20.0.0/24", "[10.10.1.0/24] === [10.20.0.0/24]"},
		{"192.0.2.3:500", "a.sites", "key of sites", "10.60.0.0/16", "[10.10.0.0/16] === [10.60.0.0/16]"},
		{"192.0.2.4:500", "b.sites", "key of sites", "10.60.1.0/24", "TS_UNACCEPTABLE"},
		{"192.0.2.4:500", "b.sites", "key of sites", "10.99.0.10/32", "TS_UNACCEPTABLE"},
		{"192.0.2.5:500", "c.sites", "key of sites", "10.61.0.0/16", "[10.10.0.0/16] === [10.61.0.0/16]"},
	} {
		if got := site(t, g, tt.from, tt.id, tt.key, ours, []string{tt.network}); got != tt.want {
			t.Errorf("%s with %s: got %s, want %s", tt.id, tt.network, got, tt.want)
		}
	}
}

// TestKeysOfIdentities: the key of one client proves nothing of another.
func TestKeysOfIdentities(t *testing.T) {
	for _, tt := range []struct {
		id, key, reason string
	}{
		{"alice@example", "key of alice", ""},
		{"bob@example", "key of bob", ""},
		{"bob@example", "key of alice", "wrong pre-shared key"},
		{"carol@example", "key of alice", "no pre-shared key for peer carol@example"},
		{"carol@example", "key of the client", "no pre-shared key for peer carol@example"},
	} {
		t.Run(tt.id+" with the "+tt.key, func(t *testing.T) {
			_, g, s := alone(t, func(c *exchange.Config) {
				c.Profiles[0].Remotes = []exchange.IdentityCredential{
					{Identity: identity.MustParse("alice@example"),
						Credential: exchange.PSK{Key: secret.Copy([]byte("key of alice"))}},
					{Identity: identity.MustParse("bob@example"),
						Credential: exchange.PSK{Key: secret.Copy([]byte("key of bob"))}},
				}
			})
			s.Init()
			id, _ := identity.Parse(tt.id)
			up := s.Request(wire.IKEAuth, s.AuthPayloads(id, tt.key)...).Count(wire.TypeSA) == 1
			if got := reasons(g); up != (tt.reason == "") || !strings.Contains(got, tt.reason) {
				t.Errorf("up: %v, reason %q, want %q", up, got, tt.reason)
			}
			if up != slices.ContainsFunc(g.Established(), func(s exchange.Status) bool {
				return s.Peer.RemoteID == tt.id
			}) {
				t.Error("who is established differs")
			}
		})
	}
}
