// Package lab lays out networks for tests and for the demo: namespaces, links,
// foreign daemons and our own, each as a Go value. It is not a simulator: what
// runs in it are real programs on the real kernel, so it needs root.
//
// Everything a Lab makes carries the process's id in its name and is undone in
// reverse order by Close, which runs at the end of a test however it ends, and
// on SIGINT and SIGTERM. What a lab that was killed outright left behind is
// swept away by the next one. Processes are ended by the ids that the lab
// started, never by name.
//
// A step that goes wrong ends the test (or, under Run, the function): building
// a network is a list of steps, and none makes sense after one that failed.
// Methods that return an error are those whose failure a test may want to see.
package lab

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// TB is the part of testing.TB that a lab needs.
type TB interface {
	Helper()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Failed() bool
	Cleanup(func())
}

// Lab owns what was laid out. Its methods are for the goroutine of the test;
// Close may be called from any.
type Lab struct {
	tb     TB
	prefix string // of every name on the host
	dir    string // configurations, logs, captures
	bare   bool   // no tripwires

	mu     sync.Mutex // guards undo and closed
	undo   []func()
	closed bool
	done   chan struct{}
}

// count numbers the labs of this process.
var count atomic.Int32

// New lays out nothing yet; the lab ends with the test.
func New(tb TB) *Lab {
	tb.Helper()
	if os.Geteuid() != 0 {
		tb.Fatalf("lab: network namespaces need root")
	}
	sweep()
	if err := shareNames(); err != nil {
		tb.Fatalf("lab: the folder of named namespaces: %v", err)
	}
	dir, err := os.MkdirTemp("", "warren-lab-")
	if err != nil {
		tb.Fatalf("lab: %v", err)
	}
	// Workers without privileges must be able to pass through.
	if err := os.Chmod(dir, 0o755); err != nil {
		tb.Fatalf("lab: %v", err)
	}
	l := &Lab{
		tb:     tb,
		prefix: fmt.Sprintf("%s%d-%d", namePrefix, os.Getpid(), count.Add(1)),
		dir:    dir,
		done:   make(chan struct{}),
	}
	l.onClose(l.keepOrRemoveDir)
	l.onClose(l.removeOwn)
	go l.watchSignals()
	tb.Cleanup(l.Close)
	return l
}

// onClose has f called by Close, before what was there already.
func (l *Lab) onClose(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.undo = append(l.undo, f)
}

// Close ends the processes and removes the networks, last one first. A second
// call waits for the first.
func (l *Lab) Close() {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		<-l.done
		return
	}
	l.closed = true
	undo := l.undo
	l.mu.Unlock()
	for i := len(undo) - 1; i >= 0; i-- {
		undo[i]()
	}
	close(l.done)
}

// NoTripwires makes the networks that are laid out from now on ones to measure:
// the kernel copies what passes a tripwire, which is not the gateway's affair.
func (l *Lab) NoTripwires() { l.bare = true }

// Name makes a name on the host from one in the lab; it is unique to this lab.
func (l *Lab) Name(name string) string { return l.prefix + "-" + name }

// Prefix begins every name that belongs to this lab.
func (l *Lab) Prefix() string { return l.prefix }

// Dir is where the lab's files are. It is removed with the lab, unless the test
// failed and WARREN_LAB_KEEP is set.
func (l *Lab) Dir() string { return l.dir }

// Path makes a path below Dir, with its folders.
func (l *Lab) Path(elem ...string) string {
	p := filepath.Join(append([]string{l.dir}, elem...)...)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		l.tb.Fatalf("lab: %v", err)
	}
	return p
}

// WriteFile writes text to the path that Path makes.
func (l *Lab) WriteFile(text string, elem ...string) string {
	l.tb.Helper()
	p := l.Path(elem...)
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		l.tb.Fatalf("lab: %v", err)
	}
	return p
}

// keepOrRemoveDir removes the files, unless somebody will want to read them.
func (l *Lab) keepOrRemoveDir() {
	if l.tb.Failed() && os.Getenv("WARREN_LAB_KEEP") != "" {
		l.tb.Logf("lab: logs and captures are kept in %s", l.dir)
		return
	}
	os.RemoveAll(l.dir)
}

// watchSignals closes the lab when the process is told to end.
func (l *Lab) watchSignals() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(c)
	select {
	case <-c:
		l.Close()
		os.Exit(130)
	case <-l.done:
	}
}

// Patience is how long a state may take to come that comes within moments on an idle
// machine: the processors may have ten times as much to do. Only a test that fails waits so
// long, and no wait for a state is shorter.
const Patience = time.Minute

// Eventually calls check until it gives nil; after the timeout, or Patience where that is
// longer, the test ends with check's last error.
func (l *Lab) Eventually(what string, timeout time.Duration, check func() error) {
	l.tb.Helper()
	timeout = max(timeout, Patience)
	if err := until(timeout, check); err != nil {
		l.tb.Fatalf("lab: %s: not within %v: %v", what, timeout, err)
	}
}

// until calls check every few milliseconds until it gives nil or time is up.
func until(timeout time.Duration, check func() error) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	end := time.Now().Add(timeout)
	for {
		err := check()
		if err == nil || time.Now().After(end) {
			return err
		}
		<-tick.C
	}
}

// failure is what ends the function of Run.
type failure struct{ error }

// runner is the TB of a program that is no test.
type runner struct {
	logf    func(string, ...any)
	failed  bool
	errs    []error
	cleanup []func()
}

func (r *runner) Helper()                         {}
func (r *runner) Logf(format string, args ...any) { r.logf(format, args...) }
func (r *runner) Failed() bool                    { return r.failed }
func (r *runner) Cleanup(f func())                { r.cleanup = append(r.cleanup, f) }
func (r *runner) Errorf(format string, args ...any) {
	r.failed = true
	r.errs = append(r.errs, fmt.Errorf(format, args...))
}
func (r *runner) Fatalf(format string, args ...any) {
	r.failed = true
	panic(failure{fmt.Errorf(format, args...)})
}

// ErrRoot tells that the lab cannot work without root.
var ErrRoot = errors.New("lab: network namespaces need root")

// Run gives f a lab outside a test, closes it, and returns what went wrong.
func Run(logf func(format string, args ...any), f func(*Lab) error) (err error) {
	if os.Geteuid() != 0 {
		return ErrRoot
	}
	r := &runner{logf: logf}
	defer func() {
		for i := len(r.cleanup) - 1; i >= 0; i-- {
			r.cleanup[i]()
		}
		err = errors.Join(err, errors.Join(r.errs...))
	}()
	defer func() {
		switch p := recover().(type) {
		case nil:
		case failure:
			err = p.error
		default:
			panic(p)
		}
	}()
	err = f(New(r))
	r.failed = err != nil
	return err
}
