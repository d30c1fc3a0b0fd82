package worker

import (
	"fmt"
	"time"

	"github.com/warrenvpn/warren/failover/journal"
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

// expect begins to wait for the acknowledgement of all there is, unless one is
// waited for already.
func (t *twin) expect() {
	if t.watching || t.session == nil || !t.active || t.settled() {
		return
	}
	t.watching, t.target = true, t.sender.Next()-1
	if t.sender.InStep() {
		t.watch.Reset(ackTimeout)
	} else {
		t.watch.Reset(catchUpTimeout)
	}
}

// settled reports whether the twin has everything.
func (t *twin) settled() bool {
	return t.sender.InStep() && t.sender.Acked() >= t.sender.Next()-1
}

// overdue ends a session whose twin has not acknowledged what expect waited for.
func (t *twin) overdue(w *Worker, waited journal.Position) {
	t.watching = false
	if t.session == nil || !t.active {
		return
	}
	// A snapshot that is still leaving is not overdue: a twin that does not read
	// it is found by the session itself.
	if !t.sender.Bulk() && t.sender.Acked() < waited {
		limit := catchUpTimeout
		if t.sender.InStep() {
			limit = ackTimeout
		}
		w.log.Warn("session with the twin ended", "reason", "no acknowledgement", "limit", limit)
		t.detach(w, fmt.Sprintf("the twin acknowledged nothing for %v", limit))
		return
	}
	t.expect()
}
