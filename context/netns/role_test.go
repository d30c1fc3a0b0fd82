package netns

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/failover"
)

// pairedTenant is tenant with a standby address for most addresses.
func paired(t *testing.T, h *Host) *Gateway {
	t.Helper()
	g, err := Build(pairedConfig(t, h))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Remove(); err != nil {
			t.Error(err)
		}
	})
	return g
}

func pairedConfig(t *testing.T, h *Host) *Config {
	tn := tenant()
	tn.Interfaces[0].Standby = []netip.Addr{netip.MustParseAddr("198.51.100.11"), netip.MustParseAddr("2001:db8:1::11")}
	tn.Interfaces[1].Standby = []netip.Addr{netip.MustParseAddr("10.10.0.2")}
	mac := func(last byte) spec.MAC { return spec.MAC{2, 0, 0x5e, 0, 0, last} }
	list := devices()
	list[0].ActiveMAC, list[0].StandbyMAC = mac(1), mac(2)
	list[1].ActiveMAC, list[1].StandbyMAC = mac(3), mac(4)
	return &Config{Host: h, Namespace: fmt.Sprintf("wt-pair-%d", os.Getpid()),
		Record:  filepath.Join(t.TempDir(), "blue.json"),
		Devices: list, Tenant: tn, Paired: true}
}

// TestAddressesOfRoles: every role has the active addresses and MACs, the standby ones, or
// none, and a change between two roles with the same ones changes nothing.
func TestAddressesOfRoles(t *testing.T) {
	i := spec.Interface{Name: "outside", Standby: []netip.Addr{netip.MustParseAddr("198.51.100.11")},
		Addresses: []netip.Prefix{netip.MustParsePrefix("198.51.100.1/24"), netip.MustParsePrefix("2001:db8:1::1/64")}}
	l := linkFacts{active: net.HardwareAddr{2, 0, 0, 0, 0, 1}, standby: net.HardwareAddr{2, 0, 0, 0, 0, 2}}
	want := map[failover.Role]string{
		failover.RoleInit:         " []",
		failover.RoleNegotiation:  " []",
		failover.RoleStandbyCold:  "02:00:00:00:00:02 [198.51.100.11/24]",
		failover.RoleBulkSync:     "02:00:00:00:00:02 [198.51.100.11/24]",
		failover.RoleStandbyReady: "02:00:00:00:00:02 [198.51.100.11/24]",
		failover.RoleFailed:       "02:00:00:00:00:02 [198.51.100.11/24]",
		failover.RoleActive:       "02:00:00:00:00:01 [198.51.100.1/24 2001:db8:1::1/64]",
	}
	has := func(r failover.Role) string { return fmt.Sprint(l.macOf(r), " ", addressesOf(i, r)) }
	for a := range want {
		if got := has(a); got != want[a] {
			t.Errorf("%v has %s, want %s", a, got, want[a])
		}
		for b := range want {
			if got := sameAddresses(a, b); got != (want[a] == want[b]) {
				t.Errorf("%v and %v have the same addresses: %v", a, b, got)
			}
		}
	}
}

// TestSetRole changes the role in every order and looks at what the kernel has.
func TestSetRole(t *testing.T) {
	h := scratch(t)
	g := paired(t, h)
	look := func() string {
		return inside(t, g.ns, `for d in outside inside; do ip -o link show $d | grep -o 'link/ether [0-9a-f:]*'
			ip -o addr show dev $d | awk '{print $2, $4}' | sort; done; ip route; ip route show table 5001
			ip -6 route show table 5001; cat /proc/sys/net/ipv4/conf/inside/proxy_arp`)
	}
	waiting := look()
	for _, not := range []string{"198.51.100.", "2001:db8", "10.10.0.1 ", "default", "fe80"} {
		if strings.Contains(strings.ReplaceAll(waiting, "10.10.0.64", ""), not) {
			t.Errorf("waiting: there is %q in\n%s", not, waiting)
		}
	}
	var seen []string
	for _, r := range []failover.Role{failover.RoleStandbyReady, failover.RoleActive, failover.RoleFailed,
		failover.RoleActive, failover.RoleNegotiation, failover.RoleActive} {
		if err := g.SetRole(r); err != nil {
			t.Errorf("%v: %v", r, err)
		}
		have := look()
		seen = append(seen, r.String()+"\n"+have)
		var want, not []string
		switch r {
		case failover.RoleActive:
			want = []string{"02:00:5e:00:00:01", "02:00:5e:00:00:03", "outside 198.51.100.1/24",
				"outside 2001:db8:1::1/64",
				"inside 10.10.0.1/24", "outside fe80::5eff:fe00:1/64", "default via 198.51.100.254",
				"src 10.10.0.1", "\n1\n"}
			not = []string{"100.11", "10.10.0.2", "::11", "fe00:2", "5e:00:00:02"}
		case failover.RoleStandbyReady, failover.RoleFailed:
			want = []string{"02:00:5e:00:00:02", "02:00:5e:00:00:04", "outside 198.51.100.11/24",
				"outside 2001:db8:1::11/64",
				"inside 10.10.0.2/24", "outside fe80::5eff:fe00:2/64", "default via 198.51.100.254",
				"src 10.10.0.2", "\n0\n"}
			not = []string{"100.1/24", "10.10.0.1/24", "::1/64", "fe00:1/", "5e:00:00:01", "src 10.10.0.1 "}
		}
		for _, s := range want {
			if !strings.Contains(have, s) {
				t.Errorf("%v: %q is missing in\n%s", r, s, have)
			}
		}
		for _, s := range not {
			if strings.Contains(have, s) {
				t.Errorf("%v: there is %q in\n%s", r, s, have)
			}
		}
	}
	if _, first, _ := strings.Cut(seen[1], "\n"); !strings.HasSuffix(seen[5], first) {
		t.Errorf("active is not always the same:\n%s\n%s", seen[1], seen[5])
	}
}

