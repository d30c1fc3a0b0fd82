package netns

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/internal/pagetest"
)

var update = flag.Bool("update", false, "write the table of docs/recovery.md")

// looks are what a Gateway has told of its looks.
type looks struct {
	mu   sync.Mutex // protects list
	list []Look
}

func (l *looks) add(one Look) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, one)
}

func (l *looks) take() []Look {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := l.list
	l.list = nil
	return list
}

// loss is something that somebody takes from a running tenant, or the kernel does.
type loss struct {
	what, does string
	soon       bool   // the kernel tells: it is mended at once, and not with the next look
	inside     string // what to do in the namespace, then on the host
	host       string
	name       func(name string) error // and with the name of the namespace
}

// losses are the rows of docs/recovery.md.
var losses = []loss{
	{"an address is removed", "it comes back and is announced, with its routes", true,
		"ip addr del 198.51.100.1/24 dev outside", "", nil},
	{"all IPv6 addresses of an interface are removed", "the same", true,
		"ip -6 addr flush dev inside scope global", "", nil},
	{"routes are removed", "they come back", true,
		"ip route flush table 5001; ip -6 route flush table 5001; ip route flush table 5004; " +
			"ip route del default", "", nil},
	{"routes are removed that the kernel has made with an address", "the address is taken away and given again",
		true, "ip route flush table main; ip -6 route flush table main; ip route flush table local", "", nil},
	{"routing rules are removed, or put before ours", "ours come back, and that of the table `main`; the others go",
		true, "ip rule flush; ip -6 rule flush; ip rule add pref 32767 lookup default; " +
			"ip rule add pref 5 lookup main", "", nil},
	{"a link goes down and up, also the other end of a cable", "what the kernel took with it comes back", true,
		"ip link set outside down; ip link set outside up", "ip link set p-out down; ip link set p-out up", nil},
	{"the parent of a shared interface goes down and up", "the same", true,
		"", "ip link set wt-in down; ip link set wt-in up", nil},
	{"`ipsec0`, `drop0` or `lo` is set down", "it is set up, and its routes come back", true,
		"ip link set ipsec0 down; ip link set drop0 down; ip link set lo down", "", nil},
	{"`drop0` is deleted", "it is made again", true, "ip link del drop0", "", nil},
	{"`ipsec0` is deleted", "it is made again, and another worker goes on with it and the SAs; a few packets may be " +
		"lost", true, "ip link del ipsec0", "", nil},
	{"a device is renamed", "it has its name again", true, "ip link set outside name other", "", nil},
	{"the MAC or the configured MTU of a device is changed", "it has its own again, and its addresses are announced",
		true, "ip link set outside address 02:00:00:00:00:99; ip link set outside mtu 1300", "", nil},
	{"a macvlan or subinterface is deleted", "it is made again, with the same MAC", true,
		"ip link del inside", "", nil},
	{"the parent is deleted, and is there again", "devices on it are made again", true, "",
		"ip link del wt-in; ip link add wt-in type veth peer name p-in; ip link set p-in up", nil},
	{"a whole device is moved back to the host", "it is taken again", true, "ip link set outside netns HOST", "", nil},
	{"a whole device goes, and another one of its name is there", "that one is taken", true, "",
		"ip link del p-out; ip link add wt-out type veth peer name p-out; ip link set p-out up", nil},
	{"forwarding, or IPv6 of an interface, is switched off", "it is switched on", true,
		"echo 0 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/inside/disable_ipv6", "", nil},
	{"other kernel settings are changed", "they are set", false,
		"cd /proc/sys/net; echo 1 > ipv4/conf/all/accept_redirects; echo 1 > ipv6/conf/outside/accept_ra", "", nil},
	{"a neighbour proxy for a client is removed", "it comes back", false,
		"ip -6 neigh del proxy fd00:10::c:5 dev inside", "", nil},
	{"the name of the namespace is removed (`ip netns delete`)", "the namespace has its name again", true, "", "",
		unmountName},
	{"the name of the namespace is unmounted, its file stays", "the same", false, "", "", func(name string) error {
		return whereNamesAre(func() error {
			return unix.Unmount(filepath.Join(namedDir, name), unix.MNT_DETACH)
		})
	}},
}

