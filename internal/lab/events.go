package lab

import (
	"context"
	"slices"
	"time"

	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/client"
)

// Events follows what happens at a Warrend.
type Events struct {
	lab    *Lab
	events chan api.Event
	passed []api.Event // that nobody has waited for yet
}

// Events begins to follow what happens to a context, until the test ends.
func (w *Warrend) Events(name string) *Events {
	w.ns.lab.tb.Helper()
	l := w.ns.lab
	c := client.New(&client.Config{Socket: w.socket})
	ctx, cancel := context.WithCancel(context.Background()) // it ends with the test
	stream, err := c.Events(ctx, api.EventFilter{Context: name})
	if err != nil {
		cancel()
		l.tb.Fatalf("following events: %v", err)
	}
	e := &Events{lab: l, events: make(chan api.Event)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(e.events)
		for {
			event, err := stream.Next()
			if err != nil {
				return
			}
			select {
			case e.events <- event:
			case <-ctx.Done():
				return
			}
		}
	}()
	l.tb.Cleanup(func() {
		cancel()
		stream.Close()
		c.Close()
		<-done
	})
	return e
}

// Await returns the first event of a kind that it has not returned before. The test ends
// where there is none in time, or within Patience where that is longer.
func (e *Events) Await(kind string, within time.Duration) api.Event {
	within = max(within, Patience)
	e.lab.tb.Helper()
	is := func(event api.Event) bool { return event.Kind == kind }
	if i := slices.IndexFunc(e.passed, is); i >= 0 {
		event := e.passed[i]
		e.passed = slices.Delete(e.passed, i, i+1)
		return event
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	for {
		select {
		case event, more := <-e.events:
			if !more {
				e.lab.tb.Fatalf("the stream of events has ended, and %s has not come", kind)
			}
			if is(event) {
				return event
			}
			e.passed = append(e.passed, event)
		case <-ctx.Done():
			e.lab.tb.Fatalf("no event %s within %v", kind, within)
		}
	}
}
