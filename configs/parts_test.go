package configs

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPartsOf: a part ends with its line, brackets and what they hold included.
func TestPartsOf(t *testing.T) {
	for _, tt := range []struct {
		name, src string
		keys      []string // nil: its parts cannot be told
	}{
		{"nothing", "", []string{}},
		{"comments alone", "# a\n\n// b\n", []string{}},
		{"attributes and blocks", "a = [\n 1, # one\n]\nb \"c\" d { # why\n\n  e = 1\n}\n\nf { g = 2 } # h\ni = 3",
			[]string{"a\x00", "b\x00c\x00d\x00", "f\x00", "i\x00"}},
		{"a value of the same name", "a = b\nb = a\n", []string{"a\x00", "b\x00"}},
		{"twice", "a {}\na {}\n", nil},
		{"twice, however the label is written", "a b {}\na \"b\" {}\n", nil},
		{"not simple", "a = 1 + 1\n", nil},
		{"without its end", "a {\n", nil},
	} {
		got, ok := partsOf([]byte(tt.src))
		keys := []string{}
		for _, p := range got {
			keys = append(keys, p.key)
		}
		if !ok {
			keys = nil
		}
		if diff := cmp.Diff(tt.keys, keys); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// FuzzCompare: that parts which are the same in both versions are not parsed makes no
// difference to what differs.
func FuzzCompare(f *testing.F) {
	for _, s := range [][2]string{
		{"a = 1\nb \"x\" { c = 1 }\n", "b \"x\" { c = 2 }\na = 1\n"},
		{"a {}\na { b = 1 }\n", "a {}\n"},
		{"a b { c = \"x\" } # d\n", "a \"b\" {\n  c = \"x\"\n}\n"},
		{"a = {\n b = 1\n}\n", "a { b = 1 }\n"},
		{"a = 1", "a = 1\nb = 2"},
		{"a = \"${b}\"\n", "a = \"b\"\n"},
	} {
		f.Add([]byte(s[0]), []byte(s[1]))
	}
	f.Fuzz(func(t *testing.T, before, after []byte) {
		for _, src := range [][]byte{before, after} {
			if CheckSyntax("x", src) != "" {
				return
			}
		}
		if diff := cmp.Diff(changes(flatten(before), flatten(after)), Compare(before, after)); diff != "" {
			t.Errorf("%q and %q (-of all of it +got):\n%s", before, after, diff)
		}
	})
}
