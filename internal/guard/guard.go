// Package guard ends an operation that panics instead of the whole program: a
// supervisor that looks after hundreds of contexts goes on when what it does for
// one of them meets a fault of its own. It does I/O through the logger alone.
package guard

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
)

// ErrPanic is the error of an operation that has panicked.
var ErrPanic = errors.New("guard: an internal error has ended the operation")

// deepest bounds the calls that are told of a panic.
const deepest = 32

var (
	enabled atomic.Bool
	panics  atomic.Int64 // since the start of the program
)

// Enable makes Run catch panics from now on. The main function of a program calls
// it; in tests of packages panics go on, so that no test passes over one.
func Enable() { enabled.Store(true) }

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
		log.Error("internal error", "kind", what, "reason", reason(p), "text", trace(), "count", panics.Add(1))
	}()
	return fn()
}

// reason says what a panic says of itself, where that cannot hold a secret: the
// runtime's own errors and constant texts.
func reason(p any) string {
	switch p := p.(type) {
	case runtime.Error:
		return p.Error()
	case string:
		return p
	}
	return fmt.Sprintf("a panic with %T", p)
}

// trace names the calls that led to the panic, without their arguments.
func trace() string {
	var pcs [deepest]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(4, pcs[:])]) // without Callers, trace, the deferred call and the panic itself
	var calls []string
	for {
		f, more := frames.Next()
		if f.Function != "" {
			calls = append(calls, fmt.Sprintf("%s:%d", f.Function, f.Line))
		}
		if !more {
			return strings.Join(calls, " ")
		}
	}
}
