package spawn

import (
	"context"
	"log/slog"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/eventlog"
)

// maxEventsLost bounds what one event of a worker may say of what it had no room for.
const maxEventsLost = 1 << 20

// records are lines for the log, as this program writes them.
type records struct {
	text  []byte
	count int
}

// eventReader takes the events out of what a worker writes. A worker that was taken
// over may tell anything of its own tenant, as often as the class lets it: each text is
// bounded and printable (control.Fields), and the time is never to come.
type eventReader struct {
	events control.Events
	least  control.Level // of the log
	format eventlog.Format
	to     *records
	event  func(control.Event) // nil: nobody takes them
}

// newEventReader returns an eventReader whose records go to out.
func newEventReader(cfg *linesConfig, out *records) *eventReader {
	return &eventReader{
		least: leastLevel(cfg.log), format: eventlog.Format{JSON: cfg.format == "json", Tenant: cfg.tenant}, to: out,
		event: cfg.event,
	}
}

// leastLevel returns the lowest level that a log takes.
func leastLevel(log *slog.Logger) control.Level {
	for _, l := range []control.Level{control.LevelDebug, control.LevelInfo, control.LevelWarn} {
		if log.Enabled(context.Background(), slog.Level(l)) {
			return l
		}
	}
	return control.LevelError
}

// read takes a line, if it is an event. It returns how many events are lost: those for
// which the worker says that it had no room, and one that cannot be read, such as one of
// a kind that only a newer worker knows.
func (r *eventReader) read(now time.Time, line []byte) (lost int64, ok bool) {
	if len(line) == 0 || line[0] != control.EventMark {
		return 0, false
	}
	e, err := r.events.Parse(line)
	if err != nil {
		return 1, true
	}
	if e.Time.After(now) {
		e.Time = now
	}
	if n, is := e.Fact.(*control.EventsLost); is {
		n.Count = min(n.Count, maxEventsLost)
		lost = int64(n.Count)
	}
	if e.Fact.About().Level >= r.least {
		before := len(r.to.text)
		if r.to.text = r.format.Append(r.to.text, &e); len(r.to.text) > before {
			r.to.count++
		}
	}
	if r.event != nil {
		r.event(e)
	}
	return lost, true
}

// tell tells what has happened to the worker, as a line of the log and as an event.
func (w *Worker) tell(f control.Fact) {
	e := control.Event{Time: time.Now(), Fact: f}
	_, _ = eventlog.Write(w.cfg.Log.Handler(), &e) // a log that fails cannot be told
	if w.cfg.Event != nil {
		w.cfg.Event(e)
	}
}
