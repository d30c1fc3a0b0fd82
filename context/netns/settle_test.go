package netns

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/control"
)

// everything is what the kernel has of a tenant: addresses, routes and rules, in
// order, but for link-local addresses, which come a moment later.
func everything(t *testing.T, g *Gateway) string {
	t.Helper()
	return inside(t, g.ns, `ip -o addr | awk '{print $2, $4}' | grep -v fe80: | sort
		for f in -4 -6; do ip $f rule; for t in main 5001 5002 5003 5004; do ip $f route show table $t 2>/dev/null | grep -v fe80: | sed 's/ linkdown//' | sort; done; done
		ip -6 neigh show proxy; ip -o link | sed 's/.*: \([a-z0-9]*\)[@:].*[<,]UP[,>].*/\1 up/' | awk '{print $1, $2}' | sort`)
}

// await waits until the kernel has this.
func await(t *testing.T, g *Gateway, want string) {
	t.Helper()
	var got string
	for limit := time.Now().Add(patience); time.Now().Before(limit); time.Sleep(20 * time.Millisecond) {
		if got = everything(t, g); got == want {
			return
		}
	}
	t.Errorf("not as before (-before +now)\n%s", cmp.Diff(want, got))
}

// dual is a gateway with an SA and a client within the inside.
func dual(t *testing.T) (*Host, *Gateway) {
	t.Helper()
	return dualWith(t, func(*Config) {})
}

// dualWith is dual with another Config.
func dualWith(t *testing.T, change func(*Config)) (*Host, *Gateway) {
	t.Helper()
	h := scratch(t)
	tn := dualTenant()
	tn.Pools[3-1].Start, tn.Pools[3-1].End = netip.MustParseAddr("fd00:10::c:1"), netip.MustParseAddr("fd00:10::c:ffff")
	g := buildWith(t, h, tn, change)
	routed(t, g, netip.MustParseAddr("fd00:10::c:5"))
	return h, g
}

// routed gives a gateway the route of an SA, and has it answer for clients within the inside.
func routed(t *testing.T, g *Gateway, answer ...netip.Addr) {
	t.Helper()
	if err := g.Routes(control.Routes{Reset: true, Answer: answer,
		Add: []control.Route{{Destination: netip.MustParsePrefix("10.77.0.0/16")}}}); err != nil {
		t.Fatal(err)
	}
}

// breakages are what somebody does to the namespace of dualTenant.
var breakages = []string{
	"ip addr del 198.51.100.1/24 dev outside",
	"ip -6 addr flush dev inside scope global",
	"ip route flush table 5001; ip -6 route flush table 5001",
	"ip route del default; ip route flush dev ipsec0; ip -6 route flush dev ipsec0",
	// The Gateway may be as fast as these: what it has added meanwhile is there.
	"ip rule flush; ip -6 rule flush; ip rule add pref 32766 lookup main || true; " +
		"ip rule add pref 32767 lookup default || true; ip -6 rule add pref 32766 lookup main || true",
	"ip rule add pref 5 lookup main",
	"ip link set outside down; ip link set ipsec0 down; ip link set lo down",
	"ip link del inside",
}

// wantPutBack wants Update to make everything as it was before a breakage.
func wantPutBack(t *testing.T, g *Gateway, before, breakage string) {
	t.Helper()
	inside(t, g.ns, breakage)
	if err := g.Update(g.tenant); err != nil {
		t.Errorf("%s: %v", breakage, err)
	}
	if got := everything(t, g); got != before {
		t.Errorf("%s: not as before (-before +now)\n%s", breakage, cmp.Diff(before, got))
	}
}

// TestHeal: a link that goes down and up, or whose other end does, is as before by
// itself, and so is what the kernel takes from it meanwhile.
func TestHeal(t *testing.T) {
	h, g := dual(t)
	before := everything(t, g)
	for _, breakage := range []string{
		"ip link set outside down; ip link set outside up",
		"ip link set inside down; ip link set inside up",
		"ip link set outside down; ip link set inside down; ip link set inside up; ip link set outside up",
		"ip link set ipsec0 down; ip link set ipsec0 up",
		"ip link set drop0 down; ip link set drop0 up",
	} {
		inside(t, g.ns, breakage)
		await(t, g, before)
	}
	inside(t, h.ns, "ip link set p-out down; ip link set p-out up")
	await(t, g, before)
}

// TestUpdatePutsBack: Update looks at what is there, and brings back all that is
// gone.
func TestUpdatePutsBack(t *testing.T) {
	_, g := dual(t)
	before := everything(t, g)
	more := []string{"true", "ip -6 neigh del proxy fd00:10::c:5 dev inside"}
	for _, breakage := range slices.Concat(more, breakages) {
		wantPutBack(t, g, before, breakage)
	}
	if _, mac, _ := g.Link("inside"); mac != insideMAC.String() {
		t.Errorf("the device that was made again has MAC %s", mac)
	}
}

