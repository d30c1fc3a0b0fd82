package backlog

import (
	"bytes"
	"io"
	"time"
)

// Writer writes to a log from a goroutine of its own, so that Write waits for nobody.
type Writer struct {
	queue *Queue[[]byte]
	done  chan struct{} // closed when all has been written
}

// Config describes a Writer.
type Config struct {
	To   io.Writer // the log
	Room int       // what may wait to be written, in bytes
	// Tell is called from the goroutine that writes to To, when lines had no room: with
	// how many. It may write to To, and not to the Writer.
	Tell func(dropped int64)
}

// Start returns a Writer, which is to be closed in the end.
func Start(cfg *Config) *Writer {
	w := &Writer{queue: NewQueue[[]byte](cfg.Room), done: make(chan struct{})}
	go w.write(cfg.To, cfg.Tell)
	return w
}

// Write takes a record of the log, of one line or several. It copies it, and has no
// error: where the record cannot be written there is nobody to tell.
func (w *Writer) Write(record []byte) (int, error) {
	w.queue.Add(bytes.Clone(record), len(record), 1)
	return len(record), nil
}

// Close waits until all is written that was taken, no longer than limit: a log may
// stall for ever. What is taken afterwards is lost. It reports whether all is written.
func (w *Writer) Close(limit time.Duration) bool {
	w.queue.End()
	most := time.NewTimer(limit)
	defer most.Stop()
	select {
	case <-w.done:
		return true
	case <-most.C:
		return false
	}
}

func (w *Writer) write(to io.Writer, tell func(int64)) {
	defer close(w.done)
	for range w.queue.Wake() {
		for {
			record, ok, dropped, more := w.queue.Next(time.Now())
			if !more {
				return
			}
			if ok {
				to.Write(record)
			}
			if dropped > 0 {
				tell(dropped)
			}
			if !ok && dropped == 0 {
				break
			}
		}
	}
}
