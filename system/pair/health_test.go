package pair

import (
	"testing"
	"time"

	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/system/plan"
)

// TestSilenceOfTheStart: a worker that was replaced while the other contexts still
// started, because it did not answer, is not held against its context afterwards;
// one that does not answer later is.
func TestSilenceOfTheStart(t *testing.T) {
	u := newPairUnit(t, failover.UnitPrimary, t.TempDir(), nil)
	u.worker.hang()
	u.boot()
	broken := func() (reason string) {
		u.pair.do(func(now time.Time, out *failover.Output) {
			u.pair.inspect(now, out)
			reason = u.pair.members.byName["acme"].broken
		})
		return reason
	}
	if reason := broken(); reason != "" {
		t.Errorf("it is given up: %s", reason)
	}
	u.until(failover.RoleActive)
	u.worker.hang()
	if broken() == "" {
		t.Error("it is not given up although it did not answer")
	}
	u.kill()
}

// TestSlowBuildIsNoFailure: a context that takes its time to be built, but not so long
// that the role machine was told of it, is given up as soon as any other when its worker
// does not come back.
func TestSlowBuildIsNoFailure(t *testing.T) {
	u := newPairUnit(t, failover.UnitPrimary, t.TempDir(), nil)
	u.pair.Start()
	u.pair.do(u.pair.inspect) // it is not there yet
	u.worker.run(u.pair)
	t.Cleanup(u.kill)
	u.pair.join(&plan.Wanted{Tenant: u.conf.Contexts[0]}, u.net, u.worker)
	u.pair.do(func(time.Time, *failover.Output) {
		if reason := u.pair.members.byName["acme"].broken; reason != "" {
			t.Errorf("it is given up: %s", reason)
		}
	})
}
