package tenants

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/warrenvpn/warren/context/netns"
	"github.com/warrenvpn/warren/context/spawn"
	"github.com/warrenvpn/warren/internal/guard"
	"github.com/warrenvpn/warren/resource"
	"github.com/warrenvpn/warren/resource/cgroup"
	"github.com/warrenvpn/warren/system/events"
	"github.com/warrenvpn/warren/system/plan"
)

const (
	// retryFirst is when a context that could not be built is tried again; each
	// later time after twice as long, to retryMost. A missing device may appear.
	retryFirst = time.Second
	retryMost  = 30 * time.Second
	// teardownTimeout bounds what the end of one context may take.
	teardownTimeout = 10 * time.Second
	// lossesFailed is how many losses in a row make a context a failed one.
	lossesFailed = 3
)

// tenant is one running context. One goroutine lives its life: run.
type tenant struct {
	env    *env
	name   string
	uid    uint32
	log    *slog.Logger
	cancel context.CancelFunc
	ended  chan struct{}
	// settled is closed once the context is ready for the first time, or cannot
	// be; outcome is valid then.
	settled chan struct{}
	outcome error

	mending   sync.Mutex // whoever has it makes the control group, or removes it; taken before mu
	regrouped struct {   // belongs to mending: how often that was made again, and when
		at     time.Time
		count  int64
		notice resource.Notice
	}
	looking sync.Mutex // makes looks at the links one at a time, so that the last one counts; taken before mu

	mu         sync.Mutex // protects what follows
	want       *plan.Wanted
	half       bool  // a configure has not ended, or failed: the worker may have something else than want
	state      State // while there is no worker to ask
	reason     string
	worker     *spawn.Worker  // nil: not built
	gateway    *netns.Gateway // as worker
	group      *cgroup.Group  // as worker
	cpu        resource.RateMeter
	faults     map[string]netns.Fault // of interfaces, while it is built
	network    network                // what is wrong with all of it
	unconfined string                 // why its control group, which was removed, is not there again; "": it is

	api     apiSessions
	notices map[resource.Name]*resource.Notice // Tenants.Watch has them
	clear   resource.Notice                    // of packets that came in clear; Tenants.Watch has it
}

// newTenant starts the life of a context. A suspended context only waits for stop.
func (s *Tenants) newTenant(w *plan.Wanted, uid uint32) *tenant {
	ctx, cancel := context.WithCancel(context.Background()) // it ends with end alone
	t := &tenant{
		env: s.env, name: w.Name, uid: uid, log: s.env.Log.With("tenant", w.Name), cancel: cancel,
		ended:   make(chan struct{}),
		settled: make(chan struct{}), want: w, state: StateStarting,
		reason:  "waiting to be built",
		notices: make(map[resource.Name]*resource.Notice),
	}
	if w.Suspended {
		t.state, t.reason = StateSuspended, ""
		close(t.settled)
		close(t.ended)
		return t
	}
	go func() {
		defer close(t.ended)
		t.run(ctx)
		t.endOwn(ctx)
		t.reportOutcome(errors.New("system: it was stopped before it was ready"))
	}()
	return t
}

// stop stops the context and waits until nothing is left of it.
func (t *tenant) stop() {
	t.mu.Lock()
	t.state, t.reason = StateStopping, "it is being taken apart"
	t.mu.Unlock()
	t.cancel()
	<-t.ended
}

// run builds the context and keeps it until ctx ends; what cannot be built is
// tried again.
func (t *tenant) run(ctx context.Context) {
	for delay := retryFirst; ; delay = min(2*delay, retryMost) {
		err := guard.Run(t.log, "a context", func() error { return t.serve(ctx) })
		if ctx.Err() != nil || err == nil {
			return
		}
		t.reportOutcome(err)
		t.env.Events.Tell(t.log, t.name, &events.ContextFailed{Reason: err.Error(), RetryIn: delay})
		t.setState(StateFailed, err.Error())
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// reportOutcome says how the start of the context has ended. Only the first call counts.
func (t *tenant) reportOutcome(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-t.settled:
	default:
		t.outcome = err
		close(t.settled)
	}
}

// workerChanged is called after every change of the worker's state.
func (t *tenant) workerChanged() {
	t.mu.Lock()
	worker := t.worker
	t.mu.Unlock()
	if worker != nil {
		switch s := worker.Status(); {
		case s.Ready:
			t.reportOutcome(nil)
		case s.Losses > 0:
			t.reportOutcome(errors.New(s.Reason))
		}
	}
	t.env.Changed()
}

// setState changes the state, unless the context is being stopped, and tells.
func (t *tenant) setState(state State, reason string) {
	t.mu.Lock()
	if t.state != StateStopping {
		t.state, t.reason = state, reason
	}
	t.mu.Unlock()
	t.env.Changed()
}

// serve is one life of the context: built, run, taken apart.
func (t *tenant) serve(ctx context.Context) (err error) {
	// The netlink library needs 128 KiB of stack, which this goroutine would keep.
	err = guard.Apart(t.log, "the building of a context", func() error { return t.build(ctx) })
	if err != nil {
		return err
	}
	defer func() {
		if downErr := t.takeApart(); downErr != nil {
			t.log.Error("context not wholly removed", "reason", downErr)
		}
	}()
	w := t.view().want
	t.env.Events.Tell(t.log, t.name, &events.ContextBuilt{Namespace: w.Namespace, Class: w.Class})
	life, end := context.WithCancel(ctx)
	var watching sync.WaitGroup
	defer func() {
		end()
		watching.Wait()
	}()
	watching.Go(func() { t.watchLinks(life, t.gateway) })
	return t.worker.Run(life)
}
