package spawn

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/internal/backlog"
	"github.com/warrenvpn/warren/resource"
)

const (
	// lineBuffer is what is read at once, in bytes.
	lineBuffer = 4 << 10
	// longestLine is what is kept of a line, in bytes; the rest is lost.
	longestLine = 16 << 10
	// lineCost is how many bytes of a line count as another one.
	lineCost = 1 << 10
	// unlimitedLines is what passes in a second where the class sets no limit.
	unlimitedLines = 1000
	// savedUp is how many seconds' worth can be saved up.
	savedUp = 10
	// leastBurst lets the last words of a worker that panics pass.
	leastBurst = 256
	// queueBytes is what may wait to be written to the log, in bytes.
	queueBytes = 512 << 10
	// drainTime is what a dead worker's lines get to arrive, and then to be written.
	drainTime = 100 * time.Millisecond
)

// lines passes on what a worker writes to its standard error. The worker writes
// to a pipe, never to the log itself: it could truncate that, fill the disk, or
// write lines that look like somebody else's.
//
// What is an event is told (events.go), and becomes the record of the log that it is
// for users. What is itself a record of the log is written again with the tenant that
// it really comes from; all else, such as the trace of a panic, is quoted in a record of
// ours. Nothing passes that is not printable. A worker keeps to the bound of its
// class by itself; of one that was taken over twice as much passes, and the rest
// is counted. A log that stalls does not hold the worker up: what the queue has no
// room for is counted, too.
type lines struct {
	from *burstPipe
	done chan struct{} // closed when all has been written
	linesConfig
	bucket resource.Bucket
	out    records // for the log, not yet queued
	events *eventReader
	queue  *backlog.Queue[entry]
}

// entry is what one write to the log is made of: whole records, or the text of one
// line that is none.
type entry struct {
	records []byte
	count   int // of records
	text    string
}

// linesConfig says where lines go.
type linesConfig struct {
	tenant    string
	format    string       // of records: "text" or "json"
	perSecond int          // the limit of the class; 0: none
	to        io.Writer    // the log
	log       *slog.Logger // the same log, for records of ours; it carries the tenant
	tell      func(dropped int64)
	event     func(control.Event) // takes the worker's events; nil: nobody does
	// resumed says that somebody else has read from the same pipe before, and may
	// have got the first half of a line.
	resumed bool
}

// newLines returns lines that come from a pipe, which they take over.
func newLines(cfg linesConfig, from *burstPipe) *lines {
	rate := 2 * float64(cfg.perSecond)
	if cfg.perSecond == 0 {
		rate = unlimitedLines
	}
	l := &lines{
		from: from, done: make(chan struct{}), linesConfig: cfg, queue: backlog.NewQueue[entry](queueBytes),
		bucket: resource.Bucket{Rate: rate, Burst: max(savedUp*rate, leastBurst)},
	}
	l.events = newEventReader(&l.linesConfig, &l.out)
	return l
}

// start starts to pass lines on, until the worker's end is closed, or stop.
func (l *lines) start() {
	go l.read()
	go l.write()
}

// read queues what comes from the worker. It waits for nobody else.
func (l *lines) read() {
	defer l.queue.End()
	defer l.from.Close()
	b := bufio.NewReaderSize(l.from, lineBuffer)
	var long []byte // the beginning of a line that is longer than the buffer
	for {
		line, err := b.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			long = append(long, line[:min(len(line), longestLine-len(long))]...)
			continue
		}
		if len(long) > 0 {
			line = append(long, line[:min(len(line), longestLine-len(long))]...)
			long = nil
		}
		if len(line) > 0 {
			l.pass(time.Now(), line)
		}
		if err != nil {
			l.flush()
			return
		}
		// What has been read at once is queued at once.
		if rest, _ := b.Peek(b.Buffered()); bytes.IndexByte(rest, '\n') < 0 {
			l.flush()
		}
	}
}

// flush queues the records that have been passed.
func (l *lines) flush() {
	if l.out.count > 0 {
		l.queue.Add(entry{records: l.out.text, count: l.out.count}, len(l.out.text), int64(l.out.count))
		l.out = records{}
	}
}

// pass passes one line on, if there is room for it; flush queues it.
func (l *lines) pass(now time.Time, line []byte) {
	if !l.bucket.Take(now, float64(1+len(line)/lineCost)) {
		l.queue.Drop(1)
		return
	}
	if lost, ok := l.events.read(now, line); ok {
		l.resumed = false
		if lost > 0 {
			l.queue.Drop(lost)
		}
		return
	}
	var ok bool
	if l.out.text, ok = relabel(l.out.text, line, l.format, l.tenant); ok {
		l.resumed = false
		l.out.count++
		return
	}
	if l.resumed { // the rest of a line
		l.resumed = false
		l.queue.Drop(1)
		return
	}
	if text := printable(line); text != "" {
		l.flush()
		l.queue.Add(entry{text: text}, len(text), 1)
	}
}

// write writes to the log what is queued, and tells what was dropped.
func (l *lines) write() {
	defer close(l.done)
	for range l.queue.Wake() {
		for {
			e, ok, dropped, more := l.queue.Next(time.Now())
			if !more {
				return
			}
			switch {
			case !ok:
			case e.count > 0:
				l.to.Write(e.records) // where it cannot be written there is nobody to tell
			default:
				l.log.Warn("worker wrote outside its log", "text", e.text)
			}
			if dropped > 0 {
				l.tell(dropped)
			}
			if !ok && dropped == 0 {
				break
			}
		}
	}
}

// stop waits until all has been passed on that a dead worker has written, for twice
// drainTime at most. Somebody else may hold its end open, and the log may stall:
// then the rest is written when it goes on.
func (l *lines) stop() {
	l.from.SetReadDeadline(time.Now().Add(drainTime))
	most := time.NewTimer(2 * drainTime)
	defer most.Stop()
	select {
	case <-l.done:
	case <-most.C:
	}
}
