package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"unicode/utf8"
)

// The widest lines of Go files and of Markdown, in columns; a tab has four.
const (
	maxColumns = 120
	tabColumns = 4
)

// checkWidths wants lines that fit beside each other on a screen. Exempt is what
// cannot be wrapped: raw strings in Go, tables and code in Markdown, and words of
// half a line in both.
func checkWidths(t *Tree) []Finding {
	var out []Finding
	raw := t.rawStrings()
	for _, x := range t.Texts {
		goFile := strings.HasSuffix(x.Path, ".go")
		if !goFile && !strings.HasSuffix(x.Path, ".md") {
			continue
		}
		n, code := 0, false
		for line := range strings.Lines(string(x.Body)) {
			n++
			line = strings.TrimRight(line, "\n")
			if !goFile && strings.HasPrefix(line, "```") {
				code = !code
			}
			if raw[place{x.Path, n}] || code || !goFile &&
				(strings.HasPrefix(line, "|") || strings.HasPrefix(line, "    ")) {
				continue
			}
			if c := columns(line); c > maxColumns && !slices.ContainsFunc(strings.Fields(line), unbreakable) {
				out = append(out, Finding{fmt.Sprintf("%s:%d", x.Path, n),
					fmt.Sprintf("%d columns, and %d are the limit: wrap it", c, maxColumns)})
			}
		}
	}
	return out
}

// columns is how wide a line is.
func columns(line string) int {
	return utf8.RuneCountInString(line) + (tabColumns-1)*strings.Count(line, "\t")
}

func unbreakable(word string) bool { return len(word) > maxColumns/2 }

// place is a line of a file.
type place struct {
	path string
	line int
}

// rawStrings are the lines of Go files that hold a part of a raw string.
func (t *Tree) rawStrings() map[place]bool {
	lines := map[place]bool{}
	for _, p := range t.Packages {
		for _, f := range p.All() {
			ast.Inspect(f.AST, func(n ast.Node) bool {
				lit, ok := n.(*ast.BasicLit)
				if !ok || lit.Kind != token.STRING || lit.Value[0] != '`' {
					return true
				}
				from, to := t.fset.Position(lit.Pos()).Line, t.fset.Position(lit.End()).Line
				for line := from; line <= to; line++ {
					lines[place{f.Path, line}] = true
				}
				return true
			})
		}
	}
	return lines
}
