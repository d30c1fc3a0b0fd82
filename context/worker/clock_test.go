package worker

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/internal/uptime"
)

// TestClocksOfTwinsDiffer: lifetimes are as long after a takeover, and after the
// way back, as they would have been, whatever the other node takes for the time.
// New workers of either node go on with it.
func TestClocksOfTwinsDiffer(t *testing.T) {
	for _, skew := range []time.Duration{9 * time.Hour, 25 * time.Hour, -25 * time.Hour, 400 * 24 * time.Hour} {
		t.Run(fmt.Sprint(skew), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newDeadPair(t, func() *spec.Tenant {
					tenant := testGateway()
					tenant.GroupPolicies[0].IdleTimeout = 30 * time.Minute
					tenant.GroupPolicies[0].SessionTimeout = 5 * time.Hour
					return tenant
				})
				p.nodes[1].skew = skew
				for _, h := range p.nodes {
					h.start()
				}
				p.serve(0)
				p.join()
				p.awaitStep(0)
				alice := p.newClient(2, "alice@example")
				began := time.Now()
				p.mustPing(alice, "before")
				before := p.nodes[0].established()[0]
				check := func(i int, when string) {
					t.Helper()
					time.Sleep(time.Minute)
					p.mustPing(alice, when)
					after := p.nodes[i].established()[0]
					for what, d := range map[string]time.Duration{
						"login":                after.Established.Sub(before.Established),
						"end of a child SA":    after.ChildSAs[0].Expires.Sub(before.ChildSAs[0].Expires),
						"begin of the session": p.nodes[i].facts().Sessions[0].LoginTime.Sub(began),
					} {
						if d.Abs() > 2*time.Second {
							t.Errorf("%s: %s differs by %v", when, what, d)
						}
					}
				}
				p.kill(0)
				p.serve(1)
				check(1, "after the takeover")
				p.nodes[1].stop()
				p.nodes[1].start()
				p.serve(1)
				check(1, "with a new worker")
				p.revive(0)
				p.join()
				p.awaitStep(1)
				p.kill(1)
				p.serve(0)
				check(0, "after the way back")
				for range 3 * 60 {
					time.Sleep(time.Minute)
					p.mustPing(alice, "while the session lasts")
				}
				time.Sleep(3 * time.Hour)
				if up := p.nodes[0].established(); len(up) > 0 && up[0].Established.Equal(before.Established) {
					t.Error("the session is longer than its group policy allows")
				}
				alice.stop()
				p.stop()
			})
		})
	}
}

// TestWallClockIsSet: no lifetime and no idle time depends on it.
func TestWallClockIsSet(t *testing.T) {
	zero := time.Now().UnixNano() - int64(uptime.Now())
	first, second := newClock(zero), newClock(zero)
	if d := first.now().Sub(second.now()).Abs(); d > time.Minute {
		t.Errorf("two workers of one supervisor differ by %v", d)
	}
	first.base = first.base.Add(90 * 24 * time.Hour) // as if the wall clock had been set back since
	at := first.now().Add(time.Hour)
	if d := time.Until(first.wall(at)); d < 59*time.Minute || d > 61*time.Minute {
		t.Errorf("what is an hour off is told as %v off", d)
	}
	if again := first.wall(at); !again.Equal(first.wall(at)) {
		t.Error("the same instant is told otherwise each time")
	}
	if !first.wall(time.Time{}).IsZero() {
		t.Error("never is told as some time")
	}
}
