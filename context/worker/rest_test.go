package worker

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"testing"
	"time"
)

// TestBurstEnds: a burst is over when little was allocated for some seconds in a row; how much is little
// depends on the heap.
func TestBurstEnds(t *testing.T) {
	const much, live = 8 << 20, 4 << 20
	r, allocated := new(rest), uint64(0)
	step := func(bytes, live uint64, want bool) {
		t.Helper()
		allocated += bytes
		if r.look(allocated, live); r.burst != want {
			t.Fatalf("%d bytes beside %d in use: burst %v, want %v", bytes, live, r.burst, want)
		}
	}
	step(calmMost, 0, false)
	step(much, live, true)
	for range calmAfter - 1 {
		step(0, live, true)
	}
	step(much, live, true) // it went on
	for range calmAfter - 1 {
		step(live/calmShare, live, true)
	}
	for range 100 {
		step(live/calmShare, live, false)
	}
	step(much, calmShare*much, false)
	step(much, live, true)
}

// TestMemoryIsGivenBack: when a burst is over, what is garbage leaves the process, and the garbage
// collector goes at its calm pace.
func TestMemoryIsGivenBack(t *testing.T) {
	const size = 64 << 20
	released := func() uint64 {
		s := []metrics.Sample{{Name: "/memory/classes/heap/released:bytes"}}
		metrics.Read(s)
		return s[0].Value.Uint64()
	}
	r := newRest()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { r.run(ctx) })
	defer running.Wait()
	defer cancel()

	r.tick()
	var pieces [][]byte
	for range size >> 12 {
		pieces = append(pieces, make([]byte, 1<<12))
	}
	r.tick()
	if !r.burst {
		t.Fatal("no burst")
	}
	if got := debug.SetGCPercent(burstPercent); got != burstPercent {
		t.Errorf("the heap may grow by %d %% in a burst", got)
	}
	before := released()
	clear(pieces)
	for limit := time.Now().Add(time.Minute); released() < before+size/2; {
		if r.tick() {
			r.giveBack()
		}
		if time.Now().After(limit) {
			t.Fatalf("%d of %d bytes were given back", released()-before, size)
		}
		time.Sleep(time.Millisecond)
	}
	if got := debug.SetGCPercent(calmPercent); got != calmPercent {
		t.Errorf("the heap may grow by %d %% behind a burst", got)
	}
}