// kept is everything, and the settings, in a text.
func kept(t *testing.T, g *Gateway, l loss) string {
	t.Helper()
	names := "named"
	if ns, err := Open(g.ns.name); err != nil {
		names = err.Error()
	} else {
		ns.Close()
	}
	text := names + "\n" + everything(t, g)
	text += inside(t, g.ns, `cd /proc/sys/net
		for f in ipv4/ip_forward ipv4/conf/all/accept_redirects \
		ipv6/conf/outside/accept_ra ipv6/conf/inside/disable_ipv6; do echo $f $(cat $f); done
		for d in outside inside; do ip -o link show $d | grep -o -e 'link/ether [0-9a-f:]*' -e 'mtu [0-9]*'; done || true`)
	if strings.HasPrefix(l.does, "that one") { // which has a MAC of its own
		text = regexp.MustCompile("link/ether .*").ReplaceAllString(text, "")
	}
	return text
}

// TestLosses takes from a running tenant what can be taken: all of it comes back by
// itself, where the kernel tells, or with the next look. The rows are a table of
// docs/recovery.md.
func TestLosses(t *testing.T) {
	const together = 3 // in one tenant, before its pace is that of one who is fought
	for some := range slices.Chunk(losses, together) {
		t.Run("tenant", func(t *testing.T) { testLosses(t, some) })
	}
	table := "| what happens | what Warren does | when |\n|---|---|---|\n"
	for _, l := range losses {
		when := "at once"
		if !l.soon {
			when = "within a minute"
		}
		table += fmt.Sprintf("| %s | %s | %s |\n", l.what, l.does, when)
	}
	pagetest.Table{Page: "../../docs/recovery.md", Name: "losses"}.Hold(t, table, *update)
}

// testLosses takes some of the losses from one tenant.
func testLosses(t *testing.T, some []loss) {
	seen := &looks{}
	h, g := dualWith(t, func(c *Config) { c.Looked = seen.add })
	ctx, cancel := context.WithCancel(t.Context())
	names := make(chan error, 1)
	armed := make(chan struct{}, 1)
	go func() {
		names <- h.WatchNames(ctx, func(name string) {
			if name == g.ns.name {
				g.Check()
			} else if name == "" {
				armed <- struct{}{}
			}
		})
	}()
	defer func() {
		cancel()
		if err := <-names; err != nil {
			t.Error(err)
		}
	}()
	<-armed
	for _, l := range some {
		t.Run(l.what, func(t *testing.T) {
			want := kept(t, g, l)
			inside(t, g.ns, strings.ReplaceAll(l.inside, "HOST", h.ns.name))
			inside(t, h.ns, l.host)
			if l.name != nil {
				if err := l.name(g.ns.name); err != nil {
					t.Fatal(err)
				}
			}
			began := time.Now()
			if !l.soon {
				g.Check()
			}
			var got string
			for limit := began.Add(patience); time.Now().Before(limit); time.Sleep(20 * time.Millisecond) {
				if got = kept(t, g, l); got == want {
					break
				}
				g.Nudge() // as who watches the host does
			}
			if got != want {
				t.Errorf("not as before (-before +now)\n%s", cmp.Diff(want, got))
			}
			t.Logf("after %v: %+v", time.Since(began).Round(time.Millisecond), seen.take())
		})
	}
}

// TestNothingToMend: a look at what was just made changes nothing, whatever role the
// tenant has, and whatever was asked for: a Gateway does not fight itself.
func TestNothingToMend(t *testing.T) {
	quiet := func(what string, g *Gateway) {
		t.Helper()
		for range 2 {
			mended, err := g.reconcile(true)
			if (mended != Mended{}) || err != nil {
				t.Errorf("%s: mended %v, %v", what, mended, err)
			}
		}
	}
	h, g := dual(t)
	quiet("alone", g)
	off := *g.tenant
	off.Interfaces = append([]spec.Interface(nil), off.Interfaces...)
	off.Interfaces[1].Shutdown = true
	if err := g.Update(&off); err != nil {
		t.Fatal(err)
	}
	quiet("shut down", g)
	if err := g.Remove(); err != nil {
		t.Fatal(err)
	}
	p := paired(t, h)
	quiet("waiting", p)
	for _, r := range []failover.Role{failover.RoleStandbyReady, failover.RoleActive, failover.RoleFailed,
		failover.RoleStandbyCold, failover.RoleNegotiation, failover.RoleActive} {
		if err := p.SetRole(r); err != nil {
			t.Fatal(err)
		}
		quiet(r.String(), p)
	}
}

