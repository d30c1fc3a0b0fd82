package netns

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/internal/roottest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a state is waited for that comes within moments on an idle
// machine. Only a test that fails waits so long.
const patience = 2 * time.Minute

// scratch returns a host of its own: a namespace with two veth pairs, wt-out
// and wt-in, whose other ends, p-out and p-in, are there too.
func scratch(t testing.TB) *Host {
	t.Helper()
	roottest.Need(t)
	ns, err := Create(fmt.Sprintf("wt-host-%d", os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(ns, "wt")
	t.Cleanup(func() {
		unmountName(ns.name)
		h.Close()
	})
	inside(t, ns, `ip link set lo up
		ip link add wt-out mtu 1480 type veth peer name p-out
		ip link add wt-in type veth peer name p-in
		ip addr add 203.0.113.9/24 dev wt-out
		ip addr add 2001:db8:9::9/64 dev wt-out nodad
		echo 0 > /proc/sys/net/ipv6/conf/wt-out/accept_ra
		echo 1 > /proc/sys/net/ipv4/conf/wt-out/arp_ignore
		ip link set wt-out promisc on
		ip link set wt-out allmulticast on
		ip link set wt-out up
		ip link set p-out up
		ip link set p-in up
		ip route add 192.0.2.0/24 via 203.0.113.1
		ip route add 192.0.2.128/25 via 203.0.113.2 table 77`)
	return h
}

// inside runs a shell in a namespace and returns what it prints, without its
// complaints: ip has some about namespaces of others that come and go.
func inside(t testing.TB, ns *Namespace, script string) string {
	t.Helper()
	var out, complaints bytes.Buffer
	err := ns.Do(func() error {
		cmd := exec.Command("sh", "-ec", script)
		cmd.Stdout, cmd.Stderr = &out, &complaints
		return cmd.Run()
	})
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", script, err, &out, &complaints)
	}
	return out.String()
}

// TestWithinComesBack: the thread that was in a namespace is brought back, also from a
// panic.
func TestWithinComesBack(t *testing.T) {
	h := scratch(t)
	where := func() string {
		at, err := os.Readlink(selfNet)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, there := where(), ""
	func() {
		defer func() { _ = recover() }()
		_ = h.ns.within(func() error {
			there = where()
			panic("x")
		})
	}()
	if there == "" || there == home || where() != home {
		t.Errorf("from %s to %s, and then in %s", home, there, where())
	}
}

func tenant() *spec.Tenant {
	prefix := netip.MustParsePrefix
	return &spec.Tenant{
		Name: "blue",
		Interfaces: []spec.Interface{
			{Name: "outside", Addresses: []netip.Prefix{prefix("198.51.100.1/24"), prefix("2001:db8:1::1/64")}},
			{Name: "inside", Addresses: []netip.Prefix{prefix("10.10.0.1/24")}},
		},
		Routes: []spec.Route{{Destination: prefix("0.0.0.0/0"), Interface: "outside",
			Gateway: netip.MustParseAddr("198.51.100.254")}},
		Pools: []spec.Pool{
			{Name: "staff", Start: netip.MustParseAddr("10.99.0.10"), End: netip.MustParseAddr("10.99.0.250")},
			{Name: "near", Start: netip.MustParseAddr("10.10.0.64"), End: netip.MustParseAddr("10.10.0.95")},
		},
		TunnelGroups: []spec.TunnelGroup{{Name: "staff", Type: spec.RemoteAccess, AddressPools: []string{"staff"}}},
		CryptoMaps: []spec.CryptoMap{{Interface: "outside", Entries: []spec.CryptoEntry{
			{Name: "branch", ReverseRoute: true, Peer: netip.MustParseAddr("192.0.2.7"),
				Local: []netip.Prefix{prefix("10.10.0.0/24")}, Remote: []netip.Prefix{prefix("10.77.0.0/16")}},
			{Name: "any", Dynamic: true, ReverseRoute: true},
		}}},
	}
}

// insideMAC is a MAC that the configuration gives to a macvlan.
var insideMAC = spec.MAC{2, 0, 0x5e, 0, 1, 1}

func devices() []spec.Device {
	return []spec.Device{
		{Interface: "outside", Kind: spec.WholeDevice, Host: "wt-out", MTU: 1400},
		{Interface: "inside", Kind: spec.Macvlan, Host: "wt-in", MAC: insideMAC},
	}
}

func build(t *testing.T, h *Host) (*Gateway, *Config) {
	t.Helper()
	cfg := &Config{
		Host: h, Namespace: fmt.Sprintf("wt-blue-%d", os.Getpid()), Record: filepath.Join(t.TempDir(), "blue.json"),
		Devices: devices(), Tenant: tenant(),
	}
	t.Cleanup(func() { unmountName(cfg.Namespace) })
	g, err := Build(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g, cfg
}

// hostState is what must be as before. Of a link it is whether it was set up, for
// the carrier follows a moment later.
func hostState(t *testing.T, h *Host) string {
	t.Helper()
	links := inside(t, h.ns,
		`ip -br link | sed 's/@[^ ]*//' | awk '{print $1, ($NF ~ /[<,]UP[,>]/), $3}' | sort; ip -o link show wt-out | grep -o -e "mtu [0-9]*" -e PROMISC -e ALLMULTI`)
	return links +
		inside(t, h.ns, `cat /proc/sys/net/ipv[46]/conf/wt-out/[a-b]* /proc/sys/net/ipv4/conf/wt-out/rp_filter
		ip -o addr show scope global | sed 's/^[0-9]*: *//'; ip route show table all | grep -v "table local" | grep 192.0.2; ip -6 route show | grep db8`)
}

func TestGateway(t *testing.T) {
	h := scratch(t)
	before := hostState(t, h)
	g, cfg := build(t, h)
	ns := g.Namespace()

	if got := inside(t, ns,
		"ip -br link | awk '{print $1}' | sed 's/@.*//' | sort | tr '\\n' ' '"); got != "drop0 inside ipsec0 lo "+
		"outside " {
		t.Errorf("devices: %q", got)
	}
	if _, mac, mtu := g.Link("outside"); mtu != 1400 || mac == "" {
		t.Errorf("outside: MTU %d, MAC %s", mtu, mac)
	}
	if _, mac, _ := g.Link("inside"); mac != insideMAC.String() {
		t.Errorf("inside has MAC %s", mac)
	}

	var kinds []string
	for _, e := range g.Endpoints() {
		kinds = append(kinds, fmt.Sprintf("%s %s %s %d", e.Kind, e.Interface, e.Local, e.MTU))
	}
	want := []string{
		"tun ipsec0 invalid AddrPort 1280",
		"ike outside 198.51.100.1:500 1400", "natt outside 198.51.100.1:4500 1400", "esp outside 198.51.100.1:0 1400",
		"ike outside [2001:db8:1::1]:500 1400", "natt outside [2001:db8:1::1]:4500 1400",
		"esp outside [2001:db8:1::1]:0 1400",
	}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("endpoints (-want +got)\n%s", diff)
	}

	paths := []struct{ name, get, want string }{
		{"pool", "10.99.0.17", "dev ipsec0"},
		{"pool within a subnet", "10.10.0.70", "dev ipsec0"},
		{"rest of that subnet", "10.10.0.7", "dev inside"},
		{"branch with source", "10.77.1.1", "dev ipsec0 table main src 10.10.0.1"},
		{"elsewhere", "192.0.2.1", "via 198.51.100.254 dev outside"},
		{"worker never into tunnel", "10.77.1.1 mark 0x57000001", "via 198.51.100.254 dev outside"},
		{"worker on link", "198.51.100.7 mark 0x57000001", "dev outside"},
		{"out of the tunnel", "10.10.0.7 from 10.99.0.17 iif ipsec0", "dev inside"},
		{"clear to a client that gets everything", "10.99.0.17 from 192.0.2.1 iif outside", "dev ipsec0"},
		{"clear to a client with a source inside", "10.99.0.17 from 10.10.0.53 iif outside", "dev drop0"},
		{"clear to a client with a client's source", "10.99.0.17 from 10.99.0.18 iif outside", "dev drop0"},
		{"clear to a client with a branch's source", "10.99.0.17 from 10.77.0.9 iif outside", "dev drop0"},
		{"clear to another client", "10.10.0.70 from 192.0.2.1 iif outside", "dev drop0"},
		{"clear to a branch", "10.77.1.1 from 192.0.2.1 iif outside", "dev drop0"},
		{"clear to the inside", "10.10.0.7 from 192.0.2.1 iif outside", "dev drop0"},
		{"clear to our address inside", "10.10.0.1 from 192.0.2.1 iif outside", "dev drop0"},
		{"inside to a client", "10.99.0.17 from 10.10.0.7 iif inside", "dev ipsec0"},
	}
	for _, p := range paths {
		got := inside(t, ns, "ip route get "+p.get)
		for _, part := range strings.Fields(strings.ReplaceAll(p.want, "table main ", "")) {
			if !strings.Contains(got, part) {
				t.Errorf("%s: got %q, want %q", p.name, got, p.want)
			}
		}
	}
	for _, s := range []string{"ipv4/ip_forward", "ipv4/conf/inside/proxy_arp"} {
		if got := inside(t, ns, "cat /proc/sys/net/"+s); got != "1\n" {
			t.Errorf("%s is %s", s, got)
		}
	}
	testUpdate(t, g, cfg.Tenant)
	testRequests(t, g, cfg.Tenant)
	testLimits(t, g, cfg.Tenant)

	if err := g.Remove(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, hostState(t, h)); diff != "" {
		t.Errorf("the host is not as before (-before +after)\n%s", diff)
	}
	for _, left := range []string{cfg.Record, filepath.Join(namedDir, cfg.Namespace)} {
		if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there", left)
		}
	}
}

func testUpdate(t *testing.T, g *Gateway, old *spec.Tenant) {
	t.Helper()
	changed := *old
	changed.Pools = []spec.Pool{{Name: "other", Start: netip.MustParseAddr("10.98.0.0"),
		End: netip.MustParseAddr("10.98.255.255")}}
	changed.Routes = []spec.Route{{Destination: netip.MustParsePrefix("0.0.0.0/0"), Interface: "outside",
		Gateway: netip.MustParseAddr("198.51.100.253")}}
	if err := g.Update(&changed); err != nil {
		t.Fatal(err)
	}
	for get, want := range map[string]string{
		"10.98.3.4": "dev ipsec0", "10.99.0.17": "dev ipsec0", "10.10.0.70": "dev inside",
		"192.0.2.1":                 "via 198.51.100.253 dev outside",
		"192.0.2.1 mark 0x57000001": "via 198.51.100.253",
	} {
		if got := inside(t, g.ns, "ip route get "+get); !strings.Contains(got, want) {
			t.Errorf("after update: %s: got %q, want %q", get, got, want)
		}
	}
	if got := inside(t, g.ns, "cat /proc/sys/net/ipv4/conf/inside/proxy_arp"); got != "0\n" {
		t.Errorf("proxy_arp is %s", got)
	}
}

func testRequests(t *testing.T, g *Gateway, old *spec.Tenant) {
	t.Helper()
	prefix, addr := netip.MustParsePrefix, netip.MustParseAddr
	client := *old
	client.CryptoMaps = []spec.CryptoMap{{Interface: "outside", Entries: []spec.CryptoEntry{
		{Name: "up", RequestAddress: true, ReverseRoute: true, Peer: addr("192.0.2.7"),
			Remote: []netip.Prefix{prefix("0.0.0.0/0")}},
	}}}
	if err := g.Update(&client); err != nil {
		t.Fatal(err)
	}
	whole := control.Route{Destination: prefix("0.0.0.0/0"), Source: addr("10.55.0.3")}
	for range 2 {
		if err := g.Address(control.Address{Add: true, Prefix: prefix("10.55.0.3/32")}); err != nil {
			t.Error(err)
		}
		if err := g.Routes(control.Routes{Add: []control.Route{whole}}); err != nil {
			t.Error(err)
		}
	}
	want := func(when string, paths map[string]string) {
		t.Helper()
		for get, want := range paths {
			if got := inside(t, g.ns, "ip route get "+get); !strings.Contains(got, want) {
				t.Errorf("%s: %s: got %q, want %q", when, get, got, want)
			}
		}
	}
	want("with an SA", map[string]string{
		"192.0.2.1": "dev ipsec0 src 10.55.0.3", "192.0.2.1 mark 0x57000001": "dev outside",
		"198.51.100.77 from 10.10.0.9 iif inside": "dev ipsec0", "10.99.0.17 from 192.0.2.1 iif outside": "dev drop0",
	})
	for _, bad := range []string{"127.0.0.1/32", "224.0.0.1/32", "fe80::1/64", "::ffff:10.0.0.1/128"} {
		if g.Address(control.Address{Add: true, Prefix: prefix(bad)}) == nil {
			t.Errorf("address %s was accepted", bad)
		}
	}
	for _, bad := range []control.Route{{}, {Destination: prefix("10.0.0.1/8")}, {Destination: prefix("ff00::/8")},
		{Destination: prefix("fd00::/8")}, {Destination: prefix("10.0.0.0/8"), Source: netip.IPv6Loopback()}} {
		if g.Routes(control.Routes{Add: []control.Route{bad}}) == nil {
			t.Errorf("route %v was accepted", bad)
		}
	}
	for range 2 {
		if err := g.Routes(control.Routes{Remove: []netip.Prefix{whole.Destination}}); err != nil {
			t.Error(err)
		}
		if err := g.Address(control.Address{Prefix: prefix("10.55.0.3/32")}); err != nil {
			t.Error(err)
		}
	}
	want("without an SA", map[string]string{"192.0.2.1": "dev ipsec0", "192.0.2.1 mark 0x57000001": "dev outside"})
	for i := range maxAddresses + 1 {
		err := g.Address(control.Address{Add: true,
			Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 56, byte(i >> 8), byte(i)}), 32)})
		if (err != nil) != (i == maxAddresses) {
			t.Fatalf("address %d: %v", i, err)
		}
	}
}

