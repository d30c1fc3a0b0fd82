package worker

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/ike"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/internal/panics"
)

// crew does the arithmetic of handshakes (exchange.AskWork) beside the loop, so that
// nobody who is connected waits while hundreds log in. Its work is done in the order in
// which it was asked for. What waits is bounded by the half-open IKE SAs, each of which
// has at most one in it.
type crew struct {
	isolate bool // a panic costs the IKE SA that it is about alone, here and in every engine
	teller  *teller
	inbox   *inbox
	done    func(now time.Time, j job) // in the loop

	wake chan struct{} // has a value while there may be work
	mu   sync.Mutex
	jobs []job // guarded by mu
}

// job is work of an engine.
type job struct {
	engine *ike.Engine
	exchange.AskWork
}

// newCrew returns a crew that gives what is done to done.
func newCrew(isolate bool, t *teller, in *inbox, done func(time.Time, job)) *crew {
	return &crew{isolate: isolate, teller: t, inbox: in, done: done, wake: make(chan struct{}, 1)}
}

// hands is how many goroutines work: one processor is left to the loop and the data
// plane, where there are several.
func hands() int { return max(1, runtime.GOMAXPROCS(0)-1) }

// put has a job done.
func (c *crew) put(j job) {
	c.mu.Lock()
	c.jobs = append(c.jobs, j)
	c.mu.Unlock()
	c.call()
}

// call wakes one of the crew.
func (c *crew) call() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// take returns the next job; false: there is none. Where there are more, it wakes another
// one of the crew.
func (c *crew) take() (j job, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.jobs) == 0 {
		return job{}, false
	}
	j, c.jobs = c.jobs[0], c.jobs[1:]
	if len(c.jobs) == 0 {
		c.jobs = nil // with the memory of a burst
	} else {
		c.call()
	}
	return j, true
}

// run is one of the crew, until ctx ends.
func (c *crew) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		}
		for {
			j, ok := c.take()
			if !ok {
				break
			}
			if !c.do(j) {
				continue
			}
			err := c.inbox.call(ctx, func(now time.Time) error { c.done(now, j); return nil })
			if err != nil {
				return
			}
		}
	}
}

// do does a job, with the time of day. After a panic there is no answer, and the handshake
// ends when its time is over.
func (c *crew) do(j job) (ok bool) {
	if c.isolate {
		defer func() {
			if p := recover(); p != nil {
				c.teller.tell(&control.IKEFault{Peer: peerOf(j.Peer), Reason: panics.Reason(p),
					Detail: strings.Join(panics.Where(), " < ")})
			}
		}()
	}
	j.Work.Do(time.Now())
	return true
}
