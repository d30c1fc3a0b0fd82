package netns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/spec"
)

// dualTenant is tenant with IPv6 wherever there is IPv4.
func dualTenant() *spec.Tenant {
	t := tenant()
	prefix, addr := netip.MustParsePrefix, netip.MustParseAddr
	t.Interfaces[1].Addresses = append(t.Interfaces[1].Addresses, prefix("fd00:10::1/64"))
	t.Routes = append(t.Routes,
		spec.Route{Destination: prefix("::/0"), Interface: "outside", Gateway: addr("2001:db8:1::fe")},
		spec.Route{Destination: prefix("10.20.0.0/16"), Interface: "inside", Gateway: addr("10.10.0.254")},
		spec.Route{Destination: prefix("fd00:20::/64"), Interface: "inside", Gateway: addr("fd00:10::fe")})
	t.Pools = append(t.Pools, spec.Pool{Name: "staff6", Start: addr("fd00:99::10"), End: addr("fd00:99::ffff")})
	t.TunnelGroups = append(t.TunnelGroups, spec.TunnelGroup{Name: "sites", Type: spec.SiteToSite,
		RemoteNetworks: []netip.Prefix{prefix("10.88.0.0/16")}})
	t.TunnelGroups[0].AddressPools = []string{"staff", "staff6"}
	e := &t.CryptoMaps[0].Entries[0]
	e.Local = append(e.Local, prefix("fd00:10::/64"), prefix("10.30.0.0/16"))
	e.Remote = append(e.Remote, prefix("fd00:77::/48"))
	return t
}

// TestClearFromOutside sends frames from the outside segment to a client that
// gets everything through the tunnel: only those with a source that may be outside
// reach the data plane, the others are dropped and counted.
func TestClearFromOutside(t *testing.T) {
	h := scratch(t)
	g := buildWith(t, h, dualTenant())
	fd, mac := wireOf(t, h, g)
	sources := []struct {
		what    string
		from    string
		allowed bool
	}{
		{"a host inside", "10.10.0.53", false},
		{"our own address inside", "10.10.0.1", false},
		{"a network behind a router inside", "10.20.3.4", false},
		{"a local network that the crypto map protects", "10.30.3.4", false},
		{"a branch", "10.77.200.1", false},
		{"another client", "10.99.0.77", false},
		{"a client with an address within the inside", "10.10.0.70", false},
		{"a host on the segment", "198.51.100.66", true},
		{"the Internet", "192.0.2.9", true},
		{"a host inside", "fd00:10::53", false},
		{"a network behind a router inside", "fd00:20::53", false},
		{"a branch", "fd00:77:0:1::1", false},
		{"another client", "fd00:99::77", false},
		{"a host on the segment", "2001:db8:1::66", true},
		{"the Internet", "2001:db8:99::9", true},
	}
	const nowhere, last = 1000, 2000
	round := func() (dropped uint64) {
		for i, s := range sources {
			from, client := netip.MustParseAddr(s.from), netip.MustParseAddr("10.99.0.10")
			if from.Is6() {
				client = netip.MustParseAddr("fd00:99::10")
			}
			sendFrame(t, fd, mac, udpPacket(from, client, uint16(i)))
			if !s.allowed && s.from != "10.10.0.1" { // ours, which the kernel drops by itself
				dropped++
			}
		}
		// To where nothing may go in clear, whatever the source.
		for _, to := range []string{"10.10.0.70", "10.10.0.53", "10.10.0.1", "10.20.1.1", "10.77.1.1", "fd00:10::1",
			"fd00:10::53", "fd00:77::1"} {
			from := netip.MustParseAddr("192.0.2.9")
			if a := netip.MustParseAddr(to); a.Is6() {
				from = netip.MustParseAddr("2001:db8:99::9")
			}
			sendFrame(t, fd, mac, udpPacket(from, netip.MustParseAddr(to), nowhere))
			dropped++
		}
		return dropped
	}
	// A busy machine loses frames, and a link that has just come up does: what may
	// pass is sent until it has, and the rest as often.
	got := make(map[uint16]bool)
	var want uint64
	for limit := time.Now().Add(20 * time.Second); time.Now().Before(limit); {
		n := round()
		sendFrame(t, fd, mac, udpPacket(netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("10.99.0.10"), last))
		for waits(t, g, 100*time.Millisecond) {
			got[nextPort(t, g)] = true
		}
		drops, err := g.ClearDrops()
		if err != nil {
			t.Fatal(err)
		}
		complete := got[last] && drops >= n
		for i, s := range sources {
			complete = complete && (!s.allowed || got[uint16(i)])
		}
		if want = n; complete {
			break
		}
	}
	for i, s := range sources {
		if got[uint16(i)] != s.allowed {
			t.Errorf("%s (%s) as the source of a packet in clear: passes is %v, want %v", s.what, s.from,
				!s.allowed, s.allowed)
		}
	}
	if got[nowhere] {
		t.Error("a packet in clear went to where none may go")
	}
	if n, err := g.ClearDrops(); err != nil || n < want {
		t.Errorf("%d packets are counted as dropped, %v; want %d", n, err, want)
	}
}

