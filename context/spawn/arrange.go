package spawn

import (
	"errors"
	"time"

	"github.com/warrenvpn/warren/internal/guard"
	"github.com/warrenvpn/warren/resource"
)

// The kernel changes addresses and routes of all namespaces under one lock. A
// worker may ask for all that it can have at once, and then for so many changes
// per second.
const (
	arrangeRate  = 1000
	arrangeBurst = 100_000
)

// errHasty is the answer to a worker that asks for changes without end.
var errHasty = errors.New("spawn: too many changes of addresses and routes within a second")

func newArrangements() resource.Bucket {
	return resource.Bucket{Rate: arrangeRate, Burst: arrangeBurst}
}

// arrange does what a worker asks of the network, so many changes, within the
// bound.
func (w *Worker) arrange(changes int, do func() error) error {
	w.mu.Lock()
	ok := w.arrangements.Take(time.Now(), float64(changes))
	w.mu.Unlock()
	if !ok {
		return errHasty
	}
	// The goroutine that hears the worker would keep the stack of the netlink library.
	return guard.Apart(w.cfg.Log, "what a worker asks of its network", do)
}
