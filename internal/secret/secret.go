// Package secret holds key material in a type that cannot be printed.
//
// A Value keeps its bytes two pointers away: fmt skips the methods of
// unexported fields, and for a wrong verb such as %s follows one pointer. Every
// printing method writes the same fixed word. The bytes leave only through Reveal.
// The package does no I/O and imports nothing of the project.
package secret

import (
	"crypto/subtle"
	"fmt"
	"io"
)

// redacted is all that any printer ever shows of a Value. It is a constant,
// not a fingerprint: the hash of a password could be guessed.
const redacted = "(secret)"

// Value is a key, password or pre-shared key. The zero Value is empty. Copies
// share the bytes: Clear on one clears all of them.
type Value struct{ cell *cell }

type cell struct{ bytes *[]byte }

// New returns a Value that owns b; the caller must not use b afterwards.
func New(b []byte) Value {
	// One object has both pointers' targets. A Value leads to its cell alone: whatever
	// follows a pointer to that finds no bytes beside it.
	both := &struct {
		cell  cell
		bytes []byte
	}{bytes: b}
	both.cell.bytes = &both.bytes
	return Value{&both.cell}
}

// Copy returns a Value with a copy of b of its own.
func Copy(b []byte) Value { return New(append([]byte(nil), b...)) }

// Reveal returns the bytes themselves. The Value keeps owning them: the caller
// must neither change nor retain them past Clear.
func (v Value) Reveal() []byte {
	if v.cell == nil {
		return nil
	}
	return *v.cell.bytes
}

// Len returns the number of bytes.
func (v Value) Len() int { return len(v.Reveal()) }

// Equal compares in time that depends on the lengths only.
func (v Value) Equal(w Value) bool {
	return subtle.ConstantTimeCompare(v.Reveal(), w.Reveal()) == 1
}

// Clear overwrites the bytes with zeros and empties the Value and its copies.
func (v Value) Clear() {
	if v.cell == nil {
		return
	}
	clear(*v.cell.bytes)
	*v.cell.bytes = nil
}

// Format implements fmt.Formatter for every verb.
func (v Value) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// MarshalText implements encoding.TextMarshaler, for slog and encoding/json.
func (v Value) MarshalText() ([]byte, error) { return []byte(redacted), nil }
