package replica

import (
	"fmt"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/failover/link"
)

// A twin whose process lives and whose loop does not keeps the session up with
// keepalives, and acknowledges nothing. Two bounds end such a session, so that
// neither the answers of the tenant nor its sequence numbers wait for it.
const (
	// ackTimeout is how long a twin in step may take for an acknowledgement. No
	// answer is held for more than twice as long.
	ackTimeout = link.DefaultIdle
	// catchUpTimeout is how long one that is not in step may make no progress:
	// taking a snapshot of many thousand SAs in takes seconds.
	catchUpTimeout = 10 * time.Second
)

// expect waits for the acknowledgement of all there is, if it does not wait yet
// and there is any.
func (a *active) expect() {
	if a.twin.session == nil || a.settled() {
		a.twin.ack.Stop()
		a.limit = 0
		return
	}
	limit := catchUpTimeout
	if a.sender.InStep() {
		limit = ackTimeout
	}
	if limit != a.limit {
		a.limit, a.target = limit, a.sender.Next()-1
		a.twin.ack.Reset(limit)
	}
}

// settled reports whether the twin has everything.
func (a *active) settled() bool {
	return a.sender.InStep() && a.sender.Acked() >= a.sender.Next()-1
}

// overdue ends a session whose twin has not acknowledged what expect waited for.
func (a *active) overdue() {
	limit := a.limit
	a.limit = 0
	// A snapshot that is still leaving is not overdue: a twin that does not read
	// it is found by the session itself.
	if a.twin.session == nil || limit == 0 || a.sender.Bulk() || a.sender.Acked() >= a.target {
		a.expect()
		return
	}
	a.store.tell(&control.TwinLost{Reason: "no acknowledgement", Limit: limit})
	a.detach(fmt.Sprintf("the twin acknowledged nothing for %v", limit))
}
