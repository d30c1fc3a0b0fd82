package api

import (
	"strings"
	"testing"
)

// TestPlain: an operator does not read the names of packages, and everything else.
func TestPlain(t *testing.T) {
	tests := []struct{ in, want string }{
		{"vfs: writing red:disk0:/x: is read-only", "writing red:disk0:/x: is read-only"},
		{`context "acme": failed: cgroup: adding process 7: deleted`,
			`context "acme": failed: adding process 7: deleted`},
		{"system: a: netns: b", "a: b"},
		{"netns: one; netns: two: vfs: three", "one; two: three"},
		{"the system: it stays", "the system: it stays"},
		{"netns", "netns"},
		{"vfs: system", "system"},
		{"", ""},
	}
	for _, tt := range tests {
		if got := plain(tt.in); got != tt.want {
			t.Errorf("plain(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

// TestTypeErrors: a body with a value of another type is told by the key.
func TestTypeErrors(t *testing.T) {
	s := newServer(t, &backend{})
	status, body := do(t, s, 0, "POST", "/v1/config/apply", `{"confirm":"1"}`)
	if want := `"error":"body: confirm is a number without a fraction, and not a string"`; status != 400 ||
		!strings.Contains(body, want) {
		t.Errorf("got %d %s, want %s", status, body, want)
	}
	status, body = do(t, s, 0, "POST", "/v1/contexts/blue/logoff", `{"all":1}`)
	if want := `"error":"body: all is true or false, and not a number"`; status != 400 ||
		!strings.Contains(body, want) {
		t.Errorf("got %d %s, want %s", status, body, want)
	}
}
