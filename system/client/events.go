package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/warrenvpn/warren/system/api"
)

// maxEvent bounds what is read of one event, in bytes.
const maxEvent = 1 << 20

// Events are the events of a running warrend, as they come. One goroutine uses it.
type Events struct {
	body  io.ReadCloser
	lines *json.Decoder
	bound io.LimitedReader
}

// Events begins to read the events that which asks for, from now on, until ctx ends. The
// caller closes it. What a peer calls itself is in them, so they are hostile.
func (c *Client) Events(ctx context.Context, which api.EventFilter) (*Events, error) {
	q := url.Values{}
	if which.Context != "" {
		q.Set("context", which.Context)
	}
	if len(which.Kinds) > 0 {
		q.Set("kind", strings.Join(which.Kinds, ","))
	}
	path := "/v1/events"
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	resp, err := c.open(ctx, http.MethodGet, path, nil, 0)
	if err != nil {
		return nil, err
	}
	e := &Events{body: resp.Body, bound: io.LimitedReader{R: resp.Body}}
	e.lines = json.NewDecoder(&e.bound)
	e.lines.UseNumber()
	return e, nil
}

// Next waits for the next event. The error is io.EOF where warrend has ended the stream;
// numbers in the fields are json.Number.
func (e *Events) Next() (api.Event, error) {
	var out api.Event
	e.bound.N = maxEvent
	switch err := e.lines.Decode(&out); {
	case err == io.EOF, err == io.ErrUnexpectedEOF:
		return out, io.EOF
	case err != nil:
		return out, fmt.Errorf("client: reading events: %w", err)
	}
	return out, nil
}

// Close ends the reading.
func (e *Events) Close() error { return e.body.Close() }
