package netns

import (
	"testing"
	"time"
)

// TestPace: a change is looked at at once, one that goes on is too, and where somebody
// changes back what is mended less and less often, until there is peace.
func TestPace(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	p := pace{looked: now}
	want := func(what string, after time.Duration) {
		t.Helper()
		if got := p.due().Sub(now); got != after {
			t.Errorf("%s: due after %v, want %v", what, got, after)
		}
	}
	pass := func(d time.Duration) { now = now.Add(d) }
	want("nothing has happened", lookEvery)
	p.change(now)
	want("a change", lookQuiet)
	for range 8 {
		pass(40 * time.Millisecond)
		p.change(now)
	}
	if got := p.due(); got.After(now) {
		t.Errorf("changes without end: due after %v", got.Sub(now))
	}
	p.look(now, false, false)
	want("nothing was wrong", lookEvery)
	p.look(now, false, true)
	want("something cannot be mended", lookAgain)

	var rests []time.Duration
	for range 12 {
		p.change(now)
		pass(p.due().Sub(now))
		p.look(now, true, false)
		p.change(now) // and somebody has it changed back
		rests = append(rests, p.due().Sub(now))
	}
	if rests[0] != mendFirst || rests[1] != 2*mendFirst || rests[11] != mendMost {
		t.Errorf("rests %v", rests)
	}
	if !p.contested() {
		t.Error("nobody notices that somebody fights")
	}
	looks := 0
	for began := now; p.contested() && now.Sub(began) < time.Hour; looks++ {
		pass(p.due().Sub(now))
		p.look(now, false, false)
	}
	if p.contested() || looks > 20 {
		t.Errorf("after %d looks without a change: contested %v", looks, p.contested())
	}
	want("peace", lookEvery)
	p.change(now)
	want("a change after peace", lookQuiet)
}
