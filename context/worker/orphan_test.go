package worker

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/failover"
)

// orphan ends the supervisor of node i.
func (p *pair) orphan(i int) {
	p.t.Helper()
	p.nodes[i].in(func(now time.Time, w *Worker) { w.replica.Orphaned(now) })
}

// serves reports whether node i serves.
func (p *pair) serves(i int) (active bool) {
	p.t.Helper()
	p.nodes[i].in(func(_ time.Time, w *Worker) { active = w.replica.Activation().Active })
	return active
}

// bereaved plays a pair of which node 0 serves without a supervisor.
func bereaved(t *testing.T, play func(t *testing.T, p *pair, alice *host)) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, testGateway)
		alice := p.newClient(2, "alice@example")
		p.orphan(0)
		play(t, p, alice)
		alice.stop()
		p.stop()
	})
}

// TestOrphan: the active worker of a pair serves on without a supervisor while its twin,
// which knows of it, answers, and is what it was for the next supervisor.
func TestOrphan(t *testing.T) {
	bereaved(t, func(t *testing.T, p *pair, alice *host) {
		for range 50 {
			time.Sleep(100 * time.Millisecond)
			p.mustPing(alice, "without a supervisor")
		}
		if !p.nodes[1].facts().Replication.Orphan || p.nodes[0].facts().Replication.Orphan {
			t.Error("the twin does not know")
		}
		if err := p.nodes[0].worker.SetRole(t.Context(), control.Activation{Active: true, Epoch: p.epoch}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if p.nodes[1].facts().Replication.Orphan || p.nodes[1].replication() != "ready" {
			t.Error("the twin does not know of the next supervisor, or is out of step")
		}
		p.cut()
		if !p.serves(0) {
			t.Error("it falls silent although it has a supervisor")
		}
		p.mustPing(alice, "with the next supervisor")
	})
}

// TestOrphanYields: before the twin serves the worker without a supervisor has fallen silent,
// with all that the twin does not have yet.
func TestOrphanYields(t *testing.T) {
	bereaved(t, func(t *testing.T, p *pair, alice *host) {
		time.Sleep(time.Second)
		p.serve(1)
		synctest.Wait()
		if p.serves(0) || !p.serves(1) {
			t.Errorf("serving: %v and %v", p.serves(0), p.serves(1))
		}
		p.mustPing(alice, "after the takeover")
	})
}

// TestOrphanAlone: a worker whose session with its twin has ended falls silent as soon as it has
// no supervisor. Before it serves again it makes new keys, unless the twin had everything:
// nobody knows what the twin has done with those there were.
func TestOrphanAlone(t *testing.T) {
	for _, tt := range []struct {
		name  string
		alone bool // when the supervisor ends
		rekey bool
	}{{"the session ends", false, false}, {"there is no session", true, true}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t, testGateway)
				alice := p.newClient(2, "alice@example")
				if tt.alone {
					p.cut()
				}
				p.orphan(0)
				if !tt.alone {
					p.cut()
				}
				synctest.Wait()
				if p.serves(0) {
					t.Error("it serves without a supervisor and without a twin")
				}
				was := alice.established()[0].ChildSAs[0].SPIOut
				p.serve(0)
				for range 20 {
					time.Sleep(500 * time.Millisecond)
					ping(alice, p.active(), alice.assigned())
				}
				p.mustPing(alice, "when it serves again")
				if now := alice.established()[0].ChildSAs[0].SPIOut; (now != was) != tt.rekey {
					t.Errorf("the child SA is %v, and was %v", now, was)
				}
				alice.stop()
				p.stop()
			})
		})
	}
}

// TestOrphanLone: a worker that was told that the other node is away serves on without a
// supervisor, with the keys that it has, until the time for that is over; where there is a
// session with the twin it serves as long as that answers.
func TestOrphanLone(t *testing.T) {
	for _, tt := range []struct {
		name string
		cut  bool
	}{{"there is no session", true}, {"there is a session", false}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t, testGateway)
				alice := p.newClient(2, "alice@example")
				if tt.cut {
					p.cut()
				}
				lone := control.Activation{Active: true, Epoch: p.epoch, Alone: true}
				if err := p.nodes[0].worker.SetRole(t.Context(), lone); err != nil {
					t.Fatal(err)
				}
				was := alice.established()[0].ChildSAs[0].SPIOut
				p.orphan(0)
				for range 49 {
					time.Sleep(failover.LoneLease / 50)
					p.mustPing(alice, "alone without a supervisor")
				}
				if tt.cut {
					if err := p.nodes[0].worker.SetRole(t.Context(), lone); err != nil { // the next supervisor
						t.Fatal(err)
					}
					time.Sleep(2 * failover.LoneLease)
					p.mustPing(alice, "with the next supervisor")
					p.orphan(0)
					time.Sleep(failover.LoneLease + time.Millisecond)
				} else {
					p.cut()
				}
				synctest.Wait()
				if p.serves(0) {
					t.Error("it serves on")
				}
				if now := alice.established()[0].ChildSAs[0].SPIOut; now != was {
					t.Errorf("the child SA is %v, and was %v", now, was)
				}
				alice.stop()
				p.stop()
			})
		})
	}
}

// TestOrphanUnanswered: a twin that lives and answers nothing ends the lease. Until it is
// over for certain the twin does not serve.
func TestOrphanUnanswered(t *testing.T) {
	bereaved(t, func(t *testing.T, p *pair, _ *host) {
		time.Sleep(time.Second)
		release := make(chan struct{})
		go p.nodes[1].worker.do(context.Background(), func(time.Time) error { <-release; return nil })
		time.Sleep(failover.DefaultHold * 23 / 10) // of three, from when the last message that was answered left
		if !p.serves(0) {
			t.Error("it does not wait for the lease")
		}
		time.Sleep(failover.DefaultHold)
		if p.serves(0) {
			t.Error("it serves, and its lease is over")
		}
		close(release)
	})
}

// TestSilentBeforeTheSwitch: a worker that has come to rest for its twin to take over says
// nothing more from when the twin has ended the session, whatever it begins by itself, and lets
// packets through until it is told its role.
func TestSilentBeforeTheSwitch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, testGateway)
		alice := p.newClient(2, "alice@example")
		if err := p.nodes[0].worker.Quiesce(t.Context(), control.Quiesce{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if p.nodes[0].count(string(control.KindQuiesced)) == 0 {
			t.Fatal("it does not come to rest")
		}
		p.mustPing(alice, "at rest")
		p.cut() // as the twin does that serves
		was := alice.established()[0].ChildSAs[0].SPIOut
		p.nodes[0].rekeyChild()
		time.Sleep(100 * time.Millisecond)
		if now := alice.established()[0].ChildSAs[0].SPIOut; now != was {
			t.Error("it has begun an exchange that the twin knows nothing of")
		}
		p.mustPing(alice, "while the twin begins to serve")
		if err := p.nodes[0].worker.Quiesce(t.Context(), control.Quiesce{Cancel: true}); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			time.Sleep(time.Second)
			p.mustPing(alice, "after the switch was called off")
		}
		if now := alice.established()[0].ChildSAs[0].SPIOut; now == was {
			t.Error("what it had begun is not repeated")
		}
		alice.stop()
		p.stop()
	})
}
