package worker

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestExtendWithoutTwin: while the twin is away, a child SA that it knows is
// rekeyed when its numbers run out, and one that it does not know gets more.
func TestExtendWithoutTwin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, testGateway)
		alice := p.newClient(2, "alice@example")
		time.Sleep(time.Second) // the twin has all
		p.nodes[0].in(func(_ time.Time, w *Worker) { w.twin.detach(w, "the test cuts the cable") })
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
		p.nodes[0].in(func(now time.Time, w *Worker) {
			w.extend(now, known)
			w.extend(now, unknown)
			w.carry(now)
			if !w.twin.raising(known) || w.twin.raising(unknown) {
				t.Errorf("waiting for the twin: %v, %v, want true, false", w.twin.raising(known), w.twin.raising(unknown))
			}
			c := w.children.byID[unknown]
			if got := w.counters.Slot(c.slot).OutLimit(); got != 2*c.block {
				t.Errorf("limit of the one that the twin does not know: %d, want %d", got, 2*c.block)
			}
		})
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
