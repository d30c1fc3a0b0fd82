// Package events is the stream of what happens in the system and in its contexts: events
// of workers (context/control) and of the supervisor itself, in one order, for whoever
// reads. It does no I/O but that of the log which it is given.
//
// Nobody who tells something waits for a reader: each has a bounded queue of its own, and
// what has no room there is missed, counted, and told to that reader. Without readers an
// event costs next to nothing.
package events

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/eventlog"
)

const (
	// maxReaders bounds those who read the stream at the same time.
	maxReaders = 32
	// queueSize bounds what waits for one reader, in events: those of a second in which
	// some hundred clients connect.
	queueSize = 1024
)

// ErrTooMany is the error for one reader more than there may be.
var ErrTooMany = errors.New("events: too many read the stream of events already")

// Event is one event of the stream.
type Event struct {
	control.Event
	Context string // the context that it is about; "": the system
}

// Hub takes events and hands them to the readers. A nil Hub has none. Its methods may be
// called from several goroutines at once, and none of them blocks.
type Hub struct {
	reading atomic.Int32 // how many readers there are

	mu      sync.Mutex // protects readers, and what of each belongs to the hub
	readers []*Reader
}

// New returns a Hub without readers.
func New() *Hub { return &Hub{} }

// Publish hands an event to those who read. Nobody changes its Fact any more.
func (h *Hub) Publish(e Event) {
	if h == nil || h.reading.Load() == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.readers {
		r.offer(e)
	}
}

// Worker returns what takes the events of the worker of a context: a
// spawn.Config.Event.
func (h *Hub) Worker(name string) func(control.Event) {
	return func(e control.Event) { h.Publish(Event{Event: e, Context: name}) }
}

// Tell tells what has happened now: as a line of log, and to those who read the stream.
// name is the context that it is about, which log carries; "": the system.
func (h *Hub) Tell(log *slog.Logger, name string, f control.Fact) {
	e := control.Event{Time: time.Now(), Fact: f}
	_, _ = eventlog.Write(log.Handler(), &e) // a log that fails cannot be told
	h.Publish(Event{Event: e, Context: name})
}

// Filter says which events a reader gets.
type Filter struct {
	Context string   // those of this context; "": all
	Kinds   []string // those of these kinds (control.About); none: all
}

// passes reports whether a reader with the filter gets an event.
func (f *Filter) passes(e *Event) bool {
	return (f.Context == "" || f.Context == e.Context) &&
		(len(f.Kinds) == 0 || slices.Contains(f.Kinds, e.Fact.About().Kind))
}

// Reader reads the stream from the moment on in which it was made. One goroutine may use
// it.
type Reader struct {
	hub    *Hub
	filter Filter
	wake   chan struct{} // holds one token while there may be something

	queue  []Event // guarded by hub.mu, as what follows
	missed uint64  // events that had no room, behind those in queue
}

// Read returns a Reader. Close must be called. The error is ErrTooMany.
func (h *Hub) Read(f Filter) (*Reader, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.readers) >= maxReaders {
		return nil, ErrTooMany
	}
	r := &Reader{hub: h, filter: f, wake: make(chan struct{}, 1)}
	h.readers = append(h.readers, r)
	h.reading.Store(int32(len(h.readers)))
	return r, nil
}

// Close ends the reading.
func (r *Reader) Close() {
	h := r.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	h.readers = slices.DeleteFunc(h.readers, func(x *Reader) bool { return x == r })
	h.reading.Store(int32(len(h.readers)))
}

// offer puts an event in, if there is room. Those that are missed are told as one event,
// as soon as there is room again.
func (r *Reader) offer(e Event) {
	switch {
	case !r.filter.passes(&e):
		return
	case len(r.queue) >= queueSize:
		r.missed++
	default:
		r.tellMissed()
		r.queue = append(r.queue, e)
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// tellMissed puts in how many events were missed.
func (r *Reader) tellMissed() {
	if r.missed > 0 {
		missed := control.Event{Time: time.Now(), Fact: &Missed{Count: r.missed}}
		r.queue, r.missed = append(r.queue, Event{Event: missed}), 0
	}
}

// Next waits for events and returns those that there are, in their order; the error is
// that of ctx.
func (r *Reader) Next(ctx context.Context) ([]Event, error) {
	for {
		if list := r.take(); len(list) > 0 {
			return list, nil
		}
		select {
		case <-r.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// take empties the queue.
func (r *Reader) take() []Event {
	r.hub.mu.Lock()
	defer r.hub.mu.Unlock()
	r.tellMissed()
	list := r.queue
	r.queue = nil
	return list
}
