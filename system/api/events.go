package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// kindParam are the kinds of events, joined with commas: "ike_up,ike_down".
const kindParam = "kind"

// streamTimeout ends a stream of events that nobody has ended.
const streamTimeout = 30 * 24 * time.Hour

// Event is one line of the stream of events.
type Event struct {
	Time    time.Time `json:"time"`
	Context string    `json:"context,omitempty"` // that it is about; "": the system
	Kind    string    `json:"kind"`              // "ike_up"; docs/events.md lists them
	Level   string    `json:"level"`             // "debug", "info", "warn" or "error"
	Message string    `json:"message,omitempty"` // of its line in the log; "": it has none
	// Fields are what is particular, by the keys of the log.
	Fields map[string]any `json:"fields"`
}

// EventFilter says which events a reader gets.
type EventFilter struct {
	Context string   // those of this context; "": all
	Kinds   []string // those of these kinds; none: all
}

// EventReader reads the stream of events. One goroutine uses it.
type EventReader interface {
	// Next waits for events and returns them; the error is that of ctx.
	Next(ctx context.Context) ([]Event, error)
	Close()
}

// Streams is the part of a Backend that tells what happens.
type Streams interface {
	// Events begins to read the stream of events. NoContext when there is no such
	// context, Invalid when there is no such kind, Refused when too many read.
	Events(which EventFilter) (EventReader, error)
}

// runningKey is where a request's context holds that of the server's life.
type runningKey struct{}

// events answers with events as they come, one JSON object a line, until the caller goes
// away or the server stops.
func (s *Server) events(t *transfer, r *http.Request) error {
	q := r.URL.Query()
	which := EventFilter{Context: q.Get(contextParam)}
	if kinds := q.Get(kindParam); kinds != "" {
		which.Kinds = strings.Split(kinds, ",")
	}
	stream, err := s.cfg.Backend.Events(which)
	if err != nil {
		return err
	}
	defer stream.Close()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	if running, ok := r.Context().Value(runningKey{}).(context.Context); ok {
		defer context.AfterFunc(running, cancel)()
	}
	t.begin(eventsType, -1)
	for {
		t.control.Flush()
		list, err := stream.Next(ctx)
		if err != nil {
			return nil
		}
		var b []byte
		for _, e := range list {
			text, err := json.Marshal(e)
			if err != nil {
				panic("api: internal error: " + err.Error())
			}
			b = append(append(b, text...), '\n')
		}
		if _, err := t.Write(b); err != nil {
			return nil // the caller has gone, or does not read
		}
	}
}
