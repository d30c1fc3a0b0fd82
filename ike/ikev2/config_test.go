package ikev2

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/warrenvpn/warren/ike/wire"
)

// TestConfigSession: a gateway may leave out the prefix length of an IPv6
// address, as some do.
func TestConfigSession(t *testing.T) {
	a := netip.MustParseAddr("2001:db8::5")
	for _, tt := range []struct {
		name string
		attr wire.Attribute
		want string
	}{
		{"IPv4", wire.AddrAttribute(wire.InternalIP4Address, netip.MustParseAddr("10.0.0.5")), "[10.0.0.5]"},
		{"IPv6 with prefix length", wire.IP6AddressAttribute(a), "[2001:db8::5]"},
		{"IPv6 of a shorter prefix", wire.PrefixAttribute(wire.InternalIP6Address, netip.PrefixFrom(a, 64)),
			"[2001:db8::5]"},
		{"IPv6 without prefix length", wire.AddrAttribute(wire.InternalIP6Address, a), "[2001:db8::5]"},
		{"empty", wire.Attribute{Type: wire.InternalIP6Address}, "[]"},
		{"unspecified", wire.IP6AddressAttribute(netip.IPv6Unspecified()), "[]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cp, err := wire.ParseCP(wire.CP{Type: wire.CPReply, Attributes: []wire.Attribute{tt.attr}}.AppendBody(nil))
			if err != nil {
				t.Fatal(err)
			}
			s := configSession(cp)
			if got := fmt.Sprint(s.Addresses); got != tt.want {
				t.Errorf("addresses: got %s, want %s", got, tt.want)
			}
		})
	}
	for _, n := range []int{1, 4, 15, 18} {
		cp := wire.CP{Type: wire.CPReply,
			Attributes: []wire.Attribute{{Type: wire.InternalIP6Address, Value: make([]byte, n)}}}
		if _, err := wire.ParseCP(cp.AppendBody(nil)); err == nil {
			t.Errorf("an IPv6 address of %d octets was accepted", n)
		}
	}
}
