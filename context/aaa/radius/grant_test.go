package radius

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// said is an attribute of a packet: of a vendor, where that is not 0.
type said struct {
	vendor uint32
	t      uint8
	value  string
}

func attributesOf(t testing.TB, list ...said) Attributes {
	t.Helper()
	var a Attributes
	for _, s := range list {
		var err error
		if s.vendor == 0 {
			err = a.Add(Type(s.t), []byte(s.value))
		} else {
			err = a.addVendor(s.vendor, s.t, []byte(s.value))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return a
}

func TestParseGrant(t *testing.T) {
	number := func(n uint32) *uint32 { return &n }
	for _, tt := range []struct {
		name string
		in   []said
		want Grant
	}{
		{"nothing", nil, Grant{}},
		{"what is unknown", []said{{0, 250, "x"}, {9, 1, "ip:inacl#1=permit"}, {3076, 200, "x"}}, Grant{}},
		{"who it is", []said{{0, 1, "alice"}, {0, 25, "\x00\xff"}, {0, 25, "other"}},
			Grant{User: "alice", Class: [][]byte{{0, 0xff}, []byte("other")}}},
		{"addresses", []said{{0, 8, "\x0a\x09\x07\x07"}, {0, 9, "\xff\xff\xff\x00"},
			{0, 168, "\xfd" + strings.Repeat("\x00", 14) + "\x77"}},
			Grant{Addresses: []netip.Addr{netip.MustParseAddr("10.9.7.7"), netip.MustParseAddr("fd00::77")},
				Netmask: netip.MustParseAddr("255.255.255.0")}},
		{"the gateway chooses", []said{{0, 8, "\xff\xff\xff\xfe"}}, Grant{}},
		{"the client chooses", []said{{0, 8, "\xff\xff\xff\xff"}}, Grant{}},
		{"a prefix", []said{{0, 97, "\x00\x40\xfd\x00\x00\x00\x00\x00\x00\x01"}},
			Grant{Prefixes: []netip.Prefix{netip.MustParsePrefix("fd00:0:0:1::/64")}}},
		{"pools", []said{{0, 88, "vpn"}, {0, 100, "vpn6"}, {3076, 217, "a b, vpn"}, {3076, 218, "c"}},
			Grant{Pools: []string{"vpn", "vpn6", "a", "b", "c"}}},
		{"times", []said{{0, 27, "\x00\x00\x0e\x10"}, {0, 28, "\x00\x00\x00\x3c"}},
			Grant{SessionTimeout: time.Hour, IdleTimeout: time.Minute}},
		{"servers", []said{{311, 28, "\x0a\x00\x00\x35"}, {311, 29, "\x0a\x00\x00\x36"}, {3076, 5, "\x0a\x00\x00\x35"},
			{3076, 6, "\x00\x00\x00\x00"}, {311, 30, "\x0a\x00\x00\x89"},
			{0, 169, "\xfd" + strings.Repeat("\x00", 15)}},
			Grant{DNSServers: []netip.Addr{netip.MustParseAddr("fd00::"), netip.MustParseAddr("10.0.0.53"),
				netip.MustParseAddr("10.0.0.54")}, WINSServers: []netip.Addr{netip.MustParseAddr("10.0.0.137")}}},
		{"texts", []said{{0, 11, "acl-staff"}, {0, 18, "Hello, "}, {0, 18, "alice"}, {3076, 15, "Be "},
			{3076, 36, "good"}},
			Grant{Filter: "acl-staff", Reply: "Hello, alice", Banner: "Be good"}},
		{"group policy in Class", []said{{0, 25, "\x01"}, {0, 25, "ou=staff;"}},
			Grant{GroupPolicy: "staff", Class: [][]byte{{1}, []byte("ou=staff;")}}},
		{"group policy of its own first", []said{{0, 25, "OU=staff"}, {3076, 25, "admins"}},
			Grant{GroupPolicy: "admins", Class: [][]byte{[]byte("OU=staff")}}},
		{"appliance", []said{{3076, 2, "\x00\x00\x00\x01"}, {3076, 11, "\x00\x00\x00\x40"}, {3076, 85, "laptops"},
			{3076, 28, "corp.example"}, {3076, 29, "corp.example,dmz.example"}},
			Grant{SimultaneousLogins: number(1), Protocols: number(ProtocolIKEv2), GroupLock: "laptops",
				DefaultDomain: "corp.example", SplitDNS: []string{"corp.example", "dmz.example"}}},
		{"split", []said{{3076, 27, "10.1.0.0/16, 10.2.3.4/24"}, {3076, 55, "\x00\x00\x00\x01"}},
			Grant{SplitPolicy: TunnelListed, SplitNetworks: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"),
				netip.MustParsePrefix("10.2.3.0/24")}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseGrant(attributesOf(t, tt.in...))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&tt.want, got, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestParseGrantRefuses: a limit that cannot be read is not passed over.
func TestParseGrantRefuses(t *testing.T) {
	for _, tt := range []struct {
		in   said
		want string
	}{
		{said{0, 27, "\x00\x0e\x10"}, "Session-Timeout has a value of a wrong size"},
		{said{0, 8, "\x0a\x00\x01"}, "Framed-IP-Address has a value of a wrong size"},
		{said{0, 8, "\x00\x00\x00\x00"}, "Framed-IP-Address 0.0.0.0 is no address for a client"},
		{said{0, 8, "\xe0\x00\x00\x01"}, "Framed-IP-Address 224.0.0.1 is no address for a client"},
		{said{0, 168, "\x0a\x00\x00\x01"}, "Framed-IPv6-Address has a value of a wrong size"},
		{said{0, 97, "\x00\x81" + strings.Repeat("\x00", 16)}, "Framed-IPv6-Prefix has a value of a wrong size"},
		{said{0, 97, "\x00\x40\xfd"}, "Framed-IPv6-Prefix has a value of a wrong size"},
		{said{0, 97, "\x00\x08\xfd\x01"}, "has bits behind its length"},
		{said{0, 88, "a\nb"}, "Framed-Pool is no text"},
		{said{311, 28, "\x0a"}, "MS-Primary-DNS-Server has a value of a wrong size"},
		{said{3076, 2, "1"}, "Simultaneous-Logins (3076/2) has a value of a wrong size"},
		{said{3076, 27, "split-acl"}, `"split-acl": networks are written as 10.1.0.0/16`},
		{said{3076, 55, "\x00\x00\x00\x03"}, "3 is none of 0, 1 and 2"},
		{said{3076, 15, "\xff"}, "Banner1 (3076/15) is no text"},
	} {
		if _, err := ParseGrant(attributesOf(t, tt.in)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: %v, want %q", tt.in, err, tt.want)
		}
	}
	var many []said
	for range maxList + 1 {
		many = append(many, said{0, 25, "c"})
	}
	if _, err := ParseGrant(attributesOf(t, many...)); err == nil {
		t.Error("65 of Class")
	}
}

func FuzzParseGrant(f *testing.F) {
	f.Add(octets(f, rfcAccept)[headerSize:])
	f.Add(attributesOf(f, said{3076, 27, "10.1.0.0/16"}, said{0, 25, "OU=staff;"}, said{0, 97, "\x00\x40\xfd"}).raw)
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ParseAttributes(b)
		if err != nil {
			return
		}
		if g, err := ParseGrant(a); err == nil && len(g.Addresses) > 2 {
			t.Errorf("%d addresses", len(g.Addresses))
		}
	})
}
