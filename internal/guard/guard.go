// Package guard ends an operation that panics instead of the whole program: a
// supervisor that looks after hundreds of contexts goes on when what it does for
// one of them meets a fault of its own. It does I/O through the logger alone.
package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/warrenvpn/warren/internal/panics"
)

// ErrPanic is the error of an operation that has panicked.
var ErrPanic = errors.New("guard: an internal error has ended the operation")

var (
	enabled atomic.Bool
	caught  atomic.Int64 // since the start of the program
)

// Enable makes Run catch panics until the function that it returns is called. The
// main function of a program calls it; in tests of packages panics go on, so that no
// test passes over one that it has not asked for.
func Enable() (disable func()) {
	enabled.Store(true)
	return func() { enabled.Store(false) }
}

// Run calls fn and returns its error. Where fn panics it returns ErrPanic and
// logs what was done (a noun: "a message of the worker"), where, and how often
// that has happened. What the operation had locked must be unlocked by deferred
// calls.
func Run(log *slog.Logger, what string, fn func() error) (err error) {
	if !enabled.Load() {
		return fn()
	}
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		err = fmt.Errorf("%w (%s)", ErrPanic, what)
		log.Error("internal error", "kind", what, "reason", panics.Reason(p), "detail",
			strings.Join(panics.Where(), " < "), "count", caught.Add(1))
	}()
	return fn()
}

// Apart calls fn as Run does, on a goroutine of its own, and waits. A call that
// needs a large stack leaves it to nobody: a goroutine that lives for long would
// keep what it has once grown to.
func Apart(log *slog.Logger, what string, fn func() error) error {
	done := make(chan error, 1)
	go func() { done <- Run(log, what, fn) }()
	return <-done
}

// Keep calls fn as Run does, again and again until ctx ends: after rest where it has
// returned. Errors of its own are told to failed; of a panic the log has been told.
// It returns when ctx has ended and fn has returned.
func Keep(ctx context.Context, log *slog.Logger, what string, rest time.Duration, fn func() error, failed func(error)) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		if ctx.Err() != nil {
			return
		}
		err := Run(log, what, fn)
		if err != nil && ctx.Err() == nil && !errors.Is(err, ErrPanic) {
			failed(err)
		}
		timer.Reset(rest)
	}
}
