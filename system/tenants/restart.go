package tenants

import (
	"context"
	"time"

	"github.com/warrenvpn/warren/context/spawn"
	"github.com/warrenvpn/warren/system/fault"
)

// restartLook is how often the state of a worker is looked at that is being replaced.
const restartLook = 20 * time.Millisecond

// Restart replaces the worker of a context, and returns how it was, and how the new one
// is once that is ready. SAs stay.
func (s *Tenants) Restart(ctx context.Context, name string) (before, after spawn.Status, err error) {
	_, worker, err := s.ready(name)
	if err != nil {
		return before, after, err
	}
	before = worker.Status()
	if err := worker.Restart(ctx); err != nil {
		return before, after, answered(name, worker, err)
	}
	tick := time.NewTicker(restartLook)
	defer tick.Stop()
	for {
		after = worker.Status()
		if after.Ready && after.PID != before.PID {
			return before, after, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return before, after, fault.NotReady(name, "its new worker is not ready yet: "+after.Reason)
		}
	}
}
