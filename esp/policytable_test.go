package esp

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/warrenvpn/warren/esp/sa"
)

// oddRange returns all addresses of p but the first and the last: the range that
// consists of the most prefixes.
func oddRange(p string) sa.Selector {
	s := sa.SelectorOf(netip.MustParsePrefix(p))
	s.Start, s.End = s.Start.Next(), s.End.Prev()
	return s
}

// TestHostileSelectors: what a peer brings into the table is bounded, and costs
// the look-ups of others nothing.
func TestHostileSelectors(t *testing.T) {
	var table PolicyTable[int]
	anywhere := []sa.Selector{sa.SelectorOf(netip.MustParsePrefix("::/0")),
		sa.SelectorOf(netip.MustParsePrefix("0.0.0.0/0"))}
	value := 1
	add := func(id uint64, want error, remote ...sa.Selector) {
		t.Helper()
		before := len(table.policies)
		if err := table.Add(id, anywhere, remote, &value); err != want {
			t.Fatalf("policy %d: %v, want %v", id, err, want)
		}
		if want != nil && len(table.policies) != before {
			t.Fatalf("policy %d was refused, and is there", id)
		}
	}
	add(1, nil, sa.SelectorOf(netip.MustParsePrefix("2001:db8:aaaa::/48")),
		sa.SelectorOf(netip.MustParsePrefix("10.1.0.0/16")))
	probes := func(a string) (n int) {
		long, short := table.lengthsOf(keyOf(netip.MustParseAddr(a)))
		for _, l := range []*lengths{long, short} {
			if l != nil {
				n += len(l.counts)
			}
		}
		return n
	}
	add(2, nil, oddRange("2001:db8:bbbb::/48"))
	add(3, nil, oddRange("10.2.0.0/16"))
	add(4, ErrPrefixes, oddRange("2001:db8:bbbb::/48"), oddRange("2001:db8:cccc::/48"))
	for _, tt := range []struct {
		addr string
		want int
	}{{"2001:db8:aaaa::1", 1}, {"10.1.0.1", 1}, {"2001:db8:bbbb::1", 1 + 79}, {"10.2.0.1", 1 + 15}} {
		if got := probes(tt.addr); got != tt.want {
			t.Errorf("looking up %s takes %d looks into the table, want %d", tt.addr, got, tt.want)
		}
	}
	id := uint64(5)
	for ; table.prefixes+158 <= sa.MaxTenantPrefixes; id++ {
		add(id, nil, oddRange(fmt.Sprintf("2001:db8:%x::/48", id)))
	}
	add(id, nil, oddRange("10.3.0.0/16")) // what still fits
	for range sa.MaxTenantPrefixes - table.prefixes {
		id++
		add(id, nil, sa.SelectorOf(netip.MustParsePrefix("10.4.0.0/16")))
	}
	id++
	add(id, ErrTenantPrefixes, sa.SelectorOf(netip.MustParsePrefix("10.5.0.0/16")))
	for i := range id {
		table.Remove(i)
	}
	if table.roots.live != 0 || table.x.live != 0 || len(table.v4.counts)+len(table.v6.counts) != 0 {
		t.Errorf("%d roots and %d prefixes are left", table.roots.live, table.x.live)
	}
}
