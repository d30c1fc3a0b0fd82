package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"regexp"
	"strings"
)

// The longest files, in lines. One idea needs less; a test is a table.
const (
	maxLines     = 700
	maxTestLines = 1200
)

func checkSizes(t *Tree) []Finding {
	var out []Finding
	for _, x := range t.Texts {
		limit := maxLines
		switch {
		case !strings.HasSuffix(x.Path, ".go"):
			continue
		case strings.HasSuffix(x.Path, "_test.go"):
			limit = maxTestLines
		}
		if n := x.Lines(); n > limit {
			out = append(out,
				Finding{x.Path, fmt.Sprintf("%d lines, and %d are the limit: one idea per file", n, limit)})
		}
	}
	return out
}

// maxFunc is the longest body of a function, in lines. Tests are exempt: their
// tables stand inside.
const maxFunc = 100

func checkFuncs(t *Tree) []Finding {
	var out []Finding
	for _, p := range t.Packages {
		for _, f := range p.Files {
			eachFunc(f, func(d *ast.FuncDecl) {
				if d.Body == nil {
					return
				}
				n := t.fset.Position(d.Body.Rbrace).Line - t.fset.Position(d.Pos()).Line + 1
				if n > maxFunc {
					out = append(out,
						Finding{t.at(d), fmt.Sprintf("%s has %d lines, and %d are the limit: name its steps",
							d.Name.Name, n, maxFunc)})
				}
			})
		}
	}
	return out
}

// The words are put together here so that this file does not break its rules.
var (
	outside    = regexp.MustCompile(`(^|[^\w.])/(wo` + `rk|ro` + `ot)/|\.libr` + `ary/|\.mir` + `ror/`)
	upstairs   = regexp.MustCompile(`\.\./sha` + `red\b`)
	unfinished = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b|(?i:not (yet )?impl` + `emented)`)
)

// checkForeign finds paths of the machine that somebody happened to work on. Test
// files may read the third-party data beside the checkout.
func checkForeign(t *Tree) []Finding {
	return eachLine(t, func(x *Text, line []byte) string {
		if m := outside.Find(line); m != nil {
			return fmt.Sprintf("%q is a path of one machine: a fresh clone has it not", bytes.TrimSpace(m))
		}
		if upstairs.Match(line) && strings.HasSuffix(x.Path, ".go") && !strings.HasSuffix(x.Path, "_test.go") &&
			!isForTests(folder(x.Path)) {
			return "only tests may read files from outside of the tree"
		}
		return ""
	})
}

func checkUnfinished(t *Tree) []Finding {
	return eachLine(t, func(_ *Text, line []byte) string {
		if m := unfinished.Find(line); m != nil {
			return fmt.Sprintf("%q: finish it, or write an issue", m)
		}
		return ""
	})
}

// eachLine collects what judge says about lines.
func eachLine(t *Tree, judge func(*Text, []byte) string) []Finding {
	var out []Finding
	for _, x := range t.Texts {
		n := 0
		for line := range bytes.Lines(x.Body) {
			n++
			if text := judge(x, line); text != "" {
				out = append(out, Finding{fmt.Sprintf("%s:%d", x.Path, n), text})
			}
		}
	}
	return out
}

// folder returns the folder of a path.
func folder(p string) string {
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		return p[:i]
	}
	return "."
}
