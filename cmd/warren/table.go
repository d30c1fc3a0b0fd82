package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// table says how rows R are printed for people: what stands in each column. With
// --json the rows themselves are printed, whose fields scripts know by name.
type table[R any] struct {
	columns []column[R]
	// notes calls note for each line that stands below a row and takes no part in
	// its columns; nil: there are none.
	notes func(e *env, r *R, note func(format string, args ...any))
}

// column is one column: its head, and its text of a row. The text may be what a peer
// chose, for write makes it plain; "" is printed as "-". A column is as wide as its
// longest text.
type column[R any] struct {
	head string
	text func(e *env, r *R) string
}

// write prints the heads and the rows with two spaces between columns, and each
// line in one Write.
func (t *table[R]) write(e *env, w io.Writer, rows []R) {
	widths := make([]int, len(t.columns))
	lines := make([][]string, 1+len(rows))
	for i, c := range t.columns {
		lines[0] = append(lines[0], c.head)
		for n := range rows {
			text := orDash(plain(c.text(e, &rows[n])))
			lines[1+n] = append(lines[1+n], text)
		}
		for _, l := range lines {
			widths[i] = max(widths[i], utf8.RuneCountInString(l[i]))
		}
	}
	for n, l := range lines {
		var b strings.Builder
		for i, text := range l {
			b.WriteString(text)
			b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(text)+2))
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
		if n > 0 && t.notes != nil {
			t.notes(e, &rows[n-1], func(format string, args ...any) {
				fmt.Fprintf(w, "    %s\n", plain(fmt.Sprintf(format, args...)))
			})
		}
	}
}

// indented puts four spaces before every line; each Write is a whole line.
type indented struct{ w io.Writer }

// Write implements io.Writer.
func (i indented) Write(b []byte) (int, error) {
	if _, err := io.WriteString(i.w, "    "); err != nil {
		return 0, err
	}
	return i.w.Write(b)
}