// testLimits has a class that allows few routes and few neighbours.
func testLimits(t *testing.T, g *Gateway, old *spec.Tenant) {
	t.Helper()
	limited := *old
	limited.Limits.Routes = len(old.Routes) + 2
	limited.Limits.MACAddresses = 16
	if err := g.Update(&limited); err != nil {
		t.Fatal(err)
	}
	one := func(i int) control.Route {
		return control.Route{Destination: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 77, byte(i), 0}), 24)}
	}
	for i := range 4 {
		r := control.Routes{Add: []control.Route{one(i)}}
		if err := g.Routes(r); (err != nil) != (i >= 2) {
			t.Errorf("route %d: %v", i, err)
		}
		if i == 1 { // asking again takes nothing
			if err := g.Routes(r); err != nil {
				t.Error(err)
			}
		}
	}
	if u := g.RouteUse(); u.Current != int64(limited.Limits.Routes) || u.Limit != u.Current || u.Denied != 2 {
		t.Errorf("routes: %+v, want all of %d and 2 denied", u, limited.Limits.Routes)
	}
	if err := g.Routes(control.Routes{Remove: []netip.Prefix{one(0).Destination}}); err != nil {
		t.Error(err)
	}
	if u := g.RouteUse(); u.Current != int64(limited.Limits.Routes)-1 {
		t.Errorf("routes after one has gone: %+v", u)
	}

	inside(t, g.ns,
		`for i in $(seq 100 139); do ip neigh replace 10.10.0.$i lladdr 02:00:00:00:01:$((i-90)) dev inside nud stale; done;
		ip neigh replace 10.10.0.99 lladdr 02:00:00:00:00:99 dev inside nud reachable; ip neigh replace 10.10.0.98 lladdr 02:00:00:00:00:98 dev inside nud permanent`)
	before, err := g.MACUse()
	if err != nil {
		t.Fatal(err)
	}
	if before.Denied < 20 || before.Peak < 41 {
		t.Errorf("neighbours: %+v, want 25 or so removed", before)
	}
	after, err := g.MACUse()
	if err != nil || after.Current > 16 || after.Denied != before.Denied {
		t.Errorf("neighbours then: %+v, %v, want 16 at most", after, err)
	}
	for _, kept := range []string{"10.10.0.99", "10.10.0.98"} {
		if got := inside(t, g.ns, "ip neigh show "+kept); !strings.Contains(got, "lladdr") {
			t.Errorf("%s is gone, which is in use: %q", kept, got)
		}
	}
	if err := g.Update(old); err != nil {
		t.Fatal(err)
	}
}

