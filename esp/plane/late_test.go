package plane_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/warrenvpn/warren/esp/esptest"
	"github.com/warrenvpn/warren/esp/plane"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/esp/stats"
)

// TestLatePackets: what was sent with a child SA before it was rekeyed comes through for
// some seconds after its end, once, and also when its slot and its SPI are another
// one's. It does not where the successor has ended, or the time is over, or where nothing
// has followed.
func TestLatePackets(t *testing.T) {
	const follows, over, ended, reused, alone = "it was rekeyed", "the time is over", "the successor has ended",
		"its SPI is another one's", "nothing has followed"
	for _, what := range []string{follows, over, ended, reused, alone} {
		t.Run(what, func(t *testing.T) {
			var clock atomic.Int64
			clock.Store(1_000_000)
			a, b, net := connected(t, pair, func(c *plane.Config) {
				c.Now = func() time.Time { return time.Unix(clock.Load(), 0) }
			})
			var kept []esptest.Datagram // what b has sent
			net.Fault = func(d esptest.Datagram) []esptest.Datagram {
				d.Data = slices.Clone(d.Data)
				kept = append(kept, d)
				return nil
			}
			for range 2 {
				b.dev.Inject <- esptest.Plain(toA.UDP(nil))
			}
			until(t, "sent", func() bool { return b.Stats().Sum(stats.PacketsOut) == 2 })
			b.stop()

			next := pair
			next.ID, next.SPI, next.SlotA, next.SlotB = 11, 0x2000, 1, 1
			old, _ := pair.Children()
			c, _ := next.Children()
			if what != alone {
				a.apply(t, sa.OpRekey, c, old.ID)
			}
			a.apply(t, sa.OpDelete, old, 0)
			third := pair
			third.ID, third.Key = 21, pair.Key+1 // in the slot of the old one
			if what != reused {
				third.SPI = 0x3000
			}
			d, _ := third.Children()
			a.apply(t, sa.OpAdd, d, 0)
			want := uint64(0)
			switch what {
			case follows:
				want = 1
			case over:
				clock.Add(6)
				a.EndLate()
			case ended:
				a.apply(t, sa.OpDelete, c, 0)
			}
			net.Deliver(kept[0])
			net.Deliver(kept[0])
			dropped := func() uint64 {
				s := a.Stats()
				return s.Sum(stats.DropSPI, stats.DropReplay, stats.DropIntegrity)
			}
			until(t, "received", func() bool { return a.Stats().Sum(stats.PacketsIn)+dropped() == 2 })
			if n := a.Stats().Sum(stats.PacketsIn); n != want {
				t.Errorf("%d packets came through, want %d", n, want)
			}
			if f := a.counters.Slot(0).Facts(); what == follows && (f.PacketsIn != 0 || f.SequenceIn != 0) {
				t.Errorf("the slot's next owner has %+v", f)
			}
		})
	}
}
