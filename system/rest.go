package system

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
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
