package worker

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenvpn/warren/esp/esptest"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
)

// TestRefusedChildEnds: a child SA that the data plane refuses when a worker starts anew
// is ended, with a DELETE to its peer.
func TestRefusedChildEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := esptest.NewNet()
		gateway := newHost(t, net, testGateway(), gatewayAddr)
		gateway.start()
		alice := newHost(t, net, clientTenant("198.51.100.2", "alice@example"), "198.51.100.2")
		alice.start()
		time.Sleep(time.Second)
		gateway.in(func(now time.Time, w *Worker) {
			for r := range w.engine.Snapshot {
				if c := r.Child; c != nil {
					gone := exchange.Record{Kind: r.Kind, SPI: r.SPI,
						Child: &sa.Change{Op: sa.OpDelete, Child: sa.Child{ID: c.Child.ID}}}
					c.Child.ReplayWindow = 1 // there is none of this size
					w.replica.Commit(now, []exchange.Record{gone, r})
				}
			}
		})
		gateway.stop()
		gateway.start()
		if !gateway.logs.contains("data plane refuses a child SA") {
			t.Error("it was not refused")
		}
		time.Sleep(time.Second)
		for _, h := range []*host{gateway, alice} {
			if all := h.established(); len(all) != 1 || len(all[0].ChildSAs) > 0 {
				t.Errorf("%s has %+v, want the IKE SA alone", h.name, all)
			}
		}
		alice.stop()
		gateway.stop()
	})
}