// TestIngress sends frames from the outside segment to our own addresses there: those
// with a source inside or of a pool are dropped and counted, all others are delivered.
func TestIngress(t *testing.T) {
	h := scratch(t)
	tn := dualTenant()
	tn.Routes = append(tn.Routes, spec.Route{Destination: netip.MustParsePrefix("10.20.99.0/24"), Interface: "outside",
		Gateway: netip.MustParseAddr("198.51.100.253")})
	g := buildWith(t, h, tn)
	fd, mac := wireOf(t, h, g)
	sources := []struct {
		what    string
		from    string
		allowed bool
	}{
		{"a host inside", "10.10.0.53", false},
		{"a network behind a router inside", "10.20.3.4", false},
		{"a client", "10.99.0.77", false},
		{"a client with an address within the inside", "10.10.0.70", false},
		{"beside the pool", "10.99.0.9", true},
		{"a network outside within one inside", "10.20.99.1", true},
		{"what is protected, where our peer may be", "10.77.200.1", true},
		{"what a crypto map calls ours, and nothing else does", "10.30.3.4", true},
		{"a host on the segment", "198.51.100.66", true},
		{"the Internet", "192.0.2.9", true},
		{"a host inside", "fd00:10::53", false},
		{"a network behind a router inside", "fd00:20::53", false},
		{"a client", "fd00:99::77", false},
		{"beside the pool", "fd00:99::1:0", true},
		{"a host on the segment", "2001:db8:1::66", true},
		{"the Internet", "2001:db8:99::9", true},
	}
	got := make(map[netip.Addr]bool)
	round := func() (dropped uint64) {
		for _, s := range sources {
			from, to := netip.MustParseAddr(s.from), netip.MustParseAddr("198.51.100.1")
			if from.Is6() {
				to = netip.MustParseAddr("2001:db8:1::1")
			}
			sendFrame(t, fd, mac, udpPacket(from, to, 4500))
			if !s.allowed {
				dropped++
			}
		}
		return dropped
	}
	ears := []int{rawSocket(t, g, unix.AF_INET), rawSocket(t, g, unix.AF_INET6)}
	// As above: until all that may has come, and what may not is counted.
	for limit := time.Now().Add(20 * time.Second); ; {
		n := round()
		drops, err := g.ClearDrops()
		if err != nil {
			t.Fatal(err)
		}
		for _, ear := range ears {
			hear(t, ear, got)
		}
		complete := drops >= n
		for _, s := range sources {
			complete = complete && (!s.allowed || got[netip.MustParseAddr(s.from)])
		}
		if complete || time.Now().After(limit) {
			if drops < n {
				t.Errorf("%d packets are counted as dropped, want %d", drops, n)
			}
			break
		}
	}
	for _, s := range sources {
		if got[netip.MustParseAddr(s.from)] != s.allowed {
			t.Errorf("%s (%s) as the source of a packet to ourselves: delivered is %v, want %v", s.what, s.from,
				!s.allowed, s.allowed)
		}
	}
	for from, want := range map[string]string{"10.10.0.53": "inside", "10.99.0.77": "ipsec0"} {
		if got := inside(t, g.ns, "ip route get 198.51.100.1 from "+from+" iif "+want); !containsWord(got, "local") {
			t.Errorf("from %s over %s, where it belongs: %s", from, want, got)
		}
	}
}

