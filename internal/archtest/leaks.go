package archtest

import (
	"go/ast"
	"strings"
)

// leakChecker is the module that finds goroutines that outlive the tests.
const leakChecker = "go.uber.org/goleak"

// checkLeaks wants the leak check in the tests of every package that starts a
// goroutine.
func checkLeaks(t *Tree) []Finding {
	var out []Finding
	for _, p := range t.Packages {
		if isForTests(p.Path) || strings.HasPrefix(p.Path, "bench") || checksLeaks(p) {
			continue
		}
		for _, f := range p.Files {
			if at := startsGoroutine(f); at != nil {
				out = append(out, Finding{t.at(at), "this starts a goroutine: " +
					"a TestMain of the package calls " + leakChecker + ".VerifyTestMain"})
				break
			}
		}
	}
	return out
}

func checksLeaks(p *Package) bool {
	found := false
	for _, f := range p.Tests {
		eachImport(f, func(_ *ast.ImportSpec, target string) { found = found || target == leakChecker })
	}
	return found
}

// startsGoroutine returns the first go statement of a file, or call of a method Go
// with a function, as sync.WaitGroup has it.
func startsGoroutine(f *File) (at ast.Node) {
	ast.Inspect(f.AST, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			at = n
		case *ast.CallExpr:
			if sel, ok := n.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Go" && len(n.Args) == 1 {
				at = n
			}
		}
		return at == nil
	})
	return at
}