// TestRecover loses a gateway as kill -9 would, at every stage of its build.
func TestRecover(t *testing.T) {
	h := scratch(t)
	before := hostState(t, h)
	stages := map[string]func(*Gateway){
		"complete": func(*Gateway) {},
		"between rename and move": func(g *Gateway) {
			d := g.record.Devices[0]
			link, err := g.ns.handle.LinkByName(d.Tenant)
			if err != nil {
				t.Fatal(err)
			}
			if err := moveOut(g.ns, link, &d, h.ns.file); err != nil {
				t.Fatal(err)
			}
		},
		"before the name is given": func(g *Gateway) {
			d := g.record.Devices[0]
			link, err := g.ns.handle.LinkByName(d.Tenant)
			if err != nil {
				t.Fatal(err)
			}
			g.ns.handle.LinkSetDown(link)
			if err := g.ns.handle.LinkSetName(link, d.Transit); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, stage := range stages {
		t.Run(name, func(t *testing.T) {
			g, cfg := build(t, h)
			stage(g)
			g.stop()
			for _, e := range g.Endpoints() {
				e.File.Close()
			}
			g.ns.Close()
			left, err := Pending(filepath.Dir(cfg.Record))
			if err != nil || len(left) != 1 {
				t.Fatalf("records: %v, %v", left, err)
			}
			if err := h.Recover(left[0]); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, hostState(t, h)); diff != "" {
				t.Errorf("the host is not as before (-before +after)\n%s", diff)
			}
		})
	}
}

// TestDeviceThatCameBack: a device of the machine whose namespace went without us
// was brought back by the kernel under the name that it had there, and down.
func TestDeviceThatCameBack(t *testing.T) {
	h := scratch(t)
	before := hostState(t, h)
	tn := tenant()
	tn.Interfaces = tn.Interfaces[:1]
	cfg := &Config{Host: h, Namespace: fmt.Sprintf("wt-strayed-%d", os.Getpid()),
		Record: filepath.Join(t.TempDir(), "blue.json"), Devices: devices()[:1], Tenant: tn}
	g, err := Build(cfg)
	if err != nil {
		t.Fatal(err)
	}
	g.stop()
	link, err := g.ns.handle.LinkByName("outside")
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []error{g.ns.handle.LinkSetDown(link), g.ns.handle.LinkSetNsFd(link, int(h.ns.file.Fd())),
		g.ns.Delete()} {
		if step != nil {
			t.Fatal(step)
		}
	}
	for _, e := range g.Endpoints() {
		e.File.Close()
	}
	if err := h.Recover(cfg.Record); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, hostState(t, h)); diff != "" {
		t.Errorf("the host is not as before (-before +after)\n%s", diff)
	}
}

