package ike

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
)

func TestSourceOf(t *testing.T) {
	for from, want := range map[string]string{
		"192.0.2.1":             "192.0.2.1/32",
		"::ffff:192.0.2.1":      "192.0.2.1/32",
		"2001:db8:1:2:3:4:5:6":  "2001:db8:1:2::/64",
		"fe80::1%eth0":          "fe80::/64",
		"2001:db8:1:3:3:4:5:6":  "2001:db8:1:3::/64",
		"255.255.255.255":       "255.255.255.255/32",
		"ffff:ffff:ffff:ffff::": "ffff:ffff:ffff:ffff::/64",
	} {
		if got := sourceOf(netip.MustParseAddr(from)); got.String() != want {
			t.Errorf("%s: got %v, want %s", from, got, want)
		}
	}
}

// stubSA is an SA that is only told apart from others.
type stubSA struct{ exchange.SA }

// TestSourceTable compares the table with a list, at random: the source with most
// SAs is known, and its oldest SA.
func TestSourceTable(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		table := newHalfOpenTable().families[0]
		var all []*halfOpenEntry // the oldest first
		for range 400 {
			if len(all) == 0 || r.IntN(5) < 3 {
				a := netip.AddrFrom4([4]byte{192, 0, 2, byte(r.IntN(12))})
				x := &halfOpenEntry{sa: &stubSA{}, key: halfOpenKey{remote: netip.AddrPortFrom(a, 500)}}
				table.add(x)
				all = append(all, x)
			} else {
				i := r.IntN(len(all))
				table.remove(all[i])
				all = slices.Delete(all, i, i+1)
			}
			counts := map[netip.Prefix]int{}
			oldest := map[netip.Prefix]*halfOpenEntry{}
			most := 0
			for _, x := range all {
				p := sourceOf(x.key.remote.Addr())
				if counts[p]++; oldest[p] == nil {
					oldest[p] = x
				}
				most = max(most, counts[p])
			}
			if table.count != len(all) || len(table.byPrefix) != len(counts) || table.most != most {
				t.Fatalf("seed %d: count %d, sources %d, most %d; want %d, %d, %d", seed, table.count,
					len(table.byPrefix), table.most, len(all), len(counts), most)
			}
			if most == 0 {
				continue
			}
			s := table.largest()
			if counts[s.prefix] != most || s.oldest() != oldest[s.prefix].sa {
				t.Fatalf("seed %d: source %v with %d, or not its oldest; want one with %d", seed, s.prefix,
					counts[s.prefix], most)
			}
		}
	}
}

func TestHalfOpenLifeByLoad(t *testing.T) {
	for _, tt := range []struct {
		count, threshold, limit int
		full, want              time.Duration
	}{
		{0, 100, 1000, 30 * time.Second, 30 * time.Second},
		{100, 100, 1000, 30 * time.Second, 30 * time.Second},
		{550, 100, 1000, 30 * time.Second, 16500 * time.Millisecond},
		{1000, 100, 1000, 30 * time.Second, 3 * time.Second},
		{3, 100, 3, 30 * time.Second, 30 * time.Second},
		{1000, 100, 1000, 2 * time.Second, 2 * time.Second},
	} {
		table := newHalfOpenTable()
		table.families[1].count = tt.count
		if got := table.life(tt.full, tt.threshold, tt.limit); got != tt.want {
			t.Errorf("%+v: got %v", tt, got)
		}
	}
}