// TestContested: who changes back what is mended, again and again, is told of once,
// and costs few looks; when he stops, all is well.
func TestContested(t *testing.T) {
	seen := &looks{}
	_, g := dualWith(t, func(c *Config) { c.Looked = seen.add })
	want := everything(t, g)
	mended, contested := 0, 0
	for limit := time.Now().Add(patience); contested == 0 && time.Now().Before(limit); {
		inside(t, g.ns, "ip addr del 10.10.0.1/24 dev inside 2>/dev/null || true")
		for _, l := range seen.take() {
			mended += l.Mended.Addresses
			if l.Contested {
				contested++
			}
		}
	}
	if contested == 0 || mended > 12 {
		t.Errorf("contested %d times, mended %d times", contested, mended)
	}
	await(t, g, want)
}

// TestOwnChanges: what a worker asks for is no reason to look.
func TestOwnChanges(t *testing.T) {
	_, g := dual(t)
	w, err := g.ns.watch(allGroups, g.drop.index)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	marked := func() (seen change) {
		inside(t, g.ns, "ip link set outside alias x") // which is told, as that of a device
		for seen&linkChange == 0 {
			seen |= <-w.told
		}
		return seen
	}
	// What the kernel does when the devices have come up is over when there are the
	// addresses that it gives them, and the watch has told of it.
	const linkLocal = "ip -6 -o addr show scope link | grep -c fe80"
	for limit := time.Now().Add(patience); inside(t, g.ns, linkLocal) != "2\n"; {
		if time.Now().After(limit) {
			t.Fatal("no link-local addresses")
		}
	}
	for marked() != linkChange {
	}
	for i := range 8 { // as much as a watch has room for
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 56, 0, byte(i)}), 32)
		for _, add := range []bool{true, false} {
			if err := g.Address(control.Address{Add: add, Prefix: p}); err != nil {
				t.Fatal(err)
			}
		}
		r := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 77, byte(i), 0}), 24)
		if err := g.Routes(control.Routes{Add: []control.Route{{Destination: r}}}); err != nil {
			t.Fatal(err)
		}
	}
	if got := marked(); got != linkChange {
		t.Errorf("told %b, want changes of devices alone", got)
	}
}

// TestCannotBeMended: what is not there to be had is told once, the rest is put right,
// and what is there again is taken.
func TestCannotBeMended(t *testing.T) {
	seen := &looks{}
	h, g := dualWith(t, func(c *Config) { c.Looked = seen.add })
	before := everything(t, g)
	var told []Look
	last := func() Look {
		if told = append(told, seen.take()...); len(told) == 0 {
			return Look{}
		}
		return told[len(told)-1]
	}
	until := func(what string, holds func() bool) {
		t.Helper()
		for limit := time.Now().Add(patience); !holds(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(limit) {
				t.Fatalf("%s: told %+v", what, told)
			}
		}
	}
	other, err := Create(fmt.Sprintf("wt-other-%d", os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Delete()
	inside(t, g.ns, "ip link set outside netns "+other.Name()+"; ip route del 10.20.0.0/16")
	until("a device that is somebody else's", func() bool {
		err := last().Err
		return err != nil && strings.Contains(err.Error(),
			"outside is gone and cannot be had again: there is no device")
	})
	until("the rest", func() bool { return strings.Contains(everything(t, g), "10.20.0.0/16 via 10.10.0.254") })
	for range 3 {
		g.Check()
		time.Sleep(2 * lookLimit)
	}
	last()
	if n := len(told); n > 3 { // those that mend the rest may be others
		t.Errorf("told %d times: %+v", n, told)
	}
	inside(t, other, "ip link set outside down; ip link set outside name wt-out; ip link set wt-out netns "+h.ns.name)
	g.Nudge()
	until("a device that is back", func() bool { return last().Err == nil })
	await(t, g, before)
}

// TestNameOfAnother: a namespace that has our name is not touched, and told of.
func TestNameOfAnother(t *testing.T) {
	_, g := dual(t)
	g.mu.Lock() // or the Gateway has its name again first
	err := unmountName(g.ns.name)
	var other *Namespace
	if err == nil {
		other, err = Create(g.ns.name)
	}
	g.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.reconcile(true); err == nil || !strings.Contains(err.Error(), "is another namespace now") {
		t.Errorf("got %v", err)
	}
	if err := other.Delete(); err != nil {
		t.Fatal(err)
	}
	if _, err := g.reconcile(true); err != nil {
		t.Error(err)
	}
	again, err := Open(g.ns.name)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

// BenchmarkLook is what a look at a tenant costs to which nothing has happened.
func BenchmarkLook(b *testing.B) {
	g := buildWith(b, scratch(b), dualTenant())
	for b.Loop() {
		if m, err := g.reconcile(true); m != (Mended{}) || err != nil {
			b.Fatal(m, err)
		}
	}
}
