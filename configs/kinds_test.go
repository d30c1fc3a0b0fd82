package configs

import (
	"testing"
)

// TestSchema: every attribute says what its value is, and its default is one that could
// be written, or says that none is.
func TestSchema(t *testing.T) {
	var walk func(path string, s *schema)
	walk = func(path string, s *schema) {
		path += "/" + s.kind
		for _, a := range s.attrs {
			fits := false
			switch k := a.is.(type) {
			case number:
				fits = k.low <= k.high && (k.def == 0 || k.low <= k.def && k.def <= k.high)
			case fraction:
				fits = k.low <= k.high && (k.def == 0 || k.low <= k.def && k.def <= k.high)
			case span:
				fits = k.low <= k.high && (k.low <= k.def && k.def <= k.high || k.def == 0 && k.zero != "")
			case oneOf:
				fits = len(k) > 1
			case line:
				fits = k.longest == 0 || len(k.def) <= k.longest
			case form:
				fits = k != ""
			case boolean, listOf:
				fits = true
			}
			if !fits || a.required != (a.example != "") {
				t.Errorf("%s: %s is %+v; required %v, example %q", path, a.name, a.is, a.required, a.example)
			}
		}
		for _, b := range s.blocks {
			walk(path, b)
		}
	}
	walk("system", systemSchema)
	walk("context", contextSchema)
}
