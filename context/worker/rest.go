package worker

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
)

// The garbage collector of a worker has two paces. In a burst of set-ups, as after an
// outage, processor time is what is short, and the heap may grow to twice of what is in
// use. Otherwise there are thousands of workers and SAs that do little, and memory is
// short: a collection now and then costs a thousandth of a processor.
const (
	burstPercent = 100 // the heap may grow by this before it is collected
	calmPercent  = 25

	// calmAfter is for how many seconds in a row a worker allocates little before a
	// burst is over: longer than clients that all connect again pause.
	calmAfter = 3

	// calmShare is the part of the heap in use that may be allocated in a second
	// without a burst: peers that are asked whether they live need less.
	calmShare = 8

	// calmMost may be allocated in a second however small the heap is.
	calmMost = 256 << 10
)

// rest chooses the pace, and gives the memory that a burst has left behind back to the
// system. Its methods but run are called by one goroutine.
type rest struct {
	allocated uint64 // in the life of the program, when it was looked at last
	quiet     int    // seconds
	burst     bool
	ended     chan struct{} // a burst, to run
}

// newRest begins without a burst, and leaves the pace as it is until there was one: the
// first collection of a program needs more memory than it finds in a worker without SAs.
func newRest() *rest {
	r := &rest{ended: make(chan struct{}, 1)}
	r.allocated, _ = heap()
	return r
}

// heap returns how many bytes the program has allocated in its life, and how many were
// in use when the garbage was collected last.
func heap() (allocated, live uint64) {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64(), sample[1].Value.Uint64()
}

// tick is called every second, and reports whether a burst is over.
func (r *rest) tick() (over bool) {
	was := r.burst
	r.look(heap())
	switch {
	case r.burst && !was:
		debug.SetGCPercent(burstPercent)
	case was && !r.burst:
		debug.SetGCPercent(calmPercent)
		return true
	}
	return false
}

// giveBack has run give memory back.
func (r *rest) giveBack() {
	select {
	case r.ended <- struct{}{}:
	default: // it is at it
	}
}

// look takes what heap returns, and decides whether there is a burst.
func (r *rest) look(allocated, live uint64) {
	if allocated-r.allocated > max(calmMost, live/calmShare) {
		r.burst, r.quiet = true, 0
	} else if r.quiet++; r.quiet == calmAfter {
		r.burst = false
	}
	r.allocated = allocated
}

// run gives memory back after each burst, until ctx ends. A collection takes tens of
// milliseconds where there are thousands of SAs: the loop does not wait for it.
func (r *rest) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.ended:
			debug.FreeOSMemory()
		}
	}
}
