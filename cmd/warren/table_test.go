package main

import (
	"fmt"
	"strings"
	"testing"
)

// TestTable: columns are as wide as what is printed of them, which is harmless for a
// terminal; notes stand below their row.
func TestTable(t *testing.T) {
	type row struct {
		name string
		n    int
	}
	numbers := table[row]{
		columns: []column[row]{
			{"Name", func(_ *env, r *row) string { return r.name }},
			{"Number", func(_ *env, r *row) string { return fmt.Sprint(r.n) }},
			{"End", func(*env, *row) string { return "" }},
		},
		notes: func(e *env, r *row, note func(string, ...any)) {
			for i := range r.n {
				note("%d of %s", i+1, r.name)
			}
		},
	}
	for _, tt := range []struct {
		name string
		rows []row
		want string
	}{
		{"none", nil, "Name  Number  End\n"},
		{"wide", []row{{"Zoë", 0}}, "Name  Number  End\nZoë   0       -\n"},
		{"hostile", []row{{"a\x1b[31m\n", 1}, {"", 0}},
			"Name         Number  End\na\\x1b[31m\\n  1       -\n    1 of a\\x1b[31m\\n\n-            0       -\n"},
	} {
		var b strings.Builder
		numbers.write(&env{}, &b, tt.rows)
		if got := b.String(); got != tt.want {
			t.Errorf("%s: got\n%swant\n%s", tt.name, got, tt.want)
		}
	}
}