// TestIngressRules: packets from far away pass over the rules in two steps, and the
// longest prefix of those that are near decides.
func TestIngressRules(t *testing.T) {
	g := &Gateway{tenant: dualTenant()}
	g.tenant.Routes = append(g.tenant.Routes,
		spec.Route{Destination: netip.MustParsePrefix("10.20.99.0/24"), Interface: "outside"},
		spec.Route{Destination: netip.MustParsePrefix("0.0.0.0/0"), Interface: "inside"})
	g.tenant.Pools = g.tenant.Pools[:0]
	show := func(family int) (out []string) {
		for _, r := range g.ingressRules(family) {
			out = append(out, fmt.Sprintf("%d from %v table %d next %d", r.priority, r.from, r.table, r.next))
		}
		return out
	}
	want := []string{
		"134 from 10.10.0.0/24 table 5004 next 0",
		"142 from 10.20.0.0/16 table 5004 next 0",
		"134 from 10.20.99.0/24 table 0 next 160",
		"20 from 10.0.0.0/8 table 0 next 134",
		"21 from invalid Prefix table 0 next 160",
	}
	if diff := cmp.Diff(want, show(unix.AF_INET)); diff != "" {
		t.Errorf("IPv4 (-want +got):\n%s", diff)
	}
	want = []string{
		"94 from fd00:10::/64 table 5004 next 0",
		"94 from fd00:20::/64 table 5004 next 0",
	}
	if diff := cmp.Diff(want, show(unix.AF_INET6)); diff != "" {
		t.Errorf("IPv6 (-want +got):\n%s", diff)
	}
}

// rawSocket receives what is delivered of UDP in the namespace.
func rawSocket(t *testing.T, g *Gateway, family int) (fd int) {
	t.Helper()
	err := g.ns.Do(func() (err error) {
		fd, err = unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_UDP)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// hear adds the sources of all that waits in a socket.
func hear(t *testing.T, fd int, from map[netip.Addr]bool) {
	t.Helper()
	b := make([]byte, 2048)
	for {
		_, addr, err := unix.Recvfrom(fd, b, 0)
		switch a := addr.(type) {
		case *unix.SockaddrInet4:
			from[netip.AddrFrom4(a.Addr)] = true
		case *unix.SockaddrInet6:
			from[netip.AddrFrom16(a.Addr)] = true
		}
		if errors.Is(err, unix.EAGAIN) {
			return
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			t.Fatal(err)
		}
	}
}

// TestClearRulesFollow: what is inside, or behind the tunnel, changes with the
// configuration.
func TestClearRulesFollow(t *testing.T) {
	h := scratch(t)
	g := buildWith(t, h, dualTenant())
	path := func(from, want string) {
		t.Helper()
		if got := inside(t, g.ns, "ip route get 10.99.0.17 from "+from+" iif outside"); !containsWord(got, want) {
			t.Errorf("from %s: got %q, want %s", from, got, want)
		}
	}
	path("10.40.0.1", "ipsec0")
	changed := *g.tenant
	updated := func() error {
		tn := changed
		return g.Update(&tn)
	}
	changed.Routes = append(slices.Clone(changed.Routes),
		spec.Route{Destination: netip.MustParsePrefix("10.40.0.0/16"), Interface: "inside",
			Gateway: netip.MustParseAddr("10.10.0.254")})
	if err := updated(); err != nil {
		t.Fatal(err)
	}
	path("10.40.0.1", "drop0")
	changed.GroupPolicies = []spec.GroupPolicy{
		{Name: "split", PolicyAttributes: spec.PolicyAttributes{
			SplitTunnel: []netip.Prefix{netip.MustParsePrefix("10.10.0.0/24")}}}}
	changed.TunnelGroups = []spec.TunnelGroup{{Name: "staff", Type: spec.RemoteAccess, Policy: "split",
		AddressPools: []string{"staff"}}}
	if err := updated(); err != nil {
		t.Fatal(err)
	}
	path("192.0.2.9", "drop0") // nobody gets anything from there through the tunnel
	changed.GroupPolicies = []spec.GroupPolicy{
		{Name: "split", PolicyAttributes: spec.PolicyAttributes{
			SplitTunnel: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}}}
	if err := updated(); err != nil {
		t.Fatal(err)
	}
	path("198.51.100.9", "ipsec0") // what the clients reach is on the outside segment
	path("10.10.0.9", "drop0")
	old := dualTenant()
	if err := g.Update(old); err != nil {
		t.Fatal(err)
	}
	path("10.40.0.1", "ipsec0")
}

// TestNothingLeavesBesideTheTunnel: what a tunnel carries, or carried, is routed to
// the data plane, whatever static routes say, until the configuration says where
// it is now.
func TestNothingLeavesBesideTheTunnel(t *testing.T) {
	prefix, addr := netip.MustParsePrefix, netip.MustParseAddr
	h := scratch(t)
	first := dualTenant()
	first.Routes = append(first.Routes, spec.Route{Destination: prefix("10.77.5.0/24"), Interface: "outside",
		Gateway: addr("198.51.100.253")})
	g := buildWith(t, h, first)
	path := func(when, to, want string) {
		t.Helper()
		if got := inside(t, g.ns, "ip route get "+to+" from "+hostInside(to)+" iif inside"); !containsWord(got, want) {
			t.Errorf("%s: %s: got %q, want %s", when, to, got, want)
		}
	}
	path("a static route outside within what is protected", "10.77.5.1", "ipsec0")
	path("IPv6", "fd00:77::5", "ipsec0")
	path("what a site at a dynamic address may bring", "10.88.1.1", "ipsec0")

	if err := g.Routes(control.Routes{Reset: true, Add: []control.Route{{Destination: prefix("10.77.0.0/16")},
		{Destination: prefix("fd00:77::/48")}}}); err != nil {
		t.Fatal(err)
	}
	none := *first
	none.CryptoMaps = []spec.CryptoMap{
		{Interface: "outside", Entries: []spec.CryptoEntry{{Name: "any", Dynamic: true}}}}
	none.Pools = nil
	if err := g.Update(&none); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"10.77.9.1", "10.77.5.1", "fd00:77::5", "10.99.0.10", "fd00:99::10"} {
		path("removed, and the SA stands", to, "ipsec0")
	}
	if err := g.Routes(control.Routes{Reset: true}); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"10.77.9.1", "fd00:77::5", "10.99.0.10", "fd00:99::10"} {
		path("removed, and the SA is gone", to, "ipsec0")
	}
	moved := none
	moved.Routes = append(slices.Clone(none.Routes),
		spec.Route{Destination: prefix("10.77.0.0/16"), Interface: "inside", Gateway: addr("10.10.0.254")})
	if err := g.Update(&moved); err != nil {
		t.Fatal(err)
	}
	path("the configuration says where it is now", "10.77.9.1", "inside")
	path("of the other it says nothing", "10.99.0.10", "ipsec0")
	path("elsewhere", "192.0.2.9", "outside")
}

