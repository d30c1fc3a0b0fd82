// Package task runs owned goroutines: tasks start in order, each only when the
// one before is ready, and stop in reverse order, each only when the one after
// it has ended. Every goroutine has an owner that waits for it. It is a leaf.
package task

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
)

// Task is long-lived work.
type Task interface {
	// Run works until ctx ends, and cleans up before it returns. Its error is
	// why the work could not go on; a Run that ends because of ctx returns nil
	// or the error of ctx.
	Run(ctx context.Context) error
	// Ready is closed once the task does its work.
	Ready() <-chan struct{}
	// String names the task in logs.
	fmt.Stringer
}

// errEnded is what is wrong with a task that ends without being told to.
var errEnded = errors.New("task: ended before its time")

// running is a Task with its goroutine.
type running struct {
	Task
	cancel context.CancelFunc
	ended  chan struct{}
	err    error // valid when ended is closed
}

// Run starts the tasks in order, calls started (which may be nil) when all are
// ready, and waits until ctx ends or one of them does. Then it stops them in
// reverse order. It returns the first error that was not the end of ctx.
func Run(ctx context.Context, log *slog.Logger, started func(), tasks ...Task) error {
	// The tasks do not see ctx end: they are told one after the other.
	base := context.WithoutCancel(ctx)
	var list []*running
	fail := make(chan *running, len(tasks))
	var first error
	for _, t := range tasks {
		r := start(base, t, fail)
		list = append(list, r)
		select {
		case <-t.Ready():
			log.Debug("task ready", "task", t.String())
			continue
		case <-r.ended:
			first = r.failure()
		case <-ctx.Done():
		}
		break
	}
	if first == nil && ctx.Err() == nil {
		if started != nil {
			started()
		}
		select {
		case r := <-fail:
			first = r.failure()
		case <-ctx.Done():
		}
	}
	for i := len(list) - 1; i >= 0; i-- {
		r := list[i]
		r.cancel()
		<-r.ended
		log.Debug("task ended", "task", r.String())
		if first == nil && r.err != nil && !errors.Is(r.err, context.Canceled) {
			first = fmt.Errorf("stopping %s: %w", r, r.err)
		}
	}
	return first
}

// start runs a task on a goroutine that Run waits for.
func start(base context.Context, t Task, fail chan<- *running) *running {
	ctx, cancel := context.WithCancel(base)
	r := &running{Task: t, cancel: cancel, ended: make(chan struct{})}
	go func() {
		r.err = t.Run(ctx)
		close(r.ended)
		fail <- r
	}()
	return r
}

// failure is the error of a task that has ended by itself.
func (r *running) failure() error {
	if r.err == nil {
		return fmt.Errorf("%s: %w", r, errEnded)
	}
	return fmt.Errorf("%s: %w", r, r.err)
}
