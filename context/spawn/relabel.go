package spawn

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxAttrs bounds the keys of a record that is passed on.
const maxAttrs = 64

// attr is one key of a record with its value as the record has it.
type attr struct{ key, value string }

// relabel appends to b a worker's log record as this program would have written it
// for the tenant, with its own line end; it reports false, and appends nothing,
// where line is not a record in format: time, level, msg, and keys. What the record
// says of a tenant is replaced.
func relabel(b, line []byte, format, tenant string) ([]byte, bool) {
	text := strings.TrimSuffix(string(line), "\n")
	if !isPrintable(text) {
		return b, false
	}
	var room [16]attr // what most records need; more are allocated
	attrs, ok := room[:0], false
	if format == "json" {
		attrs, ok = parseJSON(attrs, text)
	} else {
		attrs, ok = parseText(attrs, text)
	}
	if !ok || len(attrs) < 3 || attrs[0].key != "time" || attrs[1].key != "level" || attrs[2].key != "msg" {
		return b, false
	}
	if _, err := time.Parse(time.RFC3339Nano, strings.Trim(attrs[0].value, `"`)); err != nil {
		return b, false
	}
	if slices.ContainsFunc(attrs[3:], func(a attr) bool {
		return a.key == "time" || a.key == "level" ||
			a.key == "msg"
	}) {
		return b, false // whoever reads the log would find the wrong one
	}
	attrs = slices.DeleteFunc(attrs, func(a attr) bool { return a.key == "tenant" })
	attrs = slices.Insert(attrs, 3, attr{"tenant", tenant})
	if format == "json" {
		return append(appendJSON(b, attrs), '\n'), true
	}
	return append(appendText(b, attrs), '\n'), true
}

// parseText takes apart what slog.TextHandler writes, into room.
func parseText(room []attr, s string) (attrs []attr, ok bool) {
	attrs = room
	for s != "" {
		key, rest, found := strings.Cut(s, "=")
		if !found || !plain(key) || len(attrs) == maxAttrs {
			return nil, false
		}
		value, rest, ok := textValue(rest)
		if !ok {
			return nil, false
		}
		attrs = append(attrs, attr{key, value})
		s = rest
	}
	return attrs, true
}

// textValue cuts the value from the beginning of s, with its quotes.
func textValue(s string) (value, rest string, ok bool) {
	if strings.HasPrefix(s, `"`) {
		quoted, err := strconv.QuotedPrefix(s)
		if err != nil {
			return "", "", false
		}
		rest, ok = strings.CutPrefix(s[len(quoted):], " ")
		return quoted, rest, ok || rest == ""
	}
	value, rest, _ = strings.Cut(s, " ")
	return value, rest, !strings.ContainsAny(value, `"=`)
}

func appendText(b []byte, attrs []attr) []byte {
	for i, a := range attrs {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(b, a.key...)
		b = append(b, '=')
		b = append(b, a.value...)
	}
	return b
}

// parseJSON takes apart what slog.JSONHandler writes, into room.
func parseJSON(room []attr, s string) (attrs []attr, ok bool) {
	attrs = room
	d := json.NewDecoder(strings.NewReader(s))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return nil, false
	}
	for d.More() {
		key, err := d.Token()
		if err != nil || len(attrs) == maxAttrs {
			return nil, false
		}
		name, isString := key.(string)
		var value json.RawMessage
		if !isString || !plain(name) || d.Decode(&value) != nil {
			return nil, false
		}
		attrs = append(attrs, attr{name, string(value)})
	}
	if _, err := d.Token(); err != nil || d.InputOffset() != int64(len(s)) {
		return nil, false
	}
	return attrs, true
}

func appendJSON(b []byte, attrs []attr) []byte {
	for i, a := range attrs {
		b = append(b, "{,"[min(i, 1)])
		b = strconv.AppendQuote(b, a.key) // plain, so that both languages quote it alike
		b = append(b, ':')
		if a.key == "tenant" {
			b = strconv.AppendQuote(b, a.value) // the name of a context is plain, too
			continue
		}
		b = append(b, a.value...)
	}
	return append(b, '}')
}

// plain reports whether s is a key as the log has them.
func plain(s string) bool {
	for _, r := range s {
		if r != '_' && r != '.' && r != '-' && (r >= utf8.RuneSelf || !unicode.IsLetter(r) && !unicode.IsDigit(r)) {
			return false
		}
	}
	return s != ""
}

// isPrintable reports whether printable would change nothing.
func isPrintable(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' {
			return printable([]byte(s)) == s // beyond ASCII, which is rare, or not printable
		}
	}
	return true
}

// printable returns b without its line end and with a question mark for all that
// a terminal might obey.
func printable(b []byte) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r == utf8.RuneError, !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, string(bytes.TrimRight(b, "\r\n")))
}
