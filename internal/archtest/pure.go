package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strings"
)

// impure are the packages that a pure one must not import, with all below
// them; pureAnyway are exceptions.
var (
	impure = []struct{ path, because string }{
		{"net", "packets arrive as arguments and leave in the output; net/netip has the addresses"},
		{"os", "files and the environment come through arguments; io/fs has the interfaces"},
		{"syscall", "it does I/O"},
		{"golang.org/x/sys", "it does I/O"},
		{"golang.org/x/net", "it does I/O"},
		{"context", "nothing blocks, so nothing needs to be cancelled"},
		{"sync", "one goroutine owns the values: there is nothing to lock"},
		{"log", "events are returned, and the driver logs them"},
		{"math/rand", "randomness is an argument (Config.Rand)"},
		{"testing", "it is for tests"},
	}
	pureAnyway = []string{"net/netip", "net/url"}
)

// clocks are the names of package time that read or wait for the clock.
var clocks = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

func checkPure(t *Tree) []Finding {
	var out []Finding
	for _, p := range t.Packages {
		r, ok := roomOf(p.Path)
		if !ok || !r.pure {
			continue
		}
		for _, f := range p.Files {
			out = append(out, t.impureImports(p, f)...)
			out = append(out, t.impureCode(p, f)...)
		}
	}
	return out
}

func (t *Tree) impureImports(p *Package, f *File) []Finding {
	var out []Finding
	eachImport(f, func(spec *ast.ImportSpec, target string) {
		if slices.Contains(pureAnyway, target) || target == "sync/atomic" && covers("esp/...", p.Path) {
			return
		}
		for _, bad := range impure {
			if covers(bad.path+"/...", target) {
				out = append(out,
					Finding{t.at(spec), fmt.Sprintf("%s is pure and must not import %s: %s", p.Path, target,
						bad.because)})
			}
		}
	})
	return out
}

func (t *Tree) impureCode(p *Package, f *File) []Finding {
	clock := ""
	eachImport(f, func(spec *ast.ImportSpec, target string) {
		if target == "time" {
			clock = path.Base(target)
			if spec.Name != nil {
				clock = spec.Name.Name
			}
		}
	})
	var out []Finding
	ast.Inspect(f.AST, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			out = append(out, Finding{t.at(n), p.Path + " is pure and must not start a goroutine: its driver does"})
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && clock != "" && x.Name == clock && slices.Contains(clocks, n.Sel.Name) {
				out = append(out,
					Finding{t.at(n), fmt.Sprintf("%s is pure and must not use time.%s: the time is an argument", p.Path,
						n.Sel.Name)})
			}
		}
		return true
	})
	if clock == "." {
		out = append(out, Finding{f.Path, "time must not be imported with a dot: nobody sees then who reads the clock"})
	}
	return out
}

// reservedFolders are names that say nothing about what is in a folder.
var reservedFolders = []string{"util", "utils", "common", "helpers", "helper", "types", "errors", "misc",
	"shared", "pkg"}

func checkFolders(t *Tree) []Finding {
	var out []Finding
	for _, p := range t.Packages {
		for part := range strings.SplitSeq(p.Path, "/") {
			if slices.Contains(reservedFolders, part) {
				out = append(out,
					Finding{p.Path, fmt.Sprintf("%q says nothing about what is in it: name it after its idea, "+
						"or move each piece to its only user", part)})
			}
		}
	}
	return out
}

func checkPackageNames(t *Tree) []Finding {
	var out []Finding
	first := map[string]string{}
	for _, p := range t.Packages {
		for _, f := range p.All() {
			name := f.AST.Name.Name
			if want := p.Name(); name != want && name != want+"_test" {
				out = append(out, Finding{f.Path, fmt.Sprintf("package %s beside package %s", name, want)})
			}
		}
		if p.Name() == "main" {
			continue
		}
		if p.Name() != path.Base(p.Path) {
			out = append(out,
				Finding{p.Path, fmt.Sprintf("package %s must be named after its folder, %s", p.Name(),
					path.Base(p.Path))})
		}
		if other, ok := first[p.Name()]; ok {
			out = append(out,
				Finding{p.Path,
					fmt.Sprintf("package %s has the name of %s: names are unique, so that nobody needs an alias",
						p.Name(), other)})
		}
		first[p.Name()] = p.Path
	}
	return out
}

func checkContext(t *Tree) []Finding {
	var out []Finding
	for _, p := range t.Packages {
		if p.Path == "context" {
			out = append(out,
				Finding{"context", "this folder holds rooms and no Go file: the standard library owns the name"})
		}
		for _, f := range p.All() {
			out = append(out, t.contextNames(p, f)...)
		}
	}
	return out
}

// contextNames finds types called Context and aliases of package context.
func (t *Tree) contextNames(p *Package, f *File) []Finding {
	var out []Finding
	eachImport(f, func(spec *ast.ImportSpec, target string) {
		if target == "context" && spec.Name != nil {
			out = append(out, Finding{t.at(spec), "package context is never imported under another name"})
		}
	})
	for _, d := range f.AST.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.TYPE {
			continue
		}
		for _, s := range g.Specs {
			ts := s.(*ast.TypeSpec)
			if ts.Name.Name == "Context" {
				out = append(out, Finding{t.at(ts), "no type of ours is called Context: the noun in code is tenant"})
			}
		}
	}
	return out
}
