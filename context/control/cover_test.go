package control

import (
	"fmt"
	"net/netip"
	"testing"
)

func TestCover(t *testing.T) {
	tests := []struct{ first, last, want string }{
		{"10.0.0.0", "10.0.0.255", "[10.0.0.0/24]"},
		{"10.0.0.1", "10.0.0.1", "[10.0.0.1/32]"},
		{"10.0.0.1", "10.0.0.6", "[10.0.0.1/32 10.0.0.2/31 10.0.0.4/31 10.0.0.6/32]"},
		{"0.0.0.0", "255.255.255.255", "[0.0.0.0/0]"},
		{"255.255.255.254", "255.255.255.255", "[255.255.255.254/31]"},
		{"2001:db8::", "2001:db8::1:ffff", "[2001:db8::/111]"},
		{"10.0.0.2", "10.0.0.1", "[]"},
		{"10.0.0.2", "2001:db8::", "[]"},
	}
	for _, test := range tests {
		if got := fmt.Sprint(Cover(netip.MustParseAddr(test.first), netip.MustParseAddr(test.last))); got != test.want {
			t.Errorf("%s-%s: got %s, want %s", test.first, test.last, got, test.want)
		}
	}
}
