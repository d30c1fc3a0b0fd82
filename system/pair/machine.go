package pair

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/internal/guard"
	"github.com/warrenvpn/warren/system/events"
)

// machine is the role machine with the one goroutine that owns it, Pair.run. Others reach
// it through do and post.
type machine struct {
	log    *slog.Logger
	events *events.Hub // nil: nobody reads them
	calls  chan func(now time.Time, out *failover.Output)
	ended  chan struct{}  // closed when run has returned
	owned  sync.WaitGroup // goroutines of run
	// cancel ends run; nil: it was not started.
	cancel   context.CancelFunc
	finished chan struct{} // closed when run and its goroutines have ended
	settle   time.Duration // for how long the peer is not looked for while contexts are not ready

	// What follows belongs to run.
	node *failover.Node  // nil until the peer is looked for
	conf *configs.System // that runs
}

func newMachine(conf *configs.System, log *slog.Logger, hub *events.Hub) *machine {
	return &machine{log: log, events: hub, conf: conf, calls: make(chan func(time.Time, *failover.Output), beatsSize),
		ended: make(chan struct{}), finished: make(chan struct{})}
}

// do runs f in the goroutine of run and waits for it; false: there is none.
func (x *machine) do(f func(now time.Time, out *failover.Output)) bool {
	done := make(chan struct{})
	if !x.post(func(now time.Time, out *failover.Output) { defer close(done); f(now, out) }) {
		return false
	}
	select {
	case <-done:
		return true
	case <-x.ended:
		return false
	}
}

// post leaves f to the goroutine of run; false: there is none.
func (x *machine) post(f func(now time.Time, out *failover.Output)) bool {
	select {
	case x.calls <- f:
		return true
	case <-x.ended:
		return false
	}
}

// async does something in a goroutine that run waits for in the end.
func (x *machine) async(what string, do func()) {
	x.owned.Go(func() {
		_ = guard.Run(x.log, what, func() error { // the log has been told
			do()
			return nil
		})
	})
}
