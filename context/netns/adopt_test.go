package netns

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/internal/fdstore"
)

// insideState is all that there is in a namespace, with the indexes of devices: one
// that is made anew has another.
func insideState(t *testing.T, ns *Namespace) string {
	t.Helper()
	return inside(t, ns, `ip -o link | sed 's/ qdisc.*link/ link/'; ip -o addr | sed 's/ valid_lft.*//'
		ip route show table all; ip -6 route show table all; ip rule; ip -6 rule; ip -6 neigh show proxy
		cat /proc/sys/net/ipv4/conf/*/proxy_arp /proc/sys/net/ipv6/conf/*/proxy_ndp`)
}

// keptEndpoints are the endpoints of a Gateway as the next process gets them.
func keptEndpoints(t *testing.T, g *Gateway) (list []Endpoint) {
	t.Helper()
	for _, e := range g.Endpoints() {
		f, err := e.Dup()
		if err != nil {
			t.Fatal(err)
		}
		fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		list = append(list, Endpoint{Descriptor: e.Descriptor, Kept: fdstore.NewDescriptor(fd)})
	}
	return list
}

// awaitText waits until got returns what contains want.
func awaitText(t *testing.T, want string, got func() string) {
	t.Helper()
	for limit := time.Now().Add(patience); !strings.Contains(got(), want); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("no %q in %q", want, got())
		}
	}
}

// TestAdopt: the next process finds the network as it is. Nothing of it changes before
// the worker has told what it carries, in as many messages as that takes, and then what
// it does not carry any more goes. In the end the host is as before.
func TestAdopt(t *testing.T) {
	h := scratch(t)
	before := hostState(t, h)
	g, cfg := build(t, h)
	address := control.Address{Add: true, Prefix: netip.MustParsePrefix("10.88.0.9/32")}
	var routes []control.Route
	for i := range 6 {
		routes = append(routes, control.Route{Destination: netip.MustParsePrefix(fmt.Sprintf("10.77.%d.0/24", i))})
	}
	answer := []netip.Addr{netip.MustParseAddr("fd00::17")}
	cfg.Tenant.Pools = append(cfg.Tenant.Pools, spec.Pool{Name: "six", Start: netip.MustParseAddr("fd00::10"),
		End: netip.MustParseAddr("fd00::20")})
	if err := g.Update(cfg.Tenant); err != nil {
		t.Fatal(err)
	}
	if err := g.Address(address); err != nil {
		t.Fatal(err)
	}
	if err := g.Routes(control.Routes{Reset: true, Add: routes, Answer: answer}); err != nil {
		t.Fatal(err)
	}
	// The kernel finds out a moment later that nobody reads from the one that drops.
	awaitText(t, "NO-CARRIER", func() string { return inside(t, g.Namespace(), "ip -o link show "+dropName) })
	was := insideState(t, g.Namespace())
	ends := keptEndpoints(t, g)
	g.Leave()

	cfg.Host = newHost(h.ns, h.system) // that of the next process
	g, err := Adopt(cfg, ends)
	if err != nil {
		t.Fatal(err)
	}
	same := func(when string) {
		t.Helper()
		if diff := cmp.Diff(was, insideState(t, g.Namespace())); diff != "" {
			t.Errorf("%s (-before +after)\n%s", when, diff)
		}
	}
	same("taken up")
	if err := g.Update(cfg.Tenant); err != nil {
		t.Fatal(err)
	}
	same("updated")
	if err := g.Address(address); err != nil {
		t.Fatal(err)
	}
	if err := g.Routes(control.Routes{Reset: true, More: true, Add: routes[:3]}); err != nil {
		t.Fatal(err)
	}
	same("half told")
	if err := g.Routes(control.Routes{Add: routes[3:], Answer: answer}); err != nil {
		t.Fatal(err)
	}
	same("all told")
	if err := g.Routes(control.Routes{Reset: true, Add: routes[:1]}); err != nil {
		t.Fatal(err)
	}
	got := inside(t, g.Namespace(), "ip route")
	if strings.Contains(got, "10.77.1.0/24 dev ipsec0 proto 87 metric 1 ") || !strings.Contains(got, "10.77.0.0/24") {
		t.Errorf("what is carried no longer: %s", got)
	}
	for i, e := range g.Endpoints() {
		f, err := e.Dup()
		if err != nil {
			t.Fatalf("endpoint %d: %v", i, err)
		}
		f.Close()
	}
	if err := g.Remove(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, hostState(t, h)); diff != "" {
		t.Errorf("the host is not as before (-before +after)\n%s", diff)
	}
}

// TestAdoptNothing: what is not there, or somebody else's, is an error, and nothing is
// changed.
func TestAdoptNothing(t *testing.T) {
	h := scratch(t)
	g, cfg := build(t, h)
	wrong := *cfg
	wrong.Record += "x"
	if _, err := Adopt(&wrong, nil); err == nil {
		t.Error("a network without a record was taken up")
	}
	wrong = *cfg
	wrong.Namespace += "x"
	if _, err := Adopt(&wrong, nil); err == nil {
		t.Error("the network of another namespace was taken up")
	}
	wrong = *cfg
	wrong.Devices = append(devices(), devices()[0])
	wrong.Devices[2].Interface = "dmz"
	if _, err := Adopt(&wrong, nil); err == nil || !strings.Contains(err.Error(), "dmz") {
		t.Errorf("an interface that there was none of: %v", err)
	}
	if err := g.Remove(); err != nil {
		t.Error(err)
	}
	if _, err := Adopt(cfg, nil); err == nil {
		t.Error("a network that was removed was taken up")
	}
}
