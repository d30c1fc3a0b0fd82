package ikev2

import (
	"net/netip"
	"testing"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/internal/secret"
)

// TestMatch: the identity of a peer chooses its profile, whatever order they are
// written in, and its address chooses only where the identity says nothing.
func TestMatch(t *testing.T) {
	proposals := []exchange.ChildProposal{
		{Proposal: sa.Proposal{{Type: sa.Encryption, ID: sa.EncrAESGCM16, KeyBits: 256}}}}
	dynamic := exchange.Entry{Name: "any", Dynamic: true, Proposals: proposals}
	static := func(name, profile, peer string, anyAddress bool) exchange.Entry {
		return exchange.Entry{Name: name, Profile: profile, Peer: netip.MustParseAddr(peer), AnyAddress: anyAddress,
			Proposals: proposals}
	}
	group := func(name string, texts ...string) exchange.Profile {
		return exchange.Profile{Name: name, RemoteIdentities: patterns(texts...)}
	}
	fallback := func(name string, texts ...string) exchange.Profile {
		return exchange.Profile{Name: name, RemoteIdentities: patterns(texts...), Fallback: true}
	}
	for _, tt := range []struct {
		name     string
		profiles []exchange.Profile
		entries  []exchange.Entry
		from     string
		id       string
		want     string // profile, and entry where there is one
	}{
		{"exact before pattern", []exchange.Profile{group("all"), group("domain", "*@a.example"),
			group("one", "u@a.example")},
			[]exchange.Entry{dynamic}, "192.0.2.1", "u@a.example", "one any"},
		{"pattern before everybody", []exchange.Profile{group("all"), group("domain", "*@a.example"),
			group("one", "u@a.example")},
			[]exchange.Entry{dynamic}, "192.0.2.1", "v@a.example", "domain any"},
		{"longer before shorter", []exchange.Profile{group("short", "*.example"), group("long", "*.a.example")},
			[]exchange.Entry{dynamic}, "192.0.2.1", "x.a.example", "long any"},
		{"the best pattern of a profile counts",
			[]exchange.Profile{group("domain", "*@a.example"), group("both", "*", "u@a.example")},
			[]exchange.Entry{dynamic}, "192.0.2.1", "u@a.example", "both any"},
		{"a fallback is last, however exact", []exchange.Profile{fallback("DefaultRAGroup", "u@a.example"),
			group("all")},
			[]exchange.Entry{dynamic}, "192.0.2.1", "u@a.example", "all any"},
		{"a fallback is there", []exchange.Profile{fallback("DefaultRAGroup"), group("domain", "*@a.example")},
			[]exchange.Entry{dynamic}, "192.0.2.1", "u@b.example", "DefaultRAGroup any"},
		{"distinguished names", []exchange.Profile{group("all"), group("org", "asn1dn:CN=*,OU=*,O=Example"),
			group("unit", "asn1dn:CN=*,OU=sites,O=Example")},
			[]exchange.Entry{dynamic}, "192.0.2.1", "asn1dn:CN=gw,OU=sites,O=Example", "unit any"},
		{"equal rank: the first", []exchange.Profile{group("a", "*@x"), group("b", "*@x")}, []exchange.Entry{dynamic},
			"192.0.2.1", "u@x", "a any"},
		{"nobody's", []exchange.Profile{group("a", "*@x")}, []exchange.Entry{dynamic}, "192.0.2.1", "u@y", ""},

		{"static at its address", []exchange.Profile{group("branch", "b.example"), fallback("DefaultRAGroup")},
			[]exchange.Entry{static("branch", "branch", "203.0.113.7", false), dynamic}, "203.0.113.7", "b.example",
			"branch branch"},
		{"static from elsewhere", []exchange.Profile{group("branch", "b.example"), fallback("DefaultRAGroup")},
			[]exchange.Entry{static("branch", "branch", "203.0.113.7", false), dynamic}, "192.0.2.1",
			"b.example", "branch"},
		{"static from anywhere", []exchange.Profile{group("branch", "b.example"), fallback("DefaultRAGroup")},
			[]exchange.Entry{static("branch", "branch", "203.0.113.7", true), dynamic}, "192.0.2.1", "b.example",
			"branch branch"},
		{"the very address before any address", []exchange.Profile{group("sites", "*.example")},
			[]exchange.Entry{static("one", "sites", "203.0.113.7", true), static("two", "sites", "203.0.113.8", false)},
			"203.0.113.8", "b.example", "sites two"},
		{"a client at the address of a site",
			[]exchange.Profile{group("branch", "b.example"), group("staff", "*@a.example")},
			[]exchange.Entry{static("branch", "branch", "203.0.113.7", false), dynamic}, "203.0.113.7", "u@a.example",
			"staff any"},
		{"an exact identity at the address of another site",
			[]exchange.Profile{group("one"), group("two", "two.example")},
			[]exchange.Entry{static("one", "one", "203.0.113.1", false), static("two", "two", "203.0.113.2", false)},
			"203.0.113.1", "two.example", "two"},
		{"sites for everybody, by address: first", []exchange.Profile{group("one"), group("two")},
			[]exchange.Entry{static("one", "one", "203.0.113.1", false), static("two", "two", "203.0.113.2", false)},
			"203.0.113.1", "203.0.113.1", "one one"},
		{"sites for everybody, by address: second", []exchange.Profile{group("one"), group("two")},
			[]exchange.Entry{static("one", "one", "203.0.113.1", false), static("two", "two", "203.0.113.2", false)},
			"203.0.113.2", "203.0.113.2", "two two"},
		{"sites for everybody, and a client", []exchange.Profile{group("one"), fallback("DefaultRAGroup")},
			[]exchange.Entry{static("one", "one", "203.0.113.1", false), dynamic}, "192.0.2.1", "u@a.example",
			"DefaultRAGroup any"},
		{"a site for everybody behind a group of clients", []exchange.Profile{group("staff"), group("one")},
			[]exchange.Entry{static("one", "one", "203.0.113.1", false), dynamic}, "203.0.113.1",
			"fw.example", "one one"},
		{"a client beside a site for everybody", []exchange.Profile{group("one"), group("staff")},
			[]exchange.Entry{static("one", "one", "203.0.113.1", false), dynamic}, "192.0.2.1", "u@a.example",
			"staff any"},
		{"one identity of two sites, by address",
			[]exchange.Profile{group("one", "fw.example"), group("two", "fw.example")},
			[]exchange.Entry{static("one", "one", "203.0.113.1", false), static("two", "two", "203.0.113.2", false)},
			"203.0.113.2", "fw.example", "two two"},
		{"no entry", []exchange.Profile{group("staff", "*@a.example"), fallback("DefaultRAGroup")},
			[]exchange.Entry{static("one", "DefaultRAGroup", "203.0.113.1", false)}, "192.0.2.1",
			"u@a.example", "staff"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := Compile(&exchange.Config{Profiles: tt.profiles, Entries: tt.entries})
			if err != nil {
				t.Fatal(err)
			}
			id, err := identity.Parse(tt.id)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			p, e, reason := r.match(netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr(tt.from), id,
				identity.Identity{}, "")
			if p != nil {
				got = p.Name
			}
			if e != nil {
				got += " " + e.Name
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if (p != nil && e == nil) != (reason != "") {
				t.Errorf("reason %q", reason)
			}
		})
	}
}

