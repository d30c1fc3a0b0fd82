package plane_test

import (
	"fmt"
	"testing"

	"github.com/warrenvpn/warren/esp/esptest"
	"github.com/warrenvpn/warren/esp/plane"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/esp/stats"
)

// TestSpoofing: a peer that speaks for an address that is not its own, or to one
// that it may not reach, is not heard, and is counted.
func TestSpoofing(t *testing.T) {
	for _, crew := range []int{-1, 2} {
		t.Run(fmt.Sprint("crew ", crew), func(t *testing.T) {
			a, b, _ := connected(t, pair, func(c *plane.Config) { c.Crew = crew })
			// B believes that A is behind 10.1.0.0/16, and A that it may be anybody.
			wide := pair
			wide.BehindA, wide.BehindB = []string{"0.0.0.0/0", "::/0"}, []string{"0.0.0.0/0", "::/0"}
			ca, _ := pair.Children()
			a.apply(t, sa.OpDelete, ca, 0)
			liar, _ := wide.Children()
			liar.ID = 99 // it goes on with other sequence numbers
			a.counters.Slot(liar.Slot).SkipOut(1000)
			a.apply(t, sa.OpAdd, liar, 0)

			size := 0
			for i, f := range []esptest.Flow{
				esptest.NewFlow("10.9.0.5:4000", "10.2.0.7:80"),               // not its source
				esptest.NewFlow("10.2.0.7:4000", "10.2.0.7:80"),               // the other side's
				esptest.NewFlow("10.1.0.5:4000", "10.3.0.7:80"),               // not its destination
				esptest.NewFlow("[2001:db8:9::5]:4000", "[2001:db8:2::7]:80"), // the same in IPv6
				esptest.NewFlow("127.0.0.1:4000", "10.2.0.7:80"),
				esptest.NewFlow("0.0.0.0:4000", "10.2.0.7:80"),
			} {
				p := f.UDP(make([]byte, 100))
				size += len(p)
				a.dev.Inject <- esptest.Plain(p)
				until(t, fmt.Sprint("drop ", i+1), func() bool {
					return b.Stats().Sum(stats.DropSelector) == uint64(i+1)
				})
			}
			a.dev.Inject <- esptest.Super(esptest.NewFlow("10.9.0.5:4000", "10.2.0.7:80").TCP(1, 0x10, nil,
				make([]byte, 50_000)), 1000)
			until(t, "a super-packet of lies", func() bool { return b.Stats().Sum(stats.DropSelector) == 56 })
			a.dev.Inject <- esptest.Plain(toB.UDP([]byte("the truth")))
			b.inner(t, 1)
			until(t, "its count", func() bool { return b.Stats().Sum(stats.PacketsIn) > 0 })
			if s := b.Stats(); s.Sum(stats.PacketsIn) != 1 || s[stats.DropSelector].Bytes < uint64(size) ||
				len(b.dev.Written) > 0 {
				t.Errorf("stats are %+v", s)
			}
		})
	}
}

// TestOtherContext: two planes with the same addresses, SPIs and selectors, as
// two tenants may have. What is for one is opened by none but it.
func TestOtherContext(t *testing.T) {
	a, b, net := connected(t, pair, nil)
	other := pair
	other.Key = 77 // all else is equal
	_, cc := other.Children()
	red := newGateway(t, net, "192.0.2.9", nil)
	cc.LocalAddr = red.natt.Addr
	red.apply(t, sa.OpAdd, cc, 0)
	net.Fault = func(d esptest.Datagram) []esptest.Datagram {
		astray := d
		astray.To, astray.Data = red.natt.Addr, append([]byte(nil), d.Data...)
		return []esptest.Datagram{d, astray}
	}
	for range 20 {
		a.dev.Inject <- esptest.Plain(toB.UDP([]byte("for blue only")))
	}
	b.inner(t, 20)
	until(t, "what went astray", func() bool { return red.Stats().Sum(stats.DropIntegrity) == 20 })
	if s := red.Stats(); s.Sum(stats.PacketsIn) != 0 || len(red.dev.Written) != 0 {
		t.Errorf("the other tenant has opened something: %+v", s)
	}
}
