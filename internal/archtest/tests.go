package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// checkFuzz wants a FuzzParseX beside every ParseX.
func checkFuzz(t *Tree) []Finding {
	var out []Finding
	for _, p := range t.Packages {
		if isForTests(p.Path) {
			continue
		}
		targets := map[string]bool{}
		for _, f := range p.Tests {
			eachFunc(f, func(d *ast.FuncDecl) { targets[d.Name.Name] = true })
		}
		for _, f := range p.Files {
			eachFunc(f, func(d *ast.FuncDecl) {
				name := d.Name.Name
				if d.Recv == nil && strings.HasPrefix(name, "Parse") && !targets["Fuzz"+name] {
					out = append(out,
						Finding{t.at(d.Name), fmt.Sprintf("%s has no fuzz target: write Fuzz%s into %s", name,
							name, p.Path)})
				}
			})
		}
	}
	return out
}

func eachFunc(f *File, do func(*ast.FuncDecl)) {
	for _, d := range f.AST.Decls {
		if fd, ok := d.(*ast.FuncDecl); ok {
			do(fd)
		}
	}
}

// skippers are the methods that skip a test, receivers what a test calls itself.
var (
	skippers  = []string{"Skip", "Skipf", "SkipNow"}
	receivers = []string{"t", "tb", "b", "f"}
)

// checkSkips wants every function that skips a test to look whether it runs in
// CI, where a test that is skipped would count as passed.
func checkSkips(t *Tree) []Finding {
	var out []Finding
	for _, p := range t.Packages {
		for _, f := range p.All() {
			eachFunc(f, func(d *ast.FuncDecl) {
				if d.Body == nil {
					return
				}
				var skip ast.Node
				looks := false
				ast.Inspect(d.Body, func(n ast.Node) bool {
					switch n := n.(type) {
					case *ast.SelectorExpr:
						x, ok := n.X.(*ast.Ident)
						switch {
						case !ok:
						case slices.Contains(skippers, n.Sel.Name) && slices.Contains(receivers, x.Name):
							if skip == nil {
								skip = n
							}
						case x.Name == "testing" && n.Sel.Name == "Short": // CI does not ask for it
							looks = true
						}
					case *ast.BasicLit:
						looks = looks || n.Kind == token.STRING && n.Value == `"CI"`
					}
					return true
				})
				if skip != nil && !looks {
					out = append(out,
						Finding{t.at(skip), "this may skip a test in CI, where it would count as passed: " +
							`with the variable "CI" set it must fail`})
				}
			})
		}
	}
	return out
}
