package pair

import (
	"testing"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/failover"
)

// closedSession is what a worker says whose session was closed at the other end.
var closedSession = control.Replication{State: failover.ReplicationNone, Holds: true, Closed: true}

// longHold has a silent peer waited for longer than any test takes.
func longHold(c *configs.System) { c.Failover.Hold = time.Hour }

// TestPeerProcessesEnd: where all processes of the peer have ended, it is not waited for.
func TestPeerProcessesEnd(t *testing.T) {
	a := newPairUnit(t, failover.UnitPrimary, t.TempDir(), longHold)
	b := newPairUnit(t, failover.UnitSecondary, t.TempDir(), longHold)
	a.boot()
	b.boot()
	formed(a, b)
	a.kill()
	b.worker.reports <- closedSession
	b.until(failover.RoleActive)
	b.kill()
}

// TestPeerWorkerEnds: the supervisor of the peer, which listens, brings the worker back.
func TestPeerWorkerEnds(t *testing.T) {
	a := newPairUnit(t, failover.UnitPrimary, t.TempDir(), longHold)
	b := newPairUnit(t, failover.UnitSecondary, t.TempDir(), longHold)
	a.boot()
	b.boot()
	formed(a, b)
	for range 10 {
		b.looked(func() { b.worker.reports <- closedSession })
		formed(a, b)
	}
	if used := b.worker.epochsSeen(); len(used) > 0 {
		t.Errorf("the standby has served with epochs %v", used)
	}
	a.kill()
	if r := a.pair.links.list[0].refusals; r.silent > 0 {
		t.Errorf("each look is a line of the peer's log, and %d more", r.silent)
	}
	b.kill()
}

// TestPeerSupervisorEnds: its workers, one of which has its session, may serve on.
func TestPeerSupervisorEnds(t *testing.T) {
	a := newPairUnit(t, failover.UnitPrimary, t.TempDir(), longHold)
	b := newPairUnit(t, failover.UnitSecondary, t.TempDir(), longHold)
	a.boot()
	b.boot()
	formed(a, b)
	b.pair.do(func(time.Time, *failover.Output) {
		other := &member{name: "umbra", worker: b.worker, leave: func() {}}
		other.replication.Connected = true
		b.pair.members.byName[other.name] = other
	})
	a.kill()
	b.worker.reports <- closedSession
	b.until(failover.RoleStandbyCold)
	b.pair.do(func(time.Time, *failover.Output) {
		if o := b.pair.twins.obituary; !o.suspected || o.knocking || o.looks > 0 {
			t.Errorf("a peer whose workers live is looked after: %+v", o)
		}
		delete(b.pair.members.byName, "umbra") // its session ends, too
	})
	b.until(failover.RoleActive)
	b.kill()
}

// looked waits until the unit has looked after the peer's supervisor, which do makes it.
func (u *pairUnit) looked(do func()) {
	u.t.Helper()
	looks := func() (n int) {
		u.pair.do(func(time.Time, *failover.Output) { n = u.pair.twins.obituary.looks })
		return n
	}
	before := looks()
	do()
	for limit := time.Now().Add(patience); looks() == before; time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			u.t.Fatal("it did not look after the peer's supervisor")
		}
	}
}
