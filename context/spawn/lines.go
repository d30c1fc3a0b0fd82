package spawn

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"log/slog"
	"os"
	"time"

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
	// drainTime is what a dead worker's lines get to arrive.
	drainTime = 100 * time.Millisecond
)

// lines passes on what a worker writes to its standard error. The worker writes
// to a pipe, never to the log itself: it could truncate that, fill the disk, or
// write lines that look like somebody else's.
//
// What is a record of the log is written again with the tenant that it really
// comes from; all else, such as the trace of a panic, is quoted in a record of
// ours. Nothing passes that is not printable. A worker keeps to the bound of its
// class by itself; of one that was taken over twice as much passes, and the rest
// is counted.
type lines struct {
	from *os.File
	done chan struct{}
	linesConfig
	out     []byte // records for the log, not yet written
	bucket  resource.Bucket
	dropped int64
	notice  resource.Notice
}

// linesConfig says where lines go.
type linesConfig struct {
	tenant    string
	format    string       // of records: "text" or "json"
	perSecond int          // the limit of the class; 0: none
	to        io.Writer    // the log
	log       *slog.Logger // the same log, for records of ours; it carries the tenant
	tell      func(dropped int64)
}

// newLines returns lines, and what the worker writes to.
func newLines(cfg linesConfig) (*lines, *os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	rate := 2 * float64(cfg.perSecond)
	if cfg.perSecond == 0 {
		rate = unlimitedLines
	}
	return &lines{
		from: r, done: make(chan struct{}), linesConfig: cfg,
		bucket: resource.Bucket{Rate: rate, Burst: max(savedUp*rate, leastBurst)},
	}, w, nil
}

// run passes lines on until the worker's end is closed, or stop.
func (l *lines) run() {
	defer close(l.done)
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
		// What has been read at once is written at once.
		if rest, _ := b.Peek(b.Buffered()); bytes.IndexByte(rest, '\n') < 0 {
			l.flush()
		}
	}
}

// flush writes to the log what has been passed.
func (l *lines) flush() {
	if len(l.out) > 0 {
		l.to.Write(l.out) // where it cannot be written there is nobody to tell
		l.out = nil
	}
}

// pass passes one line on, if there is room for it; flush writes it.
func (l *lines) pass(now time.Time, line []byte) {
	if !l.bucket.Take(now, float64(1+len(line)/lineCost)) {
		l.dropped++
		if count, due := l.notice.Due(now, l.dropped); due {
			l.flush()
			l.tell(count)
		}
		return
	}
	var ok bool
	if l.out, ok = relabel(l.out, line, l.format, l.tenant); ok {
		return
	}
	if text := printable(line); text != "" {
		l.flush()
		l.log.Warn("worker wrote outside its log", "text", text)
	}
}

// stop waits until all has been passed on that a dead worker has written.
// Somebody else may hold its end open.
func (l *lines) stop() {
	l.from.SetReadDeadline(time.Now().Add(drainTime)) // an error means that it is closed
	<-l.done
}
