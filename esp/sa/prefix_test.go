package sa

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func selector(start, end string) Selector {
	return Selector{Start: netip.MustParseAddr(start), End: netip.MustParseAddr(end), EndPort: 0xffff}
}

func TestEachPrefix(t *testing.T) {
	for _, tt := range []struct {
		s    Selector
		want []string
	}{
		{selector("10.0.0.0", "10.0.0.0"), []string{"10.0.0.0/32"}},
		{selector("10.0.0.0", "10.0.0.255"), []string{"10.0.0.0/24"}},
		{selector("0.0.0.0", "255.255.255.255"), []string{"0.0.0.0/0"}},
		{selector("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), []string{"::/0"}},
		{selector("10.0.0.1", "10.0.0.6"), []string{"10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/31", "10.0.0.6/32"}},
		{selector("10.0.0.0", "10.0.2.127"), []string{"10.0.0.0/23", "10.0.2.0/25"}},
		{selector("255.255.255.254", "255.255.255.255"), []string{"255.255.255.254/31"}},
		{selector("::", "::1:0:0:0:0"), []string{"::/64", "0:0:0:1::/128"}},
		{selector("2001:db8::", "2001:db8:0:2:ffff:ffff:ffff:ffff"), []string{"2001:db8::/63", "2001:db8:0:2::/64"}},
		{selector("8000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), []string{"8000::/1"}},
	} {
		var got []string
		tt.s.EachPrefix(func(p netip.Prefix) bool { got = append(got, p.String()); return true })
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", tt.s, diff)
		}
		if n := CountPrefixes([]Selector{tt.s, tt.s}); n != len(tt.want) {
			t.Errorf("%v: %d prefixes, want %d", tt.s, n, len(tt.want))
		}
	}
	n := 0
	selector("10.0.0.1", "10.0.0.6").EachPrefix(func(netip.Prefix) bool { n++; return n < 2 })
	if n != 2 {
		t.Errorf("%d calls after the one that said no", n-2)
	}
}

// TestCountPrefixes: the worst range of each family fits, and no list makes more
// work than the bound.
func TestCountPrefixes(t *testing.T) {
	worst4, worst6 := selector("0.0.0.1", "255.255.255.254"), selector("::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe")
	port := worst6
	port.Protocol, port.StartPort, port.EndPort = 6, 80, 80
	for _, tt := range []struct {
		name string
		list []Selector
		want int
	}{
		{"nothing", nil, 0},
		{"not valid", []Selector{{}}, 0},
		{"the worst of IPv4", []Selector{worst4}, 62},
		{"the worst of IPv6", []Selector{worst6}, 254},
		{"the same for a port", []Selector{worst6, port}, 254},
		{"both", []Selector{worst6, worst4}, MaxPrefixes + 1},
		{"many", []Selector{worst6, selector("::2", "ffff::2"), selector("::3", "ffff::3")}, MaxPrefixes + 1},
	} {
		if got := CountPrefixes(tt.list); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}
