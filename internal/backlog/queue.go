// Package backlog keeps a log that stalls, such as a pipe that nobody reads, from holding
// up who writes to it: what is to be written waits in a bounded queue, and what has no room
// there is counted and told of when the log goes on. It is a leaf, and knows nothing of
// what is written.
package backlog

import (
	"sync"
	"time"

	"github.com/warrenvpn/warren/resource"
)

// entryCost is what an entry counts beside its size, in bytes.
const entryCost = 32

// Queue is what waits to be written to a log. Its methods may be called from several
// goroutines, and wait for nobody.
type Queue[E any] struct {
	wake chan struct{} // holds one token while there may be something to do
	room int

	mu      sync.Mutex // protects what follows
	entries []waiting[E]
	bytes   int
	dropped int64 // lines in all, also those that never came here
	told    int64 // of these
	notice  resource.Notice
	ended   bool // nothing more comes
}

// waiting is an entry with what it counts, in bytes.
type waiting[E any] struct {
	entry E
	cost  int
}

// NewQueue returns a queue in which entries of so many bytes may wait.
func NewQueue[E any](room int) *Queue[E] {
	return &Queue[E]{wake: make(chan struct{}, 1), room: room}
}

// Wake returns a channel from which something is to be received while Next may have
// something new.
func (q *Queue[E]) Wake() <-chan struct{} { return q.wake }

// Add queues an entry of size bytes, or counts its lines as dropped where there is no
// room. The queue owns the entry from then on.
func (q *Queue[E]) Add(e E, size int, lines int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if cost := size + entryCost; q.bytes+cost > q.room {
		q.dropped += lines
	} else {
		q.entries, q.bytes = append(q.entries, waiting[E]{e, cost}), q.bytes+cost
	}
	q.signal()
}

// Drop counts lines that are not to be written.
func (q *Queue[E]) Drop(lines int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.dropped += lines
	q.signal()
}

// End says that nothing more comes.
func (q *Queue[E]) End() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	q.signal()
}

// Ended reports whether End was called.
func (q *Queue[E]) Ended() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.ended
}

func (q *Queue[E]) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Next returns the entry that is the writer's turn, where ok is true, and how many
// dropped lines are to be told of behind it: at once, then once a minute, and the last
// ones at the end. Where more is false there will be nothing else.
func (q *Queue[E]) Next(now time.Time) (e E, ok bool, dropped int64, more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if ok = len(q.entries) > 0; ok {
		first := q.entries[0]
		e, q.entries[0], q.entries = first.entry, waiting[E]{}, q.entries[1:]
		q.bytes -= first.cost
	} else {
		q.entries = nil
	}
	if dropped, _ = q.notice.Due(now, q.dropped); !ok && q.ended {
		dropped = q.dropped - q.told // there is no later notice
	}
	q.told += dropped
	return e, ok, dropped, ok || dropped > 0 || !q.ended
}