// TestReverseRoute: a route into the tunnel comes before a static one of the same
// length while an SA stands, and only where the entry wants it.
func TestReverseRoute(t *testing.T) {
	h := scratch(t)
	for _, reverse := range []bool{true, false} {
		tn := dualTenant()
		tn.CryptoMaps[0].Entries = tn.CryptoMaps[0].Entries[:1]
		tn.CryptoMaps[0].Entries[0].ReverseRoute = reverse
		tn.Routes = append(tn.Routes, spec.Route{Destination: netip.MustParsePrefix("10.77.0.0/16"),
			Interface: "inside", Gateway: netip.MustParseAddr("10.10.0.254")})
		g := buildWith(t, h, tn)
		path := func(when, want string) {
			t.Helper()
			if got := inside(t, g.ns, "ip route get 10.77.1.1"); !containsWord(got, want) {
				t.Errorf("reverse_route %v, %s: got %q, want %s", reverse, when, got, want)
			}
		}
		path("no SA", "inside")
		add := control.Routes{Add: []control.Route{{Destination: netip.MustParsePrefix("10.77.0.0/16")}}}
		if err := g.Routes(add); err != nil {
			t.Fatal(err)
		}
		path("an SA", map[bool]string{true: "ipsec0", false: "inside"}[reverse])
		if err := g.Routes(control.Routes{Remove: []netip.Prefix{netip.MustParsePrefix("10.77.0.0/16")}}); err != nil {
			t.Fatal(err)
		}
		path("no SA any more", "inside")
		if err := g.Remove(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOneArm: what a site protects is on the segment outside; who is there reaches
// the branch through the gateway, and nobody else does.
func TestOneArm(t *testing.T) {
	h := scratch(t)
	tn := dualTenant()
	tn.CryptoMaps[0].Entries[0].Local = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
	g := buildWith(t, h, tn)
	for from, want := range map[string]string{"198.51.100.9": "ipsec0", "10.10.0.9": "drop0", "10.77.9.9": "drop0"} {
		if got := inside(t, g.ns, "ip route get 10.77.1.1 from "+from+" iif outside"); !containsWord(got, want) {
			t.Errorf("from %s: got %q, want %s", from, got, want)
		}
	}
}

func TestFewest(t *testing.T) {
	in := func(p string) source { return source{netip.MustParsePrefix(p), true} }
	out := func(p string) source { return source{netip.MustParsePrefix(p), false} }
	tests := []struct {
		name string
		give []source
		want string
	}{
		{"outside alone", []source{out("0.0.0.0/0"), out("198.51.100.0/24")}, "[]"},
		{"inside within outside", []source{out("0.0.0.0/0"), in("10.0.0.0/8")}, "[{10.0.0.0/8 true}]"},
		{"inside within inside", []source{in("10.0.0.0/8"), in("10.1.0.0/16"), in("10.0.0.0/8")},
			"[{10.0.0.0/8 true}]"},
		{"outside within inside", []source{in("0.0.0.0/0"), out("198.51.100.0/24")},
			"[{0.0.0.0/0 true} {198.51.100.0/24 false}]"},
		{"three deep", []source{in("10.0.0.0/8"), out("10.1.0.0/16"), in("10.1.2.0/24"), in("10.2.0.0/16")},
			"[{10.0.0.0/8 true} {10.1.0.0/16 false} {10.1.2.0/24 true}]"},
		{"equal", []source{out("10.0.0.0/8"), in("10.0.0.0/8")}, "[{10.0.0.0/8 true}]"},
	}
	for _, tt := range tests {
		got := "["
		for i, s := range fewest(tt.give, unix.AF_INET) {
			got += strings.Repeat(" ", min(i, 1)) + fmt.Sprintf("{%v %v}", s.prefix, s.inside)
		}
		if got += "]"; got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

// buildWith is build for another tenant, which is removed in the end.
func buildWith(t testing.TB, h *Host, tn *spec.Tenant, changes ...func(*Config)) *Gateway {
	t.Helper()
	cfg := &Config{Host: h, Namespace: fmt.Sprintf("wt-guard-%d", os.Getpid()), Record: t.TempDir() + "/guard.json",
		Devices: devices(), Tenant: tn}
	for _, change := range changes {
		change(cfg)
	}
	g, err := Build(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !g.gone {
			if err := g.Remove(); err != nil {
				t.Error(err)
			}
		}
	})
	return g
}

// wireOf opens a packet socket at the other end of the outside interface, and
// returns the MAC of the gateway.
func wireOf(t *testing.T, h *Host, g *Gateway) (fd int, mac net.HardwareAddr) {
	t.Helper()
	_, text, _ := g.Link("outside")
	mac, err := net.ParseMAC(text)
	if err != nil {
		t.Fatal(err)
	}
	err = h.ns.Do(func() error {
		peer, err := net.InterfaceByName("p-out")
		if err != nil {
			return err
		}
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: peer.Index})
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd, mac
}

func sendFrame(t *testing.T, fd int, to net.HardwareAddr, packet []byte) {
	t.Helper()
	protocol := uint16(0x0800)
	if packet[0]>>4 == 6 {
		protocol = etherIPv6
	}
	frame := append(ethernet(to, net.HardwareAddr{2, 0, 0, 0, 0, 9}, protocol), packet...)
	if _, err := unix.Write(fd, frame); err != nil {
		t.Fatal(err)
	}
}

// udpPacket is an empty datagram, whose number is its port.
func udpPacket(from, to netip.Addr, port uint16) []byte {
	udp := binary.BigEndian.AppendUint16(nil, 53)
	udp = binary.BigEndian.AppendUint16(udp, port)
	udp = append(udp, 0, 8, 0, 0)
	if from.Is6() {
		b := append([]byte{0x60, 0, 0, 0, 0, 8, unix.IPPROTO_UDP, 64}, from.AsSlice()...)
		return append(append(b, to.AsSlice()...), udp...)
	}
	b := append([]byte{0x45, 0, 0, 28, 0, 0, 0x40, 0, 64, unix.IPPROTO_UDP, 0, 0}, from.AsSlice()...)
	b = append(b, to.AsSlice()...)
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum>>16+sum))
	return append(b, udp...)
}

// nextPort is the number of the next datagram that the data plane would get.
func nextPort(t *testing.T, g *Gateway) uint16 {
	t.Helper()
	if !waits(t, g, patience) {
		t.Fatal("nothing comes to the data plane")
	}
	b := make([]byte, 2048)
	n, err := unix.Read(int(g.endpoints[0].File.Fd()), b)
	if err != nil {
		t.Fatal(err)
	}
	const header = 10 // virtio_net_hdr
	ip := b[header:n]
	at := 20
	if ip[0]>>4 == 6 {
		at = 40
	}
	return binary.BigEndian.Uint16(ip[at+2:])
}

// waits reports whether a packet for the data plane comes in time.
func waits(t *testing.T, g *Gateway, within time.Duration) bool {
	t.Helper()
	poll := []unix.PollFd{{Fd: int32(g.endpoints[0].File.Fd()), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(poll, int(within/time.Millisecond))
		if !errors.Is(err, unix.EINTR) {
			return n == 1
		}
	}
}

func hostInside(to string) string {
	if netip.MustParseAddr(to).Is6() {
		return "fd00:10::9"
	}
	return "10.10.0.9"
}

func containsWord(text, word string) bool { return slices.Contains(strings.Fields(text), word) }
