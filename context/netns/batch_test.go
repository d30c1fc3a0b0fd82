package netns

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"
)

// TestBatch: requests are taken in their order, those that are refused say so, and the others
// count, whatever stands before them.
func TestBatch(t *testing.T) {
	_, g := dual(t)
	var b batch
	const many = 3 * batchRequests
	var want []error
	place := func(i int) place {
		return place{7000, netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 20, byte(i / 256), byte(i)}), 32), 5}
	}
	for i := range many {
		r := route{place: place(i), index: g.tun.index}
		if i%7 == 3 {
			r.index, want = 1<<30, append(want, unix.ENODEV)
		} else {
			want = append(want, nil)
		}
		b.addRoute(r)
	}
	six := route{place: place(0), index: g.tun.index}
	six.destination = netip.MustParsePrefix("2001:db8:7::/48")
	b.addRoute(six)
	own := rule{family: unix.AF_INET, priority: 300, iif: "outside", from: netip.MustParsePrefix("172.20.0.0/16"),
		to: netip.MustParsePrefix("172.21.0.0/16"), mark: 7, table: 7000}
	b.addRule(own)
	b.addRule(own)
	jump := rule{family: unix.AF_INET6, priority: 299, from: netip.MustParsePrefix("2001:db8::/32"), next: 401}
	b.addRule(jump)
	end := rule{family: unix.AF_INET6, priority: 401, mark: 9}
	b.addRule(end)
	b.deleteRoute(route{place: place(many + 1), index: g.tun.index})
	b.deleteRule(end)
	b.deleteRule(end)
	want = append(want, nil, nil, unix.EEXIST, nil, nil, unix.ESRCH, nil, unix.ENOENT)
	if diff := cmp.Diff(want, g.ns.run(&b), cmpopts.EquateErrors()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if err := g.inventoryLocked(); err != nil {
		t.Fatal(err)
	}
	for i := range many {
		is, there := routeAt(g.installed, place(i))
		if there != (want[i] == nil) || there && is.index != g.tun.index {
			t.Errorf("route %d: %+v, is there: %v", i, is, there)
		}
	}
	if is, there := routeAt(g.installed, six.place); !there || is != six {
		t.Errorf("got %+v, want %+v", is, six)
	}
	for _, r := range []rule{own, jump} {
		list, err := g.ns.handle.RuleList(r.family)
		if err != nil {
			t.Fatal(err)
		}
		count := 0
		for _, is := range list {
			if ruleOf(is) == r {
				count++
			}
		}
		if count != 1 {
			t.Errorf("%d rules %+v among %v", count, r, list)
		}
	}
}

// TestBatchNowhere: of a namespace that cannot be entered every request says so.
func TestBatchNowhere(t *testing.T) {
	h := scratch(t)
	gone, err := Open(h.ns.name)
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	var b batch
	b.setUp(1)
	b.setUp(2)
	for i, err := range gone.run(&b) {
		if err == nil || errors.Is(err, unix.ENODEV) {
			t.Errorf("request %d: %v", i, err)
		}
	}
}
