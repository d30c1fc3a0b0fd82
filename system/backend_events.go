package system

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/events"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/tenants"
)

// streams answers the API for what happens, in its words.
type streams struct {
	hub     *events.Hub
	tenants *tenants.Tenants
}

var _ api.Streams = streams{}

// Events implements api.Streams.
func (s streams) Events(which api.EventFilter) (api.EventReader, error) {
	if err := s.check(which); err != nil {
		return nil, err
	}
	r, err := s.hub.Read(events.Filter(which))
	if errors.Is(err, events.ErrTooMany) {
		return nil, &fault.Error{Code: fault.CodeRefused, Reason: "too many read the stream of events already",
			Hint: "end one of them"}
	}
	if err != nil {
		return nil, err
	}
	return eventReader{r}, nil
}

// check refuses a filter that nothing would ever pass.
func (s streams) check(which api.EventFilter) error {
	known := events.Kinds()
	for _, k := range which.Kinds {
		if !slices.Contains(known, k) {
			return &fault.Error{Code: fault.CodeInvalid, Reason: fmt.Sprintf("there are no events of the kind %q", k),
				Hint: "there are " + strings.Join(known, ", ")}
		}
	}
	if which.Context != "" && !slices.ContainsFunc(s.tenants.Conditions(),
		func(c tenants.Condition) bool { return c.Name == which.Context }) {
		return fault.NoContext(which.Context)
	}
	return nil
}

// eventReader is an api.EventReader.
type eventReader struct{ *events.Reader }

// Next implements api.EventReader.
func (r eventReader) Next(ctx context.Context) ([]api.Event, error) {
	list, err := r.Reader.Next(ctx)
	out := make([]api.Event, 0, len(list))
	for _, e := range list {
		out = append(out, eventOf(e))
	}
	return out, err
}

// eventOf is an event in the words of the API.
func eventOf(e events.Event) api.Event {
	about := e.Fact.About()
	f := fields{}
	control.Each(e.Fact, f)
	return api.Event{Time: e.Time, Context: e.Context, Kind: about.Kind, Level: about.Level.String(),
		Message: about.Message, Fields: f}
}

// fields is a control.List of the fields of an event as JSON has them: spans of time in
// seconds, an address that is none as an empty text, and no list is null.
type fields map[string]any

func (f fields) Text(key, v string)                   { f[key] = v }
func (f fields) Number(key string, v uint64)          { f[key] = v }
func (f fields) Limit(key string, v int64)            { f[key] = v }
func (f fields) Flag(key string, v bool)              { f[key] = v }
func (f fields) Duration(key string, v time.Duration) { f[key] = v.Seconds() }
func (f fields) Texts(key string, v []string)         { f[key] = append([]string{}, v...) }
func (f fields) Addrs(key string, v []netip.Addr)     { f[key] = append([]netip.Addr{}, v...) }
func (f fields) Addr(key string, v netip.Addr)        { f[key] = v }
func (f fields) AddrPort(key string, v netip.AddrPort) {
	f[key] = v
}
