package system

import (
	"runtime/debug"
	"testing"
)

// TestRest: memory is given back once after a burst, when it is over, and now and then of
// what is allocated at rest.
func TestRest(t *testing.T) {
	var r rest
	var allocated uint64
	for i, step := range []struct {
		grows uint64
		want  bool
	}{
		{restQuiet / 2, false}, // not worth it
		{10 * restWorth, false}, {restQuiet, false}, {restQuiet - 1, true}, {0, false}, {0, false},
		{restWorth - 1, false}, {0, false}, {1, true},
		{restQuiet / 2, false}, {restQuiet / 2, false}, {restQuiet / 2, false}, {restQuiet / 2, false},
		{restQuiet / 2, false}, {restQuiet / 2, false}, {restQuiet / 2, false}, {restQuiet / 2, true},
	} {
		allocated += step.grows
		if got := r.due(allocated); got != step.want {
			t.Errorf("step %d: %v, want %v", i, got, step.want)
		}
	}
}

// TestCollectSeldom: what is in force before is in force again, and a larger share that
// somebody has asked for stays.
func TestCollectSeldom(t *testing.T) {
	now := func() int {
		p := debug.SetGCPercent(100)
		debug.SetGCPercent(p)
		return p
	}
	defer debug.SetGCPercent(now())
	for _, tt := range []struct{ before, meanwhile int }{
		{100, startGarbage}, {20, startGarbage}, {2 * startGarbage, 2 * startGarbage}, {-1, -1},
	} {
		debug.SetGCPercent(tt.before)
		end := collectSeldom()
		if got := now(); got != tt.meanwhile {
			t.Errorf("%d became %d, want %d", tt.before, got, tt.meanwhile)
		}
		end()
		end()
		if got := now(); got != tt.before {
			t.Errorf("%d is %d afterwards", tt.before, got)
		}
	}
}