func TestBuildFailsClean(t *testing.T) {
	h := scratch(t)
	before := hostState(t, h)
	bad := &Config{
		Host: h, Namespace: fmt.Sprintf("wt-bad-%d", os.Getpid()), Record: filepath.Join(t.TempDir(), "bad.json"),
		Devices: append(devices(), spec.Device{Interface: "dmz", Kind: spec.WholeDevice, Host: "nowhere"}),
		Tenant:  tenant(),
	}
	_, err := Build(bad)
	if err == nil || !strings.Contains(err.Error(), "there is no device nowhere") {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(before, hostState(t, h)); diff != "" {
		t.Errorf("the host is not as before (-before +after)\n%s", diff)
	}
	if _, err := Open(bad.Namespace); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the namespace is left: %v", err)
	}
	if err := h.Check(spec.Device{Kind: spec.WholeDevice, Host: "lo"}, nil); err == nil {
		t.Error("the loopback device would be given away")
	}
	if err := h.Check(spec.Device{Kind: spec.WholeDevice, Host: "gone"}, []string{"gone"}); err != nil {
		t.Errorf("a device that the tenant has: %v", err)
	}
}

func TestVLAN(t *testing.T) {
	h := scratch(t)
	err := h.Check(spec.Device{Kind: spec.VLAN, Host: "wt-out", VLAN: 200}, nil)
	if errors.Is(err, ErrNoVLAN) {
		ns := h.ns
		inside(t, ns, "! ip link add link p-in name probe type vlan id 9")
		return // the kernel really has none, and Check said so
	}
	if err != nil {
		t.Fatal(err)
	}
	list := []spec.Device{{Interface: "outside", Kind: spec.VLAN, Host: "wt-out", VLAN: 200},
		{Interface: "inside", Kind: spec.Macvlan, Host: "wt-in", VLAN: 7}}
	g, err := Build(&Config{Host: h, Namespace: fmt.Sprintf("wt-vlan-%d", os.Getpid()),
		Record: filepath.Join(t.TempDir(), "v.json"), Devices: list, Tenant: tenant()})
	if err != nil {
		t.Fatal(err)
	}
	if got := inside(t, g.ns, "ip -d link show outside"); !strings.Contains(got, "id 200") {
		t.Errorf("outside: %s", got)
	}
	if err := g.Remove(); err != nil {
		t.Error(err)
	}
}