// TestWantedIdentity: a profile under another name of ours is not meant, however
// well the peer's identity fits.
func TestWantedIdentity(t *testing.T) {
	r, err := Compile(&exchange.Config{Profiles: []exchange.Profile{
		{Name: "a", LocalIdentity: identity.MustParse("a.example"), RemoteIdentities: patterns("u@x")},
		{Name: "b", LocalIdentity: identity.MustParse("b.example")},
	}, Entries: []exchange.Entry{{Name: "any", Dynamic: true}}})
	if err != nil {
		t.Fatal(err)
	}
	u, _ := identity.Parse("u@x")
	for text, want := range map[string]string{"a.example": "a", "b.example": "b"} {
		wanted, _ := identity.Parse(text)
		if p, _, _ := r.match(netip.Addr{}, netip.Addr{}, u, wanted, ""); p == nil || p.Name != want {
			t.Errorf("peer that wants %s gets %+v", text, p)
		}
	}
}

// TestRemoteKey: with keys of identities nobody else has one.
func TestRemoteKey(t *testing.T) {
	key := func(s string) secret.Value { return secret.Copy([]byte(s)) }
	r, err := Compile(&exchange.Config{Profiles: []exchange.Profile{
		{Name: "one", Remote: exchange.PSK{Key: key("all")}},
		{Name: "each", Remote: exchange.PSK{Key: key("all")},
			Remotes: []exchange.IdentityCredential{{Identity: identity.MustParse("alice@x"),
				Credential: exchange.PSK{Key: key("a")}},
				{Identity: identity.MustParse("bob@x"), Credential: exchange.PSK{Key: key("b")}}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ profile, id, want string }{
		{"one", "alice@x", "all"}, {"each", "alice@x", "a"}, {"each", "Bob@x", "b"}, {"each", "carol@x", ""},
		{"each", "alice.x", ""},
	} {
		id, _ := identity.Parse(tt.id)
		if got, _ := r.profileByName(tt.profile).remote(id).(exchange.PSK); string(got.Key.Reveal()) != tt.want {
			t.Errorf("%s, %s: wrong key", tt.profile, tt.id)
		}
	}
}

// patterns reads patterns.
func patterns(texts ...string) (out []identity.Pattern) {
	for _, text := range texts {
		out = append(out, identity.MustParsePattern(text))
	}
	return out
}
