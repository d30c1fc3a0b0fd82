package ikev2

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

// TestConfigReply: what a client needs is told in any case, what it may not know only to
// those who ask.
func TestConfigReply(t *testing.T) {
	addr := netip.MustParseAddr
	full := exchange.Session{
		Addresses: []netip.Addr{addr("10.0.0.5"), addr("2001:db8::5")}, Mask: 23,
		DNS: []netip.Addr{addr("10.0.0.53")}, WINS: []netip.Addr{addr("10.0.0.54"), addr("10.0.0.55")},
		Domain: "corp.example", SplitDNS: []string{"lab.example", "corp.example"}, Banner: "hello",
		Split: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")},
	}
	noServer := full
	noServer.DNS = nil
	other := full
	other.SplitDNS = []string{"lab.example"}
	const always = "INTERNAL_IP4_ADDRESS 0a000005\nINTERNAL_IP4_NETMASK fffffe00\n" +
		"INTERNAL_IP6_ADDRESS 20010db800000000000000000000000580\n"
	const subnet = "INTERNAL_IP4_SUBNET 0a010000ffff0000\n"
	const dns = "INTERNAL_IP4_DNS 0a000035\n"
	for _, tt := range []struct {
		name  string
		s     exchange.Session
		asked []wire.AttributeType
		want  string
	}{
		{"nothing asked", full, nil, always + dns + subnet},
		{"names of NetBIOS", full, []wire.AttributeType{wire.InternalIP4NBNS},
			always + dns + "INTERNAL_IP4_NBNS 0a000036\nINTERNAL_IP4_NBNS 0a000037\n" + subnet},
		{"split DNS", full, []wire.AttributeType{wire.InternalDNSDomain}, always + dns + subnet +
			"INTERNAL_DNS_DOMAIN lab.example\nINTERNAL_DNS_DOMAIN corp.example\n"},
		{"the default domain is one", other, []wire.AttributeType{wire.InternalDNSDomain}, always + dns + subnet +
			"INTERNAL_DNS_DOMAIN corp.example\nINTERNAL_DNS_DOMAIN lab.example\n"},
		{"domains without a server", noServer, []wire.AttributeType{wire.InternalDNSDomain}, always + subnet},
		{"clients of another vendor", full, []wire.AttributeType{attributeBanner, attributeSplitDNS, attributeDomain},
			always + dns + subnet + "attribute 28674 corp.example\nattribute 28675 lab.example,corp.example\n" +
				"attribute 28672 hello\n"},
	} {
		request := wire.CP{Type: wire.CPRequest}
		for _, a := range tt.asked {
			request.Attributes = append(request.Attributes, wire.Attribute{Type: a})
		}
		reply, ok := configReply(request, &tt.s)
		got := ""
		for _, a := range reply.Attributes {
			form := "%v %x\n"
			if a.Type == wire.InternalDNSDomain || a.Type >= attributeBanner {
				form = "%v %s\n"
			}
			got += fmt.Sprintf(form, a.Type, a.Value)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" || !ok {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		if _, err := wire.ParseCP(reply.AppendBody(nil)); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

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
