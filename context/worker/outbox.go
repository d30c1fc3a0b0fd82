package worker

import (
	"io"
	"sync"
	"time"

	"github.com/warrenvpn/warren/context/control"
)

const (
	// outboxSize bounds what waits to be written to the supervisor, in bytes: the
	// events of some hundred set-ups, beside the 64 KiB that the pipe itself holds.
	outboxSize = 64 << 10
	// outboxKept is the largest buffer that is kept for later.
	outboxKept = 8 << 10
	// outboxPause is how long more is waited for behind what has been written, so that
	// events which come in a burst are written together.
	outboxPause = 5 * time.Millisecond
	// outboxEnd bounds how long the end of a worker waits for its last words to be
	// written.
	outboxEnd = 100 * time.Millisecond
)

// outbox is what a worker has to say, on its way to the pipe that the supervisor
// reads: events and lines of text, in their order. Nobody who puts something in waits
// for the pipe. What has no room is dropped and counted, and the count is told as soon
// as there is room again. Its methods may be called by any goroutine.
type outbox struct {
	to   io.Writer
	wake chan struct{} // holds one token while there may be something to write
	stop chan struct{} // closed by end
	done chan struct{} // closed when nothing is written any more

	mu      sync.Mutex // protects what follows
	waiting []byte     // whole lines
	spare   []byte
	events  control.Events
	lost    uint64 // events and lines that had no room, and are not told yet
}

// newOutbox returns an outbox that writes to the pipe until end is called.
func newOutbox(to io.Writer) *outbox {
	o := &outbox{to: to, wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	go o.run()
	return o
}

// event puts in an event. It is a Config.Tell.
func (o *outbox) event(e control.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before := len(o.waiting)
	o.waiting = o.events.Append(o.waiting, &e)
	o.settle(before)
}

// Write implements io.Writer for a log, which writes one line at a time. It never
// fails.
func (o *outbox) Write(line []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before := len(o.waiting)
	o.waiting = append(o.waiting, line...)
	o.settle(before)
	return len(line), nil
}

// settle keeps what was put in behind before, or drops and counts it.
func (o *outbox) settle(before int) {
	if len(o.waiting) > outboxSize {
		o.waiting = o.waiting[:before]
		o.lost++
	}
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// run writes what waits.
func (o *outbox) run() {
	defer close(o.done)
	pause := time.NewTimer(outboxPause)
	defer pause.Stop()
	for {
		select {
		case <-o.wake:
			o.write()
		case <-o.stop:
			o.write()
			return
		}
		pause.Reset(outboxPause)
		select {
		case <-pause.C:
		case <-o.stop:
		}
	}
}

// write writes until nothing waits.
func (o *outbox) write() {
	for {
		b := o.take()
		if len(b) == 0 {
			return
		}
		_, _ = o.to.Write(b) // who does not read is not told
	}
}

// take returns what waits, with what was lost behind it. It is valid until the next
// call.
func (o *outbox) take() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	if cap(o.spare) > outboxKept {
		o.spare = nil
	}
	b := o.waiting
	if o.lost > 0 {
		b = o.events.Append(b, &control.Event{Time: time.Now(), Fact: &control.EventsLost{Count: o.lost}})
		o.lost = 0
	}
	o.waiting, o.spare = o.spare[:0], b
	return b
}

// end writes what waits and ends the outbox; a pipe that takes nothing is given up.
func (o *outbox) end() {
	close(o.stop)
	most := time.NewTimer(outboxEnd)
	defer most.Stop()
	select {
	case <-o.done:
	case <-most.C:
	}
}
