package iketest

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/wire"
)

var lease6Addr = netip.MustParseAddr("2001:db8:99::10")

// grantBoth answers every question with an address of each family.
func grantBoth(q exchange.AskSession) exchange.AnswerSession {
	r := Grant(q)
	r.Session.Addresses = []netip.Addr{LeaseAddr, lease6Addr}
	return r
}

// TestAssignedAddresses: each address that a client gets has the length of RFC
// 7296 section 3.15.1, with which foreign clients are strict.
func TestAssignedAddresses(t *testing.T) {
	_, g, s := alone(t, nil)
	var asked exchange.AskSession
	g.Authorise = func(q exchange.AskSession) exchange.AnswerSession { asked = q; return grantBoth(q) }
	if !s.Init() {
		t.Fatal("not answered")
	}
	id, _ := identity.Parse("client@example")
	wanted := netip.MustParseAddr("2001:db8:99::77")
	answer := s.Request(wire.IKEAuth, replaced(s.AuthPayloads(id, "key of the client"),
		wire.CP{Type: wire.CPRequest, Attributes: []wire.Attribute{
			{Type: wire.InternalIP4Address}, wire.IP6AddressAttribute(wanted),
		}})...)
	cp, _ := wire.Find[wire.CP](answer)
	for _, tt := range []struct {
		kind wire.AttributeType
		want string
	}{
		{wire.InternalIP4Address, "0a63000a"},
		{wire.InternalIP6Address, "20010db800990000000000000000001080"},
	} {
		if a, _ := cp.Find(tt.kind); fmt.Sprintf("%x", a.Value) != tt.want {
			t.Errorf("%v: got %x, want %s", tt.kind, a.Value, tt.want)
		}
	}
	if !asked.WantIPv4 || asked.WantedIPv4.IsValid() || !asked.WantIPv6 || asked.WantedIPv6 != wanted {
		t.Errorf("asked %+v, want any IPv4 address and %v", asked, wanted)
	}
}

// TestDualStackClient: our own client takes an address of each family.
func TestDualStackClient(t *testing.T) {
	l := New(31, Faults{Delay: 10 * time.Millisecond})
	g, c := l.Pair(func(_, c *exchange.Config) {
		c.Entries[0].RemoteTS = append(c.Entries[0].RemoteTS, sa.SelectorOf(netip.MustParsePrefix("::/0")))
	})
	g.Authorise = func(q exchange.AskSession) exchange.AnswerSession {
		r := grantBoth(q)
		r.Session.Split = append(r.Session.Split, netip.MustParsePrefix("2001:db8:10::/64"))
		return r
	}
	if !l.Until(5*time.Second, func() bool { return Up(g, c) }) {
		t.Fatalf("not up: %v %v", g.Events, c.Events)
	}
	got := fmt.Sprint(c.Established()[0].Session.Addresses, g.Established()[0].Children[0].Remote)
	if want := "[10.99.0.10 2001:db8:99::10] [10.99.0.10/32 2001:db8:99::10/128]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	noTrouble(t, l)
}
