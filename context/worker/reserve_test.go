package worker

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/plane"
	"github.com/warrenvpn/warren/failover/journal"
)

// TestExtendWithoutTwin: while the twin is away, a child SA that it knows is
// rekeyed when its numbers run out, and one that it does not know gets more.
func TestExtendWithoutTwin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, testGateway)
		alice := p.newClient(2, "alice@example")
		time.Sleep(time.Second) // the twin has all
		p.cut()
		bob := p.newClient(3, "bob@example")
		child := func(identity string) (id uint64) {
			p.nodes[0].in(func(_ time.Time, w *Worker) {
				for _, s := range w.engine.Status() {
					if s.Peer.RemoteID == identity {
						id = s.Children[len(s.Children)-1].ID
					}
				}
			})
			return id
		}
		known, unknown := child("alice@example"), child("bob@example")
		counters, err := esp.NewCounters(p.nodes[0].counters.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		limits := map[uint64]uint64{} // before the peer has heard of the rekeying
		p.nodes[0].in(func(now time.Time, w *Worker) {
			for _, id := range []uint64{known, unknown} {
				w.report(now, plane.Report{Kind: plane.ReportReserve, Child: id})
			}
			for i := range uint32(counters.Len()) {
				limits[counters.Slot(i).Owner()] = counters.Slot(i).OutLimit()
			}
		})
		if limits[known] != journal.BlockLong || limits[unknown] != 2*journal.BlockLong {
			t.Errorf("limits %d and %d, want %d for the one that the twin knows, twice that for the other",
				limits[known], limits[unknown], uint64(journal.BlockLong))
		}

		time.Sleep(5 * time.Second)
		if child("alice@example") == known {
			t.Error("the child SA that the twin knows was not rekeyed")
		}
		if child("bob@example") != unknown {
			t.Error("the other one was rekeyed")
		}
		for _, c := range []*host{alice, bob} {
			p.mustPing(c, "in the end")
			c.stop()
		}
		p.stop()
	})
}
