package panics

import (
	"strings"
	"testing"
)

func TestPanics(t *testing.T) {
	var none []int
	index := 3
	for _, test := range []struct {
		name string
		do   func()
		want string // part of the reason
	}{
		{"the runtime's", func() { _ = none[index] }, "index out of range [3]"},
		{"a text", func() { panic("a constant text") }, "a constant text"},
		{"a long text", func() { panic(strings.Repeat("x", 1000)) }, strings.Repeat("x", maxReason)},
		{"a value", func() { panic(struct{ key string }{"hunter2"}) }, "a panic with struct { key string }"},
		{"deep down", func() { dive(100) }, "the ground"},
	} {
		reason, where := caught(test.do)
		if !strings.Contains(reason, test.want) || len(reason) > maxReason || strings.Contains(reason, "hunter2") {
			t.Errorf("%s: got %q, want %q", test.name, reason, test.want)
		}
		if len(where) == 0 || len(where) > maxPlaces || !strings.HasPrefix(where[0], "panics.") {
			t.Errorf("%s: it came from %q", test.name, where)
		}
	}
	if _, where := caught(func() { dive(100) }); len(where) != maxPlaces ||
		!strings.HasPrefix(where[0], "panics.dive:") {
		t.Errorf("the innermost first, and no more than %d: %q", maxPlaces, where)
	}
}

func dive(n int) {
	if n == 0 {
		panic("the ground")
	}
	dive(n - 1)
}

func caught(do func()) (reason string, where []string) {
	defer func() { reason, where = Reason(recover()), Where() }()
	do()
	return "", nil
}
