package session

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/context/policy"
	"github.com/warrenvpn/warren/context/pool"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/resource"
)

var begin = time.Unix(1000000, 0)

// gateway is a tenant with a group "staff" for clients, of a pool of two addresses.
func gateway() *spec.Tenant {
	addr := netip.MustParseAddr
	return &spec.Tenant{
		Class: "bronze",
		Pools: []spec.Pool{{Name: "p", Start: addr("10.99.0.10"), End: addr("10.99.0.11")}},
		GroupPolicies: []spec.GroupPolicy{{
			Name: "gp",
			PolicyAttributes: spec.PolicyAttributes{
				TunnelProtocols: []spec.Protocol{spec.IKEv2}, SimultaneousLogins: 3, IdleTimeout: time.Hour,
				SessionTimeout: 8 * time.Hour,
				DNSServers:     []netip.Addr{addr("10.0.0.53")}, DefaultDomain: "corp.example", Banner: "hello",
			},
		}},
		TunnelGroups: []spec.TunnelGroup{{Name: "staff", Type: spec.RemoteAccess, Policy: "gp",
			AddressPools: []string{"p"}}},
	}
}

// desk is a Table with the peers that ask.
type desk struct {
	t   *testing.T
	tab *Table
	now time.Time
}

func newDesk(t *testing.T, tenant *spec.Tenant) *desk {
	t.Helper()
	tab, err := New(tenant, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{t, tab, begin}
	d.tab.remoteAccess.granted = 100 // of the rest
	return d
}

func handle(n uint64) Handle { return Handle{spec.IKEv2, n} }

// alice is a client that asks for an IPv4 address.
func alice(n uint64) Subject {
	return Subject{Handle: handle(n), User: "alice@example", Group: "staff", RemoteAccess: true, WantIPv4: true}
}

// ask decides, a second after what was before.
func (d *desk) ask(s Subject) Output {
	d.now = d.now.Add(time.Second)
	var out Output
	d.tab.Decide(d.now, s, Conditions{}, &out)
	return out
}

// text says an Output in a few words.
func text(out Output) string {
	var words []string
	for _, e := range out.End {
		words = append(words, fmt.Sprintf("end %d", e.Handle.Number))
	}
	for _, c := range out.Claims {
		words = append(words, fmt.Sprintf("claim %s held %d more %d", c.Resource, c.Held, c.More))
	}
	for _, a := range out.Answers {
		if a.Refused != nil {
			words = append(words, "refused: "+a.Reason())
			continue
		}
		words = append(words, fmt.Sprint("granted ", a.Granted.Addresses))
	}
	for _, o := range out.Outside {
		words = append(words, fmt.Sprint("outside ", o.Address))
	}
	return strings.Join(words, ", ")
}

func (d *desk) want(what string, out Output, want string) {
	d.t.Helper()
	if got := text(out); got != want {
		d.t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func (d *desk) leased() int { return d.tab.Pools().Usage()[0].Leased }

// TestRefusals: every cause, with what it is about.
func TestRefusals(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*spec.Tenant)
		ask    func(*Subject, *Conditions)
		want   Refusal
		reason string
	}{
		{"no such group", nil, func(s *Subject, _ *Conditions) { s.Group = "gone" },
			Refusal{Cause: CauseProtocol}, "the group policy does not allow ikev2"},
		{"another protocol", nil, func(s *Subject, _ *Conditions) { s.Handle.Protocol = "ssl-client" },
			Refusal{Cause: CauseProtocol, GroupPolicy: "gp"}, "the group policy does not allow ssl-client"},
		{"no logins", func(s *spec.Tenant) { s.GroupPolicies[0].SimultaneousLogins = 0 }, nil,
			Refusal{Cause: CauseNoLogins, GroupPolicy: "gp"},
			"nobody may log in: simultaneous_logins of the group policy, or of the user, is 0"},
		{"crowded", nil, func(_ *Subject, c *Conditions) { c.Crowded = true },
			Refusal{Cause: CauseMemory}, "the memory of the journal is used up"},
		{"class", func(s *spec.Tenant) { s.Limits.BurstSessions = resource.None }, nil,
			Refusal{Cause: CauseClass, Resource: string(resource.Sessions)},
			"the limit of the context's class is reached"},
		{"nothing left", func(s *spec.Tenant) { s.Limits.BurstSessions = 200 }, func(_ *Subject, c *Conditions) {
			c.Final = true
		},
			Refusal{Cause: CauseShared, Resource: string(resource.BurstSessions), Limit: 200},
			"nothing is left of what the contexts share"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tenant := gateway()
			if tt.change != nil {
				tt.change(tenant)
			}
			d := newDesk(t, tenant)
			d.tab.remoteAccess.granted = 0
			s, c := alice(1), Conditions{}
			if tt.ask != nil {
				tt.ask(&s, &c)
			}
			if tt.want.Cause <= CauseLogins {
				d.tab.remoteAccess.granted = 1
			}
			var out Output
			d.tab.Decide(begin, s, c, &out)
			if len(out.Answers) != 1 || out.Answers[0].Refused == nil {
				t.Fatalf("got %+v", out)
			}
			a := out.Answers[0]
			if got := *a.Refused; got.Cause != tt.want.Cause || got.GroupPolicy != tt.want.GroupPolicy ||
				got.Resource != tt.want.Resource || got.Limit != tt.want.Limit {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if a.Reason() != tt.reason {
				t.Errorf("reason %q, want %q", a.Reason(), tt.reason)
			}
			if d.tab.Len() != 0 || d.leased() != 0 {
				t.Errorf("%d sessions, %d addresses leased", d.tab.Len(), d.leased())
			}
		})
	}
}

// TestGrant: what a client gets is the group policy's, and counts until it is
// given back.
func TestGrant(t *testing.T) {
	d := newDesk(t, gateway())
	out := d.ask(alice(1))
	d.want("first", out, "granted [10.99.0.10]")
	g := out.Answers[0].Granted
	if g.GroupPolicy != "gp" || len(g.DNS) != 1 || g.Domain != "corp.example" || g.Banner != "hello" ||
		!g.Expires.Equal(d.now.Add(8*time.Hour)) {
		t.Errorf("granted %+v", g)
	}
	d.want("second", d.ask(alice(2)), "granted [10.99.0.11]")
	d.want("pool is used up", d.ask(alice(3)), "refused: no address is free")
	none := alice(4)
	none.WantIPv4 = false
	d.want("no address is asked for", d.ask(none), "granted []")
	site := Subject{Handle: handle(5), User: "site", Group: "staff"}
	d.tab.siteToSite.granted = 1
	d.want("site-to-site", d.ask(site), "granted []")
	if d.tab.Len() != 3 || d.leased() != 2 {
		t.Errorf("%d sessions, %d leased", d.tab.Len(), d.leased())
	}
	if x := d.tab.Rename(handle(1), handle(11)); x == nil || x.ID != 1 || x.User != "alice@example" ||
		d.tab.Lookup(handle(1)) != nil {
		t.Errorf("renamed %+v", x)
	}
	if x := d.tab.Account(handle(11), 5, 6); x == nil || x.BytesIn != 5 || x.BytesOut != 6 {
		t.Errorf("carried %+v", x)
	}
	x, free := d.tab.Close(handle(11))
	if x == nil || fmt.Sprint(free) != "[10.99.0.10]" || d.tab.Len() != 2 {
		t.Errorf("closed %+v, free %v", x, free)
	}
	if x, free := d.tab.Close(handle(11)); x != nil || free != nil {
		t.Errorf("closed twice: %+v, %v", x, free)
	}
}

// TestLoginOfAnotherGroup: the same name in another tunnel group is another's.
func TestLoginOfAnotherGroup(t *testing.T) {
	tab, err := New(gateway(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, group := range []string{"a", "b", "a"} {
		tab.add(tab.open(time.Unix(int64(i), 0), Subject{Handle: handle(uint64(i + 1)), User: "alice@example",
			Group: group}))
	}
	if mine := tab.of("alice@example", "a"); len(mine) != 2 || mine[0].ID != 1 || mine[1].ID != 3 {
		t.Errorf("%d sessions", len(mine))
	}
}

// TestUniqueReplace: the session that was idle longest gives way.
func TestUniqueReplace(t *testing.T) {
	tenant := gateway()
	tenant.GroupPolicies[0].SimultaneousLogins, tenant.TunnelGroups[0].Unique = 2, spec.UniqueReplace
	tenant.Pools[0].End = netip.MustParseAddr("10.99.0.20")
	d := newDesk(t, tenant)
	d.want("first", d.ask(alice(1)), "granted [10.99.0.10]")
	d.want("second", d.ask(alice(2)), "granted [10.99.0.11]")
	d.tab.Active(d.now.Add(time.Millisecond), handle(1))
	d.want("third", d.ask(alice(3)), "end 2, granted [10.99.0.12]")
	var out Output
	d.tab.Expire(d.now, &out)
	d.want("it is told again", out, "end 2")
}

// TestMakeBeforeBreak: a device that logs in again before it logs out keeps its
// address, counts once, and cannot do so without end.
func TestMakeBeforeBreak(t *testing.T) {
	tenant := gateway()
	tenant.GroupPolicies[0].SimultaneousLogins, tenant.TunnelGroups[0].Unique = 1, spec.UniqueKeep
	tenant.Limits.Sessions, tenant.Limits.BurstSessions = 3, resource.None
	d := newDesk(t, tenant)
	login := func(n uint64, wanted string, replaces ...uint64) Output {
		s := alice(n)
		if wanted != "" {
			s.WantedIPv4 = netip.MustParseAddr(wanted)
		}
		for _, r := range replaces {
			s.Replaces = append(s.Replaces, handle(r))
		}
		return d.ask(s)
	}
	d.want("first login", login(1, ""), "granted [10.99.0.10]")
	d.want("another device", login(2, ""),
		"refused: the identity has as many sessions as simultaneous_logins allows, and unique keeps them")
	d.want("the same device", login(3, "10.99.0.10"), "granted [10.99.0.10]")
	if _, free := d.tab.Close(handle(1)); len(free) != 0 || d.leased() != 1 {
		t.Errorf("the address went with the first session: %v free, %d leased", free, d.leased())
	}
	d.want("once more", login(4, "10.99.0.10"), "granted [10.99.0.10]")
	d.want("without an end of the earlier ones", login(5, "10.99.0.10"), "end 3, granted [10.99.0.10]")
	for n, want := range map[uint64]struct{ ending, followed bool }{3: {true, true}, 4: {false, true},
		5: {false, false}} {
		if x := d.tab.Lookup(handle(n)); (x.ending != "") != want.ending || x.followed.IsZero() == want.followed {
			t.Errorf("session %d is %+v, want %+v", n, x, want)
		}
	}
	var out Output
	d.tab.Expire(d.now.Add(followedLife+2*time.Second), &out)
	d.want("two sessions do not have one address for ever", out, "end 3, end 4")
	for _, n := range []uint64{3, 4, 5} {
		d.tab.Close(handle(n))
	}
	if n := d.leased(); n != 0 {
		t.Errorf("%d leased at the end", n)
	}

	// A device that has lost its SAs, and says so, gets the address that it had.
	login(6, "")
	d.want("after INITIAL_CONTACT", login(7, "", 6), "granted [10.99.0.10]")
}

// TestClaims: who is beyond what the class promises waits for the supervisor; one
// claim is on its way at a time, and what is not granted is refused.
func TestClaims(t *testing.T) {
	tenant := gateway()
	tenant.Limits.Sessions = 1
	tenant.GroupPolicies[0].SimultaneousLogins = spec.UnlimitedLogins
	tenant.Pools[0].End = netip.MustParseAddr("10.99.0.20")
	d := newDesk(t, tenant)
	d.tab.remoteAccess.granted = 0
	d.want("promised", d.ask(alice(1)), "granted [10.99.0.10]")
	out := d.ask(alice(2))
	d.want("beyond", out, "claim vpn_burst_anyconnect held 0 more 1")
	claim := out.Claims[0]
	d.want("another one waits, too", d.ask(alice(3)), "")

	d.tab.Postpone(claim)
	out = Output{}
	d.tab.Balance(&out)
	d.want("a claim that could not be made is made again", out, "claim vpn_burst_anyconnect held 0 more 2")
	claim = out.Claims[0]
	d.want("and one after it waits", d.ask(alice(4)), "")

	waiting := d.tab.Granted(claim, 1)
	var got []string
	for i, s := range waiting {
		var out Output
		d.tab.Decide(d.now, s, Conditions{Final: int64(i) < claim.More}, &out)
		got = append(got, text(out))
	}
	want := []string{"granted [10.99.0.11]", "refused: nothing is left of what the contexts share",
		"claim vpn_burst_anyconnect held 1 more 1"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	d.tab.Granted(Claim{Resource: string(resource.BurstSessions)}, 1)
	d.tab.Close(handle(2))
	out = Output{}
	d.tab.Balance(&out)
	d.want("given back at once", out, "")
	d.tab.Balance(&out)
	d.want("given back after a while", out, "claim vpn_burst_anyconnect held 0 more 0")
}

// TestExpire: a session without traffic ends after the idle timeout of its group
// policy.
func TestExpire(t *testing.T) {
	d := newDesk(t, gateway())
	d.ask(alice(1))
	d.ask(alice(2))
	d.tab.Active(d.now.Add(time.Hour), handle(2))
	for _, tt := range []struct {
		after time.Duration
		want  string
	}{{time.Hour - time.Second, ""}, {time.Hour + 1, "end 1"}, {2*time.Hour + 1, "end 1, end 2"}} {
		var out Output
		d.tab.Expire(d.now.Add(tt.after), &out)
		d.want(fmt.Sprint(tt.after), out, tt.want)
	}
}

// TestAdopt: what another worker has let in is there as it was, counts, and holds
// its address; one whose address is in no pool is told of.
func TestAdopt(t *testing.T) {
	d := newDesk(t, gateway())
	var out Output
	past := Past{Since: begin.Add(-time.Hour), BytesIn: 7, BytesOut: 8}
	d.tab.Adopt(begin, alice(1), Grant{Addresses: []netip.Addr{netip.MustParseAddr("10.99.0.10")}}, past, &out)
	d.tab.Adopt(begin, alice(2), Grant{Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}, past, &out)
	d.tab.Adopt(begin, alice(3), Grant{}, past, &out)
	d.want("adopted", out, "outside 192.0.2.1")
	x := d.tab.Lookup(handle(1))
	if x == nil || !x.Since.Equal(past.Since) || x.BytesIn != 7 || x.BytesOut != 8 || !x.RemoteAccess ||
		d.tab.Len() != 2 {
		t.Errorf("session %+v, %d in all", x, d.tab.Len())
	}
	d.want("its address is taken", d.ask(alice(4)), "granted [10.99.0.11]")
	out = Output{}
	d.tab.Expire(begin.Add(time.Hour), &out)
	d.want("it is not idle from the beginning", out, "")
	tenant := gateway()
	tenant.Pools[0].Start, tenant.Pools[0].End = netip.MustParseAddr("10.98.0.10"), netip.MustParseAddr("10.98.0.20")
	if err := d.tab.Configure(tenant); err != nil {
		t.Fatal(err)
	}
	d.tab.Reserve(&out)
	if len(out.Outside) != 3 || d.tab.Len() != 3 {
		t.Errorf("after another configuration: %+v, %d sessions", out, d.tab.Len())
	}
}

// TestUnfit: which sessions would not be granted any more.
func TestUnfit(t *testing.T) {
	held := Grant{Addresses: []netip.Addr{netip.MustParseAddr("10.99.0.10")}}
	for _, tt := range []struct {
		name   string
		group  string
		g      *Grant
		change func(*spec.Tenant)
		want   string
	}{
		{"as before", "staff", &held, func(*spec.Tenant) {}, ""},
		{"group is gone", "gone", nil, func(*spec.Tenant) {}, "its tunnel group was removed from the configuration"},
		{"we have connected", "staff", nil, func(s *spec.Tenant) { s.GroupPolicies[0].TunnelProtocols = nil }, ""},
		{"protocol", "staff", &held, func(s *spec.Tenant) { s.GroupPolicies[0].TunnelProtocols = nil },
			"its group policy does not allow ikev2 any more"},
		{"address", "staff", &held, func(s *spec.Tenant) { s.TunnelGroups[0].AddressPools = nil },
			"its address is in none of its pools any more"},
		{"networks", "staff", &held, func(s *spec.Tenant) {
			s.GroupPolicies[0].SplitTunnel = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		}, "its group policy gives it fewer networks now"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tenant := gateway()
			tt.change(tenant)
			if got := newDesk(t, tenant).tab.Unfit(spec.IKEv2, "alice@example", tt.group, tt.g); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestReaches: fewer networks are not the same.
func TestReaches(t *testing.T) {
	list := func(text string) (out []netip.Prefix) {
		for _, f := range strings.Fields(text) {
			out = append(out, netip.MustParsePrefix(f))
		}
		return out
	}
	tests := []struct {
		now, had string
		want     bool
	}{
		{"", "", true},
		{"", "10.0.0.0/24", true},
		{"10.0.0.0/24", "", false},
		{"10.0.0.0/24", "10.0.0.0/24", true},
		{"10.0.0.0/8", "10.0.0.0/24 10.9.0.0/16", true},
		{"10.0.0.0/24", "10.0.0.0/24 10.9.0.0/16", false},
		{"10.0.0.0/24", "10.0.0.0/16", false},
		{"fd00::/8", "10.0.0.0/24", false},
	}
	for _, tt := range tests {
		now := policy.Attributes{PolicyAttributes: spec.PolicyAttributes{SplitTunnel: list(tt.now)}}
		if got := reaches(now, list(tt.had)); got != tt.want {
			t.Errorf("now %q, before %q: got %v", tt.now, tt.had, got)
		}
	}
}

// TestAccessHours: who comes within them is let in until they end, or until the session
// has had its time.
func TestAccessHours(t *testing.T) {
	tenant := gateway()
	p := &tenant.GroupPolicies[0].PolicyAttributes
	p.AccessHours = []spec.Hours{{Days: 1 << time.Monday, From: 12 * 60, To: 14 * 60}} // begin: Monday 13:46:40 UTC
	d := newDesk(t, tenant)
	x := d.ask(alice(1))
	if got, want := x.Answers[0].Granted.Expires, time.Date(1970, 1, 12, 14, 0, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("ends at %v, want %v", got.UTC(), want)
	}
	p.SessionTimeout = time.Minute
	d.now = d.now.Add(time.Second)
	if got, want := d.ask(alice(2)).Answers[0].Granted.Expires, d.now.Add(time.Minute); !got.Equal(want) {
		t.Errorf("ends at %v, want %v", got.UTC(), want.UTC())
	}
	// The wall clock may be another one than that of the engine.
	var out Output
	d.tab.Decide(d.now, alice(3), Conditions{Wall: d.now.Add(10 * time.Minute)}, &out)
	if got, want := out.Answers[0].Granted.Expires, d.now.Add(time.Minute); !got.Equal(want) {
		t.Errorf("with another wall clock, ends at %v, want %v", got.UTC(), want.UTC())
	}
	d.now = d.now.Add(time.Hour)
	d.want("too late", d.ask(alice(4)), "refused: it is not within access_hours of the group policy")
}

func TestGroupLock(t *testing.T) {
	tenant := gateway()
	tenant.GroupPolicies[0].GroupLock = "others"
	d := newDesk(t, tenant)
	d.want("locked out", d.ask(alice(1)),
		"refused: group_lock of the group policy, or of the user, names another tunnel group")
	tenant.GroupPolicies[0].GroupLock = "staff"
	d.want("locked in", newDesk(t, tenant).ask(alice(1)), "granted [10.99.0.10]")
}

// TestTold: all that a policy and a pool have to tell a client is granted, and pools by
// interface are those of the address that it talks to.
func TestTold(t *testing.T) {
	tenant := gateway()
	addr := netip.MustParseAddr
	tenant.Interfaces = []spec.Interface{{Name: "dmz",
		Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}}}
	tenant.Pools[0].Mask = 24
	tenant.Pools = append(tenant.Pools, spec.Pool{Name: "q", Start: addr("10.98.0.1"), End: addr("10.98.0.9")})
	p := &tenant.GroupPolicies[0].PolicyAttributes
	p.WINSServers, p.SplitDNS = []netip.Addr{addr("10.0.0.54")}, []string{"corp.example"}
	tenant.TunnelGroups[0].InterfacePools = []spec.InterfacePools{{Interface: "dmz", Pools: []string{"q"}}}
	d := newDesk(t, tenant)
	g := d.ask(alice(1)).Answers[0].Granted
	if g.Mask != 24 || fmt.Sprint(g.WINS, g.SplitDNS, g.Addresses) != "[10.0.0.54] [corp.example] [10.99.0.10]" {
		t.Errorf("granted %+v", g)
	}
	s := alice(2)
	s.User, s.Local = "bob", addr("192.0.2.1")
	if g = d.ask(s).Answers[0].Granted; g.Mask != 0 || fmt.Sprint(g.Addresses) != "[10.98.0.1]" {
		t.Errorf("over dmz: granted %+v", g)
	}
	if why := d.tab.Unfit(spec.IKEv2, "bob", "staff", &g); why != "" {
		t.Errorf("the address over dmz does not fit: %s", why)
	}
}

// TestFamilies: one family is used up, and the session comes up with the other; both are,
// and it does not.
func TestFamilies(t *testing.T) {
	addr := netip.MustParseAddr
	tenant := gateway()
	tenant.Pools = append(tenant.Pools,
		spec.Pool{Name: "six", Start: addr("fd00::1"), End: addr("fd00::3")},
		spec.Pool{Name: "user carol", Dedicated: "carol", Start: addr("10.1.1.1"), End: addr("10.1.1.1")},
		spec.Pool{Name: "user dave", Dedicated: "dave", Start: addr("10.99.0.11"), End: addr("10.99.0.11")})
	tenant.TunnelGroups[0].AddressPools = []string{"p", "six"}
	d := newDesk(t, tenant)
	ask := func(n uint64, who string) Output {
		s := alice(n)
		s.User, s.WantIPv6 = who, true
		return d.ask(s)
	}
	d.want("both", ask(1, "alice"), "granted [10.99.0.10 fd00::1]")
	out := ask(2, "bob") // the other IPv4 address of the pool is dave's
	d.want("IPv6 alone", out, "granted [fd00::2]")
	if len(out.Missed) != 1 || out.Missed[0].Family != pool.IPv4 || out.Missed[0].Subject.User != "bob" ||
		fmt.Sprint(out.Missed[0].Pools) != "[p six]" {
		t.Errorf("the log is told %+v", out.Missed)
	}
	out = ask(3, "carol")
	d.want("dedicated, of no pool", out, "granted [10.1.1.1 fd00::3]")
	if len(out.Missed) > 0 {
		t.Errorf("the log is told %+v", out.Missed)
	}
	g := out.Answers[0].Granted
	if why := d.tab.Unfit(spec.IKEv2, "carol", "staff", &g); why != "" {
		t.Errorf("carol cannot keep her own address: %s", why)
	}
	if why := d.tab.Unfit(spec.IKEv2, "dave", "staff", &g); why == "" {
		t.Error("dave could keep carol's address")
	}
	d.want("nothing is left", ask(4, "erin"), "refused: no address is free")
	d.want("dedicated, of the pool", ask(5, "dave"), "granted [10.99.0.11]")
	d.want("a second device of dave's", ask(6, "dave"), "refused: no address is free")
}
