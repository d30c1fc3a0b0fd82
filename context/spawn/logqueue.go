package spawn

import (
	"sync"
	"time"

	"github.com/warrenvpn/warren/resource"
)

const (
	// queueBytes is what may wait to be written to the log, in bytes.
	queueBytes = 512 << 10
	// entryCost is what an entry counts beside its bytes.
	entryCost = 32
)

// entry is what one write to the log is made of: whole records, or the text of one
// line that is none.
type entry struct {
	records []byte
	count   int // of records
	text    string
}

// logQueue is what waits to be written to the log, so that a log that stalls holds
// up nobody but its writer. Its methods may be called from several goroutines.
type logQueue struct {
	wake chan struct{} // holds one token while there may be something to do

	mu      sync.Mutex // protects what follows
	entries []entry
	bytes   int
	dropped int64 // lines in all, also those that never came here
	told    int64 // of these
	notice  resource.Notice
	ended   bool // nothing more comes
}

func newLogQueue() *logQueue { return &logQueue{wake: make(chan struct{}, 1)} }

// add queues an entry, or counts its lines as dropped where there is no room. It
// owns the entry's records from then on.
func (q *logQueue) add(e entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	cost := len(e.records) + len(e.text) + entryCost
	if q.bytes+cost > queueBytes {
		q.dropped += int64(max(e.count, 1))
	} else {
		q.entries, q.bytes = append(q.entries, e), q.bytes+cost
	}
	q.signal()
}

// drop counts lines that are not to be written.
func (q *logQueue) drop(lines int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.dropped += lines
	q.signal()
}

// end says that nothing more comes.
func (q *logQueue) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	q.signal()
}

func (q *logQueue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// next returns the entry that is the writer's turn, nil for none, and how many
// dropped lines are to be told of behind it. Where more is false there will be
// nothing else.
func (q *logQueue) next(now time.Time) (e *entry, dropped int64, more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.entries) > 0 {
		first := q.entries[0]
		e, q.entries[0], q.entries = &first, entry{}, q.entries[1:]
		q.bytes -= len(e.records) + len(e.text) + entryCost
	} else {
		q.entries = nil
	}
	if dropped, _ = q.notice.Due(now, q.dropped); e == nil && q.ended {
		dropped = q.dropped - q.told // there is no later notice
	}
	q.told += dropped
	return e, dropped, e != nil || dropped > 0 || !q.ended
}
