package control

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"github.com/warrenvpn/warren/internal/record"
)

// Events go from the worker to the supervisor on the pipe that is also the worker's
// standard error, each as one line: EventMark, a record (internal/record), and a
// line end.
//
//	tag 1    time, in nanoseconds since 1970
//	tag 2    About.Code
//	tag 3... the fields of the fact, each with its own tag plus 2
//
// The line end and escape do not occur in the record: each is escape and another octet.
// So whoever takes the pipe up in the middle of a line finds the next one.
const (
	// EventMark is the first octet of the line of an event. No line of text begins
	// with it.
	EventMark = 0x1e

	escape        = 0x1a
	escapedEscape = 0x01
	escapedEnd    = 0x02
)

// MaxEvent bounds the line of an event, in bytes.
const MaxEvent = 16 << 10

var (
	errNoEvent      = errors.New("control: malformed event")
	errUnknownEvent = errors.New("control: event of a kind that is not known")
)

// Events writes and reads events one after the other; the zero value is ready to use. It
// keeps what it needs for that, so that it allocates little. One goroutine may use it.
type Events struct {
	fields Fields
	pass   func(*record.Fields) // of e
	nanos  uint64
	code   uint16
	fact   Fact
}

// list is one pass over an event.
func (x *Events) list(f *record.Fields) {
	record.Number(f, 1, &x.nanos)
	record.Number(f, 2, &x.code)
	if f.Reading() {
		x.fact = newFact(x.code)
	}
	if x.fact != nil {
		x.fields.wire = f
		x.fact.Fields(&x.fields)
		x.fields.wire = nil
	}
}

// Append appends the line of an event of a worker to b, with its end.
func (x *Events) Append(b []byte, e *Event) []byte {
	if x.pass == nil {
		x.pass = x.list
	}
	x.nanos, x.code, x.fact = uint64(e.Time.UnixNano()), e.Fact.About().Code, e.Fact
	b = append(b, EventMark)
	start := len(b)
	b = record.Append(b, x.pass)
	x.fact = nil
	return append(escapeFrom(b, start), '\n')
}

// AppendEvent is Append of an Events that was not used before.
func AppendEvent(b []byte, e *Event) []byte { return new(Events).Append(b, e) }

// escapeFrom escapes what stands in b from start on.
func escapeFrom(b []byte, start int) []byte {
	n := bytes.Count(b[start:], []byte{escape}) + bytes.Count(b[start:], []byte{'\n'})
	if n == 0 {
		return b
	}
	from := len(b)
	b = slices.Grow(b, n)[:from+n]
	for to := len(b); to > from; {
		from--
		to--
		switch c := b[from]; c {
		case escape:
			b[to], b[to-1] = escapedEscape, escape
			to--
		case '\n':
			b[to], b[to-1] = escapedEnd, escape
			to--
		default:
			b[to] = c
		}
	}
	return b
}

// Parse reads the line of an event, with its end. Nothing of line is kept. The error is
// also that of a kind which only a newer worker knows.
func (x *Events) Parse(line []byte) (Event, error) {
	if x.pass == nil {
		x.pass = x.list
	}
	body, ended := bytes.CutSuffix(line, []byte{'\n'})
	if !ended || len(body) == 0 || len(line) > MaxEvent || body[0] != EventMark {
		return Event{}, errNoEvent
	}
	b, ok := unescape(body[1:])
	if !ok {
		return Event{}, errNoEvent
	}
	x.nanos, x.code = 0, 0
	err := record.Parse(b, x.pass)
	fact := x.fact
	x.fact = nil
	switch {
	case err != nil || int64(x.nanos) < 0:
		return Event{}, errNoEvent
	case fact == nil:
		return Event{}, errUnknownEvent
	}
	return Event{Time: time.Unix(0, int64(x.nanos)), Fact: fact}, nil
}

// ParseEvent is Parse of an Events that was not used before.
func ParseEvent(line []byte) (Event, error) { return new(Events).Parse(line) }

// unescape undoes escapeFrom; it returns b itself where nothing is escaped.
func unescape(b []byte) (out []byte, ok bool) {
	i := bytes.IndexByte(b, escape)
	if i < 0 {
		return b, bytes.IndexByte(b, '\n') < 0
	}
	out = append(make([]byte, 0, len(b)), b[:i]...)
	for ; i < len(b); i++ {
		c := b[i]
		if c == escape {
			if i++; i == len(b) {
				return nil, false
			}
			switch b[i] {
			case escapedEscape:
			case escapedEnd:
				c = '\n'
			default:
				return nil, false
			}
		} else if c == '\n' {
			return nil, false
		}
		out = append(out, c)
	}
	return out, true
}
