package netns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// TestAttempt: what the Gateway does of its own accord goes through Attempt. One
// who is told and panics ends one watch, and the next one tells again.
func TestAttempt(t *testing.T) {
	h := scratch(t)
	errs := make(chan error, 100)
	cfg := &Config{
		Host: h, Namespace: fmt.Sprintf("wt-blue-%d", os.Getpid()), Record: filepath.Join(t.TempDir(), "blue.json"),
		Devices: devices(), Tenant: tenant(),
		Attempt: func(do func() error) (err error) {
			defer func() {
				if p := recover(); p != nil {
					err = fmt.Errorf("panic: %v", p)
				}
				errs <- err
			}()
			return do()
		},
	}
	t.Cleanup(func() { unmountName(cfg.Namespace) })
	g, err := Build(cfg)
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan struct{}, 100)
	var calls atomic.Int32 // the first one may be beside another
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		g.WatchLinks(t.Context(), func() {
			if calls.Add(1) == 2 {
				panic("the second")
			}
			told <- struct{}{}
		})
	}()
	limit := time.After(patience)
	next := func(what string, c <-chan struct{}) {
		t.Helper()
		select {
		case <-c:
		case <-limit:
			t.Fatal(what)
		}
	}
	next("not told at once", told)
	inside(t, h.ns, "ip link set p-out down; ip link set p-out up")
	next("not told any more after a panic", told)
	var got error
	for len(errs) > 0 {
		got = errors.Join(got, <-errs)
	}
	if got == nil || got.Error() != "panic: the second" {
		t.Errorf("got %v, want the panic alone", got)
	}
	if err := g.Remove(); err != nil {
		t.Error(err)
	}
	next("the watch goes on when the Gateway is gone", watched)
}