func TestNames(t *testing.T) {
	for _, bad := range []string{"", ".", "..", "a/b", "a\x00", strings.Repeat("x", 300)} {
		if _, err := Create(bad); err == nil {
			t.Errorf("Create(%q) succeeded", bad)
		}
		if _, err := Open(bad); err == nil {
			t.Errorf("Open(%q) succeeded", bad)
		}
	}
	for name, same := range map[string]bool{
		"outside": true, "a-name-far-too-long-for-linux": false, "lo": false, "ipsec0": false, "a/b": false,
		"fifteen-letters": true, "..": false, "all": false,
	} {
		got := deviceName(name)
		if (got == name) != same || len(got) > maxDeviceName {
			t.Errorf("deviceName(%q) = %q", name, got)
		}
	}
}

func TestTUNMTU(t *testing.T) {
	t1 := tenant()
	if got := TUNMTU(t1, func(string) int { return 9000 }); got != 8880 {
		t.Errorf("over IPv6: %d", got)
	}
	t1.Interfaces[0].Addresses = t1.Interfaces[0].Addresses[:1]
	if got := TUNMTU(t1, func(string) int { return 0 }); got != 1400 {
		t.Errorf("over IPv4: %d", got)
	}
	t1.DataPlane.MTU = 1300
	if got := TUNMTU(t1, nil); got != 1300 {
		t.Errorf("configured: %d", got)
	}
}

// TestHostIsUntouched proves that nothing above happened where the test runs.
func TestHostIsUntouched(t *testing.T) {
	for _, name := range []string{"wt-out", "wt-in", "outside", "inside", tunName} {
		if _, err := netlink.LinkByName(name); err == nil {
			t.Errorf("%s is in the namespace of the test", name)
		}
	}
}

func TestReceivers(t *testing.T) {
	for processors, want := range map[int]int{1: 1, 2: 1, 3: 1, 4: 2, 8: 4, 128: 4} {
		if got := receivers(processors); got != want {
			t.Errorf("%d processors: %d sockets, want %d", processors, got, want)
		}
	}
}
