package ikev2

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/esp/sa"
)

func selectors(texts ...string) []sa.Selector {
	var out []sa.Selector
	for _, t := range texts {
		out = append(out, sa.SelectorOf(netip.MustParsePrefix(t)))
	}
	return out
}

func TestNarrow(t *testing.T) {
	tcp := selectors("10.0.0.0/8")
	tcp[0].Protocol, tcp[0].StartPort, tcp[0].EndPort = 6, 80, 80
	tests := []struct {
		name                   string
		offered, allowed, want []sa.Selector
	}{
		{"client with an address", selectors("0.0.0.0/0"), selectors("10.99.0.10/32"), selectors("10.99.0.10/32")},
		{"families stay apart", selectors("0.0.0.0/0", "::/0"), selectors("2001:db8::1/128"),
			selectors("2001:db8::1/128")},
		{"specific packet first", selectors("10.1.2.3/32", "10.0.0.0/8"), selectors("10.1.0.0/16"),
			selectors("10.1.2.3/32", "10.1.0.0/16")},
		{"covered once", selectors("10.0.0.0/8", "10.1.0.0/16"), selectors("10.0.0.0/8"), selectors("10.0.0.0/8")},
		{"protocol is kept", tcp, selectors("0.0.0.0/0"), tcp},
		{"nothing in common", selectors("192.0.2.0/24"), selectors("198.51.100.0/24"), nil},
		{"empty offer", nil, selectors("0.0.0.0/0"), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := narrow(tt.offered, tt.allowed)
			if diff := cmp.Diff(tt.want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Errorf("narrow (-want +got):\n%s", diff)
			}
			if len(got) > 0 && (!within(got, tt.offered) || !within(got, tt.allowed)) {
				t.Errorf("result %v leaves the offer or the policy", got)
			}
		})
	}
	if within(nil, anywhere) {
		t.Error("an empty list must not count as narrowed")
	}
}

func TestNarrowIsBounded(t *testing.T) {
	var many []sa.Selector
	for i := range 250 {
		many = append(many, sa.SelectorOf(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i), 0}), 24)))
	}
	if got := len(narrow(many, many)); got != maxSelectors {
		t.Errorf("got %d selectors, want the bound %d", got, maxSelectors)
	}
}

// TestUncovered: what is lost is named exactly, whatever pieces the rest is in.
func TestUncovered(t *testing.T) {
	web := selectors("10.0.0.0/24")
	web[0].Protocol, web[0].StartPort, web[0].EndPort = 6, 443, 443
	for _, tt := range []struct {
		name       string
		want, have []sa.Selector
		lost       string
	}{
		{"nothing", selectors("10.0.0.0/24"), selectors("10.0.0.0/8"), "[]"},
		{"in two pieces", selectors("10.0.0.0/23"), selectors("10.0.1.0/24", "10.0.0.0/24"), "[]"},
		{"all", selectors("10.0.0.0/24", "2001:db8::/64"), selectors("10.0.1.0/24"), "[10.0.0.0/24 2001:db8::/64]"},
		{"both ends", selectors("10.0.0.0/22"), selectors("10.0.1.0/24"), "[10.0.0.0/24 10.0.2.0/23]"},
		{"a gap", selectors("10.0.0.0/22"), selectors("10.0.0.0/24", "10.0.3.0/24", "10.0.0.0/25"),
			"[10.0.1.0-10.0.2.255]"},
		{"up to the last address", selectors("255.255.255.0/24"), selectors("255.255.255.128/25"),
			"[255.255.255.0/25]"},
		{"the last address is there", selectors("255.255.255.0/24"), selectors("255.255.255.0/24"), "[]"},
		{"one port of all", selectors("10.0.0.0/24"), web, "[10.0.0.0/24]"},
		{"all of one port", web, selectors("10.0.0.0/25"), "[10.0.0.128/25[6/443]]"},
	} {
		if got := fmt.Sprint(uncovered(tt.want, tt.have)); got != tt.lost {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.lost)
		}
	}
}
