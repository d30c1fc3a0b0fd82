package spawn

import (
	"bytes"
	"encoding/json"
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

// relabel returns a worker's log record as this program would have written it for
// the tenant, with its own line end, and false where line is not a record in
// format: time, level, msg, and keys. What the record says of a tenant is
// replaced.
func relabel(line []byte, format, tenant string) ([]byte, bool) {
	text := strings.TrimSuffix(string(line), "\n")
	if printable([]byte(text)) != text {
		return nil, false
	}
	parse, write := parseText, appendText
	if format == "json" {
		parse, write = parseJSON, appendJSON
	}
	attrs, ok := parse(text)
	if !ok || len(attrs) < 3 || attrs[0].key != "time" || attrs[1].key != "level" || attrs[2].key != "msg" {
		return nil, false
	}
	if _, err := time.Parse(time.RFC3339Nano, strings.Trim(attrs[0].value, `"`)); err != nil {
		return nil, false
	}
	out := append(make([]attr, 0, len(attrs)+1), attrs[:3]...)
	out = append(out, attr{"tenant", tenant})
	for _, a := range attrs[3:] {
		switch a.key {
		case "tenant":
		case "time", "level", "msg": // whoever reads the log would find the wrong one
			return nil, false
		default:
			out = append(out, a)
		}
	}
	return append(write(nil, out), '\n'), true
}

// parseText takes apart what slog.TextHandler writes.
func parseText(s string) (attrs []attr, ok bool) {
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

// parseJSON takes apart what slog.JSONHandler writes.
func parseJSON(s string) (attrs []attr, ok bool) {
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
