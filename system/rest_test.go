package system

import "testing"

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
