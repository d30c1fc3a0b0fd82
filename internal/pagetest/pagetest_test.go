package pagetest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// teller is a testing.TB that keeps what it is told.
type teller struct {
	testing.TB
	told []string
}

func (t *teller) Helper() {}

func (t *teller) Errorf(format string, args ...any) {
	t.told = append(t.told, fmt.Sprintf(format, args...))
}

// TestTable: the table is held, and written, and nothing else of the page is.
func TestTable(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.md")
	const before, after = "# A page\n\n<!-- one -->\n| 1 |\n<!-- end -->\n\n<!-- two -->\n", "<!-- end -->\nThe end.\n"
	if err := os.WriteFile(page, []byte(before+"| a |\n| b |\n"+after), 0o644); err != nil {
		t.Fatal(err)
	}
	two := Table{page, "two"}
	two.Hold(t, "| a |\n| b |\n", false)
	var told teller
	two.Hold(&told, "| a |\n| c |\n", false)
	if got := strings.Join(told.told, "; "); len(told.told) != 3 || !strings.Contains(got, "not so: | b |") ||
		!strings.Contains(got, "lacks a line: | c |") {
		t.Errorf("told %q", got)
	}
	told.told = nil
	if two.Hold(&told, "| b |\n| a |\n", false); len(told.told) != 1 {
		t.Errorf("of another order told %q", told.told)
	}
	two.Hold(t, "| c |\n", true)
	if got, err := os.ReadFile(page); err != nil || string(got) != before+"| c |\n"+after {
		t.Errorf("the page is %q, %v", got, err)
	}
	for _, missing := range []Table{{page, "three"}, {page + "x", "two"}} {
		if _, err := missing.Read(); err == nil {
			t.Errorf("%v is there", missing)
		}
		if missing.Write("") == nil {
			t.Errorf("%v is written", missing)
		}
	}
	if left, err := os.ReadDir(filepath.Dir(page)); err != nil || slices.ContainsFunc(left, func(e os.DirEntry) bool {
		return e.Name() != "page.md"
	}) {
		t.Errorf("files %v, %v", left, err)
	}
}
