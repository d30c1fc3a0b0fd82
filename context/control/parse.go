package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// What the supervisor reads of a worker's answer. The product promises 10,000
// sessions of a context; JSON of a few bytes becomes hundreds of them in memory,
// so a bound in bytes is not enough.
const (
	// MaxBody bounds the body of any message, in bytes.
	MaxBody = 32 << 20
	// MaxIKESAs, MaxChildSAs and MaxSessions bound the rows of answers.
	MaxIKESAs   = 50_000
	MaxChildSAs = 100_000
	MaxSessions = 50_000
	// MaxResources bounds the rows about resources.
	MaxResources = 256
	// MaxString is what is kept of any text, in bytes.
	MaxString = 1 << 10

	maxValues = 4_000_000 // JSON values of an answer: 40 of each SA
	maxDepth  = 8         // of nested values
	// fewValues bounds the values of a small message.
	fewValues = 256
	// smallAnswer bounds the body of an answer that is not a list, in bytes.
	smallAnswer = 64 << 10
)

// MaxAnswer returns the bound of the body of the answer to a question, in bytes:
// MaxBody where it is a list, and little otherwise.
func MaxAnswer(asked Kind) int {
	switch asked {
	case KindIKESAs, KindSessions, KindKeys, KindServers:
		return MaxBody
	}
	return smallAnswer
}

// errTooMuch is the error of an answer beyond a bound.
var errTooMuch = errors.New("control: more than a worker may answer")

// Parse reads the body of a small message from a worker: every one but Routes,
// Keys and lists of SAs, sessions and resources. Texts are cut to MaxString.
func Parse[T any](b []byte) (T, error) {
	var out T
	if err := bounded(b, fewValues); err != nil {
		return out, err
	}
	if err := json.Unmarshal(b, &out); err != nil {
		return out, err
	}
	cut(reflect.ValueOf(&out))
	return out, nil
}

// ParseRoutes reads the body of KindRoutes.
func ParseRoutes(b []byte) (Routes, error) {
	var r Routes
	if err := bounded(b, 4*MaxChanges); err != nil {
		return r, err
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, err
	}
	if r.Changes() > MaxChanges {
		return Routes{}, fmt.Errorf("%w: %d changes of routes", errTooMuch, r.Changes())
	}
	return r, nil
}

// ParseKeys reads the answer to KindKeys.
func ParseKeys(b []byte) (Keys, error) {
	var k Keys
	if err := bounded(b, MaxIKESAs+2*MaxChildSAs); err != nil {
		return Keys{}, err
	}
	if err := json.Unmarshal(b, &k); err != nil {
		return Keys{}, err
	}
	cut(reflect.ValueOf(&k))
	return k, nil
}

// ParseIKESAs reads the answer to KindIKESAs. Like those below it allocates for a row
// only when the rows before it are within the bounds.
func ParseIKESAs(b []byte) ([]IKESA, error) { return parseList[IKESA](b, MaxIKESAs, MaxChildSAs) }

// ParseSessions reads the answer to KindSessions.
func ParseSessions(b []byte) ([]Session, error) { return parseList[Session](b, MaxSessions, 0) }

// ParseResources reads the answer to KindResources.
func ParseResources(b []byte) ([]Resource, error) { return parseList[Resource](b, MaxResources, 0) }

// parseList reads a list of at most so many rows, which have at most so many objects
// in them.
func parseList[T any](b []byte, most, nested int) ([]T, error) {
	if err := bounded(b, maxValues); err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	start, err := d.Token()
	if err != nil || start == nil {
		return nil, err // null is a list without rows
	}
	if start != json.Delim('[') {
		return nil, errors.New("control: the answer is no list")
	}
	var rows []T
	for d.More() {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, err
		}
		_, objects, _ := measure(raw)
		if nested -= max(0, objects-1); nested < 0 || len(rows) >= most {
			return nil, errTooMuch
		}
		var row T
		if err := json.Unmarshal(raw, &row); err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	cut(reflect.ValueOf(rows))
	return rows, nil
}

// bounded reports whether JSON has no more than most values, nested no deeper
// than any message is.
func bounded(b []byte, most int) error {
	values, _, depth := measure(b)
	switch {
	case depth > maxDepth:
		return fmt.Errorf("%w: values nested %d deep", errTooMuch, depth)
	case values > most:
		return fmt.Errorf("%w: %d values", errTooMuch, values)
	}
	return nil
}

// measure counts the values of JSON, the objects among them, and how deep they
// are nested, without allocating.
func measure(b []byte) (values, objects, depth int) {
	values = 1
	now := 0
	inside, escaped := false, false // a text
	for _, c := range b {
		switch {
		case escaped:
			escaped = false
		case inside:
			escaped, inside = c == '\\', c != '"'
		case c == '"':
			inside = true
		case c == '[', c == '{':
			values++
			now++
			depth = max(depth, now)
			if c == '{' {
				objects++
			}
		case c == ']', c == '}':
			now--
		case c == ',':
			values++
		}
	}
	return values, objects, depth
}

// cut shortens every text that v leads to, and gives what held the whole back.
func cut(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			cut(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				cut(v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			cut(v.Index(i))
		}
	case reflect.String:
		if s := v.String(); len(s) > MaxString {
			v.SetString(strings.ToValidUTF8(strings.Clone(s[:MaxString]), ""))
		}
	}
}
