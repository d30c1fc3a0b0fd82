package spawn

import (
	"bufio"
	"errors"
	"io"
	"os"
	"time"

	"github.com/warrenvpn/warren/resource"
)

const (
	// longestLine is what is passed on at once, in bytes.
	longestLine = 8 << 10
	// leastBurst lets the last words of a worker that panics pass.
	leastBurst = 256
	// drainTime is what a dead worker's lines get to arrive.
	drainTime = 100 * time.Millisecond
)

// lines passes on what a worker logs, within a bound. A worker keeps to the bound
// of its class by itself; one that was taken over does not, and must not fill
// everybody's disk. So twice as much passes here, and the rest is counted.
type lines struct {
	from   *os.File
	to     io.Writer
	tell   func(dropped int64) // at most once a minute
	done   chan struct{}
	bucket resource.Bucket
}

// newLines returns lines, and what the worker writes to.
func newLines(to io.Writer, perSecond int, tell func(int64)) (*lines, *os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	rate := 2 * float64(perSecond)
	return &lines{
		from: r, to: to, tell: tell, done: make(chan struct{}),
		bucket: resource.Bucket{Rate: rate, Burst: max(rate, leastBurst)},
	}, w, nil
}

// run passes lines on until the worker's end is closed, or stop.
func (l *lines) run() {
	defer close(l.done)
	defer l.from.Close()
	b := bufio.NewReaderSize(l.from, longestLine)
	var dropped int64
	var notice resource.Notice
	for {
		line, err := b.ReadSlice('\n')
		switch {
		case len(line) == 0:
		case l.bucket.Take(time.Now(), 1):
			l.to.Write(line) // where it cannot be written there is nobody to tell
		default:
			dropped++
			if count, due := notice.Due(time.Now(), dropped); due {
				l.tell(count)
			}
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

// stop waits until all has been passed on that a dead worker has written.
// Somebody else may hold its end open.
func (l *lines) stop() {
	if l == nil {
		return
	}
	l.from.SetReadDeadline(time.Now().Add(drainTime)) // an error means that it is closed
	<-l.done
}
