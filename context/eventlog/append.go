package eventlog

import (
	"net/netip"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/warrenvpn/warren/context/control"
)

// Format is the form of the log.
type Format struct {
	JSON   bool
	Tenant string // a name of letters, digits, '-', '_' and '.'
}

// Append appends to b the line of an event as the handlers of log/slog would write it,
// with the tenant behind the message, and the line end; nothing where the event has no
// line. It is for those who pass on many, and allocates little. The event must come from
// control.ParseEvent: no text in it is longer than a line, or not printable.
func (f *Format) Append(b []byte, e *control.Event) []byte {
	about := e.Fact.About()
	if about.Message == "" {
		return b
	}
	l := line{b: b, json: f.JSON}
	if f.JSON {
		l.b = append(l.b, `{"time":"`...)
		l.b = append(e.Time.AppendFormat(l.b, time.RFC3339Nano), '"')
	} else {
		l.b = append(l.b, "time="...)
		l.b = e.Time.AppendFormat(l.b, "2006-01-02T15:04:05.000Z07:00")
	}
	l.Text("level", levels[about.Level])
	l.Text("msg", about.Message)
	l.Text("tenant", f.Tenant)
	control.Each(e.Fact, &l)
	if f.JSON {
		l.b = append(l.b, '}')
	}
	return append(l.b, '\n')
}

// levels are the names of levels in the log.
var levels = map[control.Level]string{
	control.LevelDebug: "DEBUG", control.LevelInfo: "INFO", control.LevelWarn: "WARN", control.LevelError: "ERROR",
}

// line is a control.List that writes one line.
type line struct {
	b    []byte
	json bool
}

// key writes a key, and what stands before it and behind it.
func (l *line) key(key string) {
	if l.json {
		l.b = append(l.b, ',', '"')
		l.b = append(l.b, key...)
		l.b = append(l.b, '"', ':')
		return
	}
	l.b = append(l.b, ' ')
	l.b = append(l.b, key...)
	l.b = append(l.b, '=')
}

// quoteFrom quotes what stands in l.b from start on, if it has to be.
func (l *line) quoteFrom(start int) {
	switch s := l.b[start:]; {
	case l.json:
		l.b = appendJSONText(l.b[:start], string(s))
	case needsQuotes(s):
		l.b = strconv.AppendQuote(l.b[:start], string(s))
	}
}

// Text implements control.List.
func (l *line) Text(key, v string) {
	l.key(key)
	start := len(l.b)
	l.b = append(l.b, v...)
	if l.json {
		l.b = appendJSONText(l.b[:start], v)
	} else if needsQuotes(l.b[start:]) {
		l.b = strconv.AppendQuote(l.b[:start], v)
	}
}

// Number implements control.List.
func (l *line) Number(key string, v uint64) {
	l.key(key)
	l.b = strconv.AppendUint(l.b, v, 10)
}

// Limit implements control.List.
func (l *line) Limit(key string, v int64) {
	l.key(key)
	l.b = strconv.AppendInt(l.b, v, 10)
}

// Flag implements control.List.
func (l *line) Flag(key string, v bool) {
	l.key(key)
	l.b = strconv.AppendBool(l.b, v)
}

// Duration implements control.List.
func (l *line) Duration(key string, v time.Duration) {
	if l.json {
		l.Limit(key, int64(v))
		return
	}
	l.Text(key, v.String())
}

// Addr implements control.List.
func (l *line) Addr(key string, v netip.Addr) {
	l.key(key)
	start := len(l.b)
	if v.IsValid() {
		l.b = v.AppendTo(l.b)
	}
	l.quoteFrom(start)
}

// AddrPort implements control.List.
func (l *line) AddrPort(key string, v netip.AddrPort) {
	l.key(key)
	start := len(l.b)
	if v.IsValid() {
		l.b = v.AppendTo(l.b)
	}
	l.quoteFrom(start)
}

// Addrs implements control.List.
func (l *line) Addrs(key string, v []netip.Addr) {
	listOf(l, key, v, netip.Addr.AppendTo)
}

// Texts implements control.List.
func (l *line) Texts(key string, v []string) {
	listOf(l, key, v, func(s string, b []byte) []byte { return append(b, s...) })
}

// listOf writes a list.
func listOf[T any](l *line, key string, v []T, item func(T, []byte) []byte) {
	l.key(key)
	if l.json && v == nil {
		l.b = append(l.b, "null"...)
		return
	}
	start := len(l.b)
	l.b = append(l.b, '[')
	for i, x := range v {
		if i > 0 {
			l.b = append(l.b, map[bool]byte{true: ',', false: ' '}[l.json])
		}
		at := len(l.b)
		l.b = item(x, l.b)
		if l.json {
			l.quoteFrom(at)
		}
	}
	l.b = append(l.b, ']')
	if !l.json {
		l.quoteFrom(start)
	}
}

// needsQuotes reports whether slog's TextHandler quotes a value.
func needsQuotes(s []byte) bool {
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c <= ' ' || c == '"' || c == '=' {
				return true
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(s[i:])
		if r == utf8.RuneError || unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return true
		}
		i += n
	}
	return len(s) == 0
}

// appendJSONText appends a text on one line as JSON.
func appendJSONText(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		c := s[i]
		if c == '"' || c == '\\' {
			b = append(b, '\\')
		}
		b = append(b, c)
	}
	return append(b, '"')
}
