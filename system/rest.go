package system

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	// restEvery is how often it is looked whether the supervisor is at rest.
	restEvery = time.Second
	// restQuiet is less than what is allocated in that time while something is done, and
	// more than what a thousand contexts need that nothing is done to, in bytes.
	restQuiet = 4 << 20
	// restWorth is what must have been allocated since the last time, in bytes.
	restWorth = 16 << 20
)

// startGarbage is how much garbage there may be while contexts begin, in percent of what is in
// use: little is yet, and to look for garbage again and again takes 7 % of the processor time.
const startGarbage = 300

// collectSeldom lets garbage gather up to startGarbage until end is called, once or more.
func collectSeldom() (end func()) {
	before := debug.SetGCPercent(startGarbage)
	if before < 0 || before > startGarbage { // somebody has asked for that with GOGC
		debug.SetGCPercent(before)
		return func() {}
	}
	return sync.OnceFunc(func() { debug.SetGCPercent(before) })
}

// rest decides when memory is given back to the machine: once after all that takes much
// for a moment. To build contexts, or read what is configured, takes several times as much as
// stays of it, and the runtime would keep most of that for a next time, which is far away.
type rest struct{ last, released uint64 }

// due tells whether it is time, of what the process has allocated in its life, in bytes.
func (r *rest) due(allocated uint64) bool {
	quiet := allocated-r.last < restQuiet
	r.last = allocated
	if !quiet || allocated-r.released < restWorth {
		return false
	}
	r.released = allocated
	return true
}

// giveBack gives memory back whenever that is due, until ctx ends.
func giveBack(ctx context.Context) {
	var r rest
	allocated := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	tick := time.NewTicker(restEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if metrics.Read(allocated); r.due(allocated[0].Value.Uint64()) {
				debug.FreeOSMemory()
			}
		}
	}
}
