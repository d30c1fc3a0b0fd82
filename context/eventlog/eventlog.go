// Package eventlog makes lines of the log of events (context/control): the same words
// and keys, whoever writes them. Its I/O is the handler's.
package eventlog

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/context/control"
)

// Write writes the line of an event to h, with the event's time, and reports whether
// there was one to write: an event may have none, or a level that h does not want.
func Write(h slog.Handler, e *control.Event) (written bool, err error) {
	about := e.Fact.About()
	level := slog.Level(about.Level)
	if about.Message == "" || !h.Enabled(context.Background(), level) {
		return false, nil
	}
	r := slog.NewRecord(e.Time, level, about.Message, 0)
	control.Each(e.Fact, &attrs{&r})
	return true, h.Handle(context.Background(), r)
}

// attrs is a control.List that adds to a record.
type attrs struct{ to *slog.Record }

func (a *attrs) Text(key, v string)                    { a.to.AddAttrs(slog.String(key, v)) }
func (a *attrs) Number(key string, v uint64)           { a.to.AddAttrs(slog.Uint64(key, v)) }
func (a *attrs) Limit(key string, v int64)             { a.to.AddAttrs(slog.Int64(key, v)) }
func (a *attrs) Flag(key string, v bool)               { a.to.AddAttrs(slog.Bool(key, v)) }
func (a *attrs) Duration(key string, v time.Duration)  { a.to.AddAttrs(slog.Duration(key, v)) }
func (a *attrs) Addr(key string, v netip.Addr)         { a.to.AddAttrs(slog.Any(key, v)) }
func (a *attrs) AddrPort(key string, v netip.AddrPort) { a.to.AddAttrs(slog.Any(key, v)) }
func (a *attrs) Addrs(key string, v []netip.Addr)      { a.to.AddAttrs(slog.Any(key, v)) }
func (a *attrs) Texts(key string, v []string)          { a.to.AddAttrs(slog.Any(key, v)) }
