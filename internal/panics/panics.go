// Package panics says of a panic that was recovered what may be told of it: no
// value that could hold a secret, and a bounded number of places. It does no I/O.
package panics

import (
	"fmt"
	"runtime"
	"strings"
)

// The bounds of what is told.
const (
	maxReason = 200 // octets
	maxPlaces = 16
)

// Reason returns what a value that was recovered says of itself. Texts of this
// module and of the runtime hold no secrets; of any other value only the type is
// told.
func Reason(p any) string {
	text := ""
	switch p := p.(type) {
	case runtime.Error:
		text = p.Error()
	case string:
		text = p
	default:
		text = fmt.Sprintf("a panic with %T", p)
	}
	return text[:min(len(text), maxReason)]
}

// Where returns the places that led to the panic: functions and lines, the
// innermost first, without arguments. The deferred function that has recovered
// calls it.
func Where() []string {
	pcs := make([]uintptr, 4*maxPlaces)
	it := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)]) // without Callers, Where and the deferred function
	var out []string
	for len(out) < maxPlaces {
		f, more := it.Next()
		if f.Function != "" && !strings.HasPrefix(f.Function, "runtime.") {
			out = append(out, fmt.Sprintf("%s:%d", f.Function[strings.LastIndexByte(f.Function, '/')+1:], f.Line))
		}
		if !more {
			break
		}
	}
	return out
}
