package apitest

import (
	"context"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/fault"
)

// Streams is an api.Streams in which three things have just happened: two in the context
// blue and one to the system. The stream of the context red ends at once.
type Streams struct{ Now time.Time }

var _ api.Streams = (*Streams)(nil)

// Events implements api.Streams.
func (s *Streams) Events(which api.EventFilter) (api.EventReader, error) {
	if slices.Contains(which.Kinds, "nonsense") {
		return nil, &fault.Error{Code: fault.CodeInvalid, Reason: `there are no events of the kind "nonsense"`,
			Hint: "there are child_down, child_up, ike_down, ike_up"}
	}
	if which.Context == "green" {
		return nil, fault.NoContext(which.Context)
	}
	at := func(d time.Duration) time.Time { return s.Now.Add(d) }
	all := []api.Event{
		{Time: at(0), Context: "blue", Kind: "ike_up", Level: "info", Message: "IKE SA established",
			Fields: map[string]any{
				"sa": "1122334455667788", "peer": netip.MustParseAddrPort("198.51.100.77:4500"),
				"identity": "evil\x1b[2J peer", "profile": "", "nat": true, "assigned": []string{"10.99.0.10"},
			}},
		{Time: at(time.Second), Context: "blue", Kind: "session_down", Level: "info", Fields: map[string]any{
			"identity": "alice@blue.example", "reason": "logged off by the operator", "duration": 12.5,
			"bytes_in": uint64(1 << 63), "bytes_out": 0,
		}},
		{Time: at(2 * time.Second), Kind: "configuration_applied", Level: "info", Message: "configuration applied",
			Fields: map[string]any{"version": 4, "author": "root", "origin": "apply", "steps": 1}},
	}
	r := &reader{ends: which.Context == "red"}
	for _, e := range all {
		if (which.Context == "" || which.Context == e.Context) &&
			(len(which.Kinds) == 0 || slices.Contains(which.Kinds, e.Kind)) {
			r.list = append(r.list, e)
		}
	}
	return r, nil
}

// reader is an api.EventReader of a list.
type reader struct {
	list []api.Event
	ends bool // behind the list there is nothing
}

// Next implements api.EventReader.
func (r *reader) Next(ctx context.Context) ([]api.Event, error) {
	list := r.list
	r.list = nil
	switch {
	case len(list) > 0:
		return list, nil
	case r.ends:
		return nil, io.EOF
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

// Close implements api.EventReader.
func (*reader) Close() {}