// TestStandbyHasNone: what the worker of the active unit had asked for is not in
// force on the standby, nor again before it is asked for anew.
func TestStandbyHasNone(t *testing.T) {
	h := scratch(t)
	g := paired(t, h)
	if err := g.SetRole(failover.RoleActive); err != nil {
		t.Fatal(err)
	}
	there := func() bool {
		return strings.Contains(inside(t, g.ns, "ip route show 10.77.0.0/16; ip addr show dev ipsec0"), "metric 1 ") &&
			strings.Contains(inside(t, g.ns, "ip addr show dev ipsec0"), "10.56.0.1/32")
	}
	ask := func() {
		t.Helper()
		if err := g.Address(control.Address{Add: true, Prefix: netip.MustParsePrefix("10.56.0.1/32")}); err != nil {
			t.Fatal(err)
		}
		if err := g.Routes(control.Routes{Reset: true,
			Add: []control.Route{{Destination: netip.MustParsePrefix("10.77.0.0/16")}}}); err != nil {
			t.Fatal(err)
		}
	}
	ask()
	if !there() {
		t.Error("the active unit has no route")
	}
	for _, r := range []failover.Role{failover.RoleStandbyCold, failover.RoleActive, failover.RoleNegotiation,
		failover.RoleActive} {
		if err := g.SetRole(r); err != nil {
			t.Fatal(err)
		}
		if there() {
			t.Errorf("%v: it is there before anybody asked", r)
		}
		if got := inside(t, g.ns, "ip route get 10.77.1.1 mark 0"); !containsWord(got, "ipsec0") {
			t.Errorf("%v: a protected network is at %s", r, got)
		}
	}
	ask()
	if !there() {
		t.Error("asked anew, it is not there")
	}
}

// TestAnnouncements counts what leaves after a takeover, and when a tenant without
// a twin begins: three gratuitous ARPs and unsolicited NAs for every address or
// more; of a takeover three at once.
func TestAnnouncements(t *testing.T) {
	h := scratch(t)
	t.Run("takeover", func(t *testing.T) {
		g := paired(t, h)
		countAnnouncements(t, h, "02005e000001", func() {
			if err := g.SetRole(failover.RoleActive); err != nil {
				t.Fatal(err)
			}
		})
	})
	t.Run("start", func(t *testing.T) {
		inside(t, h.ns, "ip link set wt-out address 02:00:5e:00:00:09")
		countAnnouncements(t, h, "02005e000009", func() { buildWith(t, h, dualTenant()) })
	})
	t.Run("put right", func(t *testing.T) {
		inside(t, h.ns, "ip link set wt-out address 02:00:5e:00:00:08")
		g := buildWith(t, h, dualTenant())
		g.mu.Lock()
		g.announcement++ // those of the start are over
		g.mu.Unlock()
		countAnnouncements(t, h, "02005e000008", func() {
			inside(t, g.ns, "ip addr del 198.51.100.1/24 dev outside")
		})
	})
}

// countAnnouncements listens on the outside segment while something happens.
func countAnnouncements(t *testing.T, h *Host, mac string, happens func()) {
	t.Helper()
	fd := -1
	err := h.ns.Do(func() (err error) {
		peer, err := net.InterfaceByName("p-out")
		if err != nil {
			return err
		}
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC,
			int(htons(unix.ETH_P_ALL))); err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: peer.Index})
	})
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 300_000}); err != nil {
		t.Fatal(err)
	}
	happens()
	arp := "ffffffffffff" + mac + "0806" + "0001080006040001" + mac + "c6336401" + "000000000000c6336401"
	na := "333300000001" + mac + "86dd"
	counts := map[string]int{}
	b := make([]byte, 2000)
	for limit := time.Now().Add(5 * time.Second); time.Now().Before(limit) && (counts["arp"] < 3 || counts["na"] < 6); {
		n, _, err := unix.Recvfrom(fd, b, 0)
		if err != nil {
			continue
		}
		switch frame := hex.EncodeToString(b[:n]); {
		case frame == arp:
			counts["arp"]++
		case strings.HasPrefix(frame, na) && b[54] == 136 && b[58] == 0xa0:
			counts["na"]++
			source, _ := [16]byte(b[22:38]), 0
			message := slices.Clone(b[54:n])
			sum := icmpChecksum(netip.AddrFrom16(source), allNodes, message)
			if sum != 0 { // over a message with a right checksum it is zero
				t.Errorf("checksum of %s is wrong", frame)
			}
		}
	}
	if counts["arp"] < 3 || counts["na"] < 6 {
		t.Errorf("got %v, want 3 ARPs and 3 NAs for each of 2 addresses", counts)
	}
}

func TestCarriers(t *testing.T) {
	h := scratch(t)
	g := paired(t, h)
	changed := make(chan struct{}, 100)
	watched := make(chan struct{})
	ctx := t.Context()
	go func() { defer close(watched); g.WatchLinks(ctx, func() { changed <- struct{}{} }) }()
	until := func(want bool) {
		t.Helper()
		limit := time.After(patience)
		for g.Carriers()["outside"] != want {
			select {
			case <-changed:
			case <-limit:
				t.Fatalf("outside has not become %v", want)
			}
		}
	}
	until(true)
	inside(t, h.ns, "ip link set p-out down")
	until(false)
	if !g.Carriers()["inside"] {
		t.Error("the other interface is down")
	}
	inside(t, h.ns, "ip link set p-out up")
	until(true)
	t.Cleanup(func() { <-watched })
}
