package worker

import (
	"fmt"
	"time"

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

// messagesAtOnce bounds the messages of the twin that are taken in a row: others
// wait for the loop, too.
const messagesAtOnce = 64

// expect waits for the acknowledgement of all there is, if it does not wait yet
// and there is any.
func (t *twin) expect() {
	if t.session == nil || !t.active || t.settled() {
		t.watch.Stop()
		t.limit = 0
		return
	}
	limit := catchUpTimeout
	if t.sender.InStep() {
		limit = ackTimeout
	}
	if limit != t.limit {
		t.limit, t.target = limit, t.sender.Next()-1
		t.watch.Reset(limit)
	}
}

// settled reports whether the twin has everything.
func (t *twin) settled() bool {
	return t.sender.InStep() && t.sender.Acked() >= t.sender.Next()-1
}

// overdue ends a session whose twin has not acknowledged what expect waited for.
func (t *twin) overdue(w *Worker) {
	limit := t.limit
	t.limit = 0
	// A snapshot that is still leaving is not overdue: a twin that does not read
	// it is found by the session itself.
	if t.session == nil || !t.active || limit == 0 || t.sender.Bulk() || t.sender.Acked() >= t.target {
		t.expect()
		return
	}
	w.log.Warn("session with the twin ended", "reason", "no acknowledgement", "limit", limit)
	t.detach(w, fmt.Sprintf("the twin acknowledged nothing for %v", limit))
}