// TestUpdateSetsProxiesAgain: a device answers for clients again after somebody has
// changed that, and one that was away, and has its index still, when it is taken again.
func TestUpdateSetsProxiesAgain(t *testing.T) {
	h := scratch(t)
	tn := tenant()
	tn.Pools[0].Start, tn.Pools[0].End = netip.MustParseAddr("198.51.100.64"), netip.MustParseAddr("198.51.100.95")
	g := buildWith(t, h, tn)
	const read = "cat /proc/sys/net/ipv4/conf/outside/proxy_arp"
	check := func(after string) {
		t.Helper()
		if got := inside(t, g.ns, read); got != "1\n" {
			t.Errorf("%s: proxy_arp is %q", after, got)
		}
	}
	check("built")
	inside(t, g.ns, "echo 0 > /proc/sys/net/ipv4/conf/outside/proxy_arp")
	if err := g.Update(tn); err != nil {
		t.Fatal(err)
	}
	check("changed by somebody")

	link, err := g.ns.handle.LinkByName("outside")
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []error{g.ns.handle.LinkSetDown(link), g.ns.handle.LinkSetName(link, "wt-out"),
		g.ns.handle.LinkSetNsFd(link, int(h.ns.file.Fd()))} {
		if step != nil {
			t.Fatal(step)
		}
	}
	if err := g.Update(tn); err != nil {
		t.Fatal(err)
	}
	if again, err := g.ns.handle.LinkByName("outside"); err != nil || again.Attrs().Index != link.Attrs().Index {
		t.Errorf("the device is %v, %v; it had index %d", again, err, link.Attrs().Index)
	}
	check("moved out and taken again")
}

// TestGoneForGood: a device that cannot be had again is named, and the rest is put
// back nevertheless.
func TestGoneForGood(t *testing.T) {
	h, g := dual(t)
	inside(t, h.ns, "ip link del p-out; ip link del wt-in; ip link del p-in || true") // both ends of both
	err := g.Update(g.tenant)
	if err == nil || !strings.Contains(err.Error(), "outside") ||
		!strings.Contains(err.Error(), "there is no device wt-out") {
		t.Errorf("got %v", err)
	}
	if got := g.Carriers(); got["outside"] || got["inside"] {
		t.Errorf("carriers of devices that are gone: %v", got)
	}
	inside(t, h.ns, `ip link add wt-out mtu 1480 type veth peer name p-out; ip link set p-out up
		ip link add wt-in type veth peer name p-in; ip link set p-in up`)
	if err := g.Update(g.tenant); err != nil {
		t.Errorf("when they are there again: %v", err)
	}
	if got := inside(t, g.ns, "ip route get 192.0.2.1"); !containsWord(got, "outside") {
		t.Errorf("when they are there again: %s", got)
	}
}

// TestShutdown: an interface that is to be down has its addresses and is down, and
// comes up when it may.
func TestShutdown(t *testing.T) {
	_, g := dual(t)
	before := everything(t, g)
	off := *g.tenant
	off.Interfaces = slices.Clone(off.Interfaces)
	off.Interfaces[1].Shutdown = true
	on := *g.tenant
	if err := g.Update(&off); err != nil {
		t.Fatal(err)
	}
	if got := inside(t, g.ns, "ip -o link show inside"); strings.Contains(got, ",UP") || strings.Contains(got, "<UP") {
		t.Errorf("shutdown: %s", got)
	}
	if got := inside(t, g.ns, "ip -o addr show inside"); !strings.Contains(got, "10.10.0.1/24") ||
		!strings.Contains(got, "fd00:10::1/64") {
		t.Errorf("shutdown: addresses: %s", got)
	}
	if _, counted := g.Carriers()["inside"]; counted {
		t.Error("shutdown: its carrier counts")
	}
	if err := g.Update(&on); err != nil {
		t.Fatal(err)
	}
	await(t, g, before)
}

// TestAnswerND: who asks on the inside for the address of a client that lies there
// gets an answer, and not for one that is not connected.
func TestAnswerND(t *testing.T) {
	h, g := dual(t)
	inside(t, h.ns, "ip addr add fd00:10::9/64 dev p-in nodad")
	ask := func(a string) bool {
		err := h.ns.Do(func() error {
			fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			return unix.Sendto(fd, []byte("x"), 0, &unix.SockaddrInet6{Port: 9, Addr: netip.MustParseAddr(a).As16()})
		})
		return err == nil && strings.Contains(inside(t, h.ns, "ip -6 neigh show "+a+" dev p-in"), "lladdr")
	}
	asked := func(a string, want bool) {
		t.Helper()
		for limit := time.Now().Add(patience); time.Now().Before(limit); time.Sleep(50 * time.Millisecond) {
			if ask(a) == want {
				return
			}
		}
		t.Errorf("%s is answered for: %v, want %v", a, !want, want)
	}
	asked("fd00:10::c:5", true)
	asked("fd00:10::c:6", false)
	if err := g.Routes(control.Routes{Silence: []netip.Addr{netip.MustParseAddr("fd00:10::c:5")},
		Answer: []netip.Addr{netip.MustParseAddr("fd00:10::c:6")}}); err != nil {
		t.Fatal(err)
	}
	inside(t, h.ns, "ip -6 neigh flush dev p-in")
	asked("fd00:10::c:6", true)
	asked("fd00:10::c:5", false)
	for _, not := range []string{"10.99.0.10", "fd00:10::53", "2001:db8::1"} {
		if g.Routes(control.Routes{Answer: []netip.Addr{netip.MustParseAddr(not)}}) == nil {
			t.Errorf("%s is answered for, which is no client's", not)
		}
	}
}
