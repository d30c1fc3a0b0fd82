package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/system/fault"
)

// happening is a backend with one stream of events, which a test feeds.
type happening struct {
	backend
	asked  EventFilter
	refuse error
	feed   chan []Event
	closed chan struct{}
}

func (b *happening) Events(which EventFilter) (EventReader, error) {
	b.asked = which
	return b, b.refuse
}

func (b *happening) Next(ctx context.Context) ([]Event, error) {
	select {
	case list := <-b.feed:
		return list, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (b *happening) Close() { close(b.closed) }

// TestEvents: events come one a line as they happen; the stream ends when its reader goes
// away, and when the server stops, at once.
func TestEvents(t *testing.T) {
	b := &happening{feed: make(chan []Event)}
	s, err := New(&Config{Socket: filepath.Join(t.TempDir(), "s"), Backend: b})
	if err != nil {
		t.Fatal(err)
	}
	stop := start(t, s)
	for _, hangUp := range []bool{true, false} {
		b.closed = make(chan struct{})
		c, err := net.Dial("unix", s.cfg.Socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, "GET /v1/events?context=blue&kind=ike_up,ike_down HTTP/1.1\r\nHost: warrend\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != eventsType {
			t.Fatal(resp, err)
		}
		if got := fmt.Sprint(b.asked); got != "{blue [ike_up ike_down]}" {
			t.Errorf("asked for %s", got)
		}
		lines := bufio.NewScanner(resp.Body)
		for _, list := range [][]Event{{{Kind: "ike_up"}}, {{Kind: "ike_down"}, {Kind: "ike_up"}}} {
			b.feed <- list
			for _, want := range list {
				var got Event
				if !lines.Scan() || json.Unmarshal(lines.Bytes(), &got) != nil || got.Kind != want.Kind {
					t.Fatalf("got %q, %v, want %+v", lines.Bytes(), lines.Err(), want)
				}
			}
		}
		began := time.Now()
		if hangUp {
			c.Close()
		} else if err := stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		<-b.closed
		if took := time.Since(began); took >= stopGrace {
			t.Errorf("the stream has ended after %v", took)
		}
	}
}

// TestEventsRefused: what the backend refuses is the answer, and a stranger may read.
func TestEventsRefused(t *testing.T) {
	b := &happening{refuse: &fault.Error{Code: fault.CodeInvalid, Reason: "there are no events of the kind \"x\""}}
	s := newServer(t, b)
	if code, body := do(t, s, stranger, "GET", "/v1/events?kind=x", ""); code != http.StatusBadRequest ||
		!strings.Contains(body, "no events of the kind") {
		t.Errorf("%d %s", code, body)
	}
	if code, body := do(t, s, 0, "GET", "/v1/events?since=yesterday", ""); code != http.StatusBadRequest ||
		!strings.Contains(body, "it takes context, kind") {
		t.Errorf("%d %s", code, body)
	}
}
