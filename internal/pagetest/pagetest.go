// Package pagetest holds tables of pages to the tests that make them: what a page says and
// what is tested are one list.
package pagetest

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// Table is the part of a Markdown page that a test makes: between the lines
// "<!-- NAME -->" and "<!-- end -->".
type Table struct {
	Page string // its path
	Name string
}

// tableEnd is the line behind a table.
const tableEnd = "<!-- end -->\n"

// Hold fails the test where the table is not want, or with update writes it.
func (t Table) Hold(tb testing.TB, want string, update bool) {
	tb.Helper()
	if update {
		if err := t.Write(want); err != nil {
			tb.Fatal(err)
		}
		return
	}
	have, err := t.Read()
	if err != nil {
		tb.Fatal(err)
	}
	if have == want {
		return
	}
	in := func(text, line string) bool { return strings.Contains("\n"+text, "\n"+line) }
	for line := range strings.Lines(have) {
		if !in(want, line) {
			tb.Errorf("table %s of %s has a line that is not so: %s", t.Name, t.Page, line)
		}
	}
	for line := range strings.Lines(want) {
		if !in(have, line) {
			tb.Errorf("table %s of %s lacks a line: %s", t.Name, t.Page, line)
		}
	}
	tb.Errorf("the table %s of %s is written by this test with -update", t.Name, t.Page)
}

// Read returns the table.
func (t Table) Read() (string, error) {
	_, table, _, err := t.cut()
	return table, err
}

// Write replaces the table.
func (t Table) Write(table string) error {
	before, _, after, err := t.cut()
	if err != nil {
		return err
	}
	return os.WriteFile(t.Page, []byte(before+table+after), 0o644)
}

// cut returns the page before the table, the table, and the rest, its mark included.
func (t Table) cut() (before, table, after string, err error) {
	page, err := os.ReadFile(t.Page)
	if err != nil {
		return "", "", "", err
	}
	begin := "<!-- " + t.Name + " -->\n"
	before, rest, found := strings.Cut(string(page), begin)
	table, after, closed := strings.Cut(rest, tableEnd)
	if !found || !closed {
		return "", "", "", fmt.Errorf("%s has no table between %q and %q", t.Page, begin, tableEnd)
	}
	return before + begin, table, tableEnd + after, nil
}
