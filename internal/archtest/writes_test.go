package archtest

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"strings"
	"testing"
)

// TestWrites: no function outside a room writes a field of a type of that room.
func TestWrites(t *testing.T) {
	tree, err := Load(os.DirFS(top))
	if err != nil {
		t.Fatal(err)
	}
	exports := map[string]string{} // files that the compiler has made, by import path
	for d := json.NewDecoder(strings.NewReader(list(t, "-export", "-deps", "-json=ImportPath,Export", "./..."))); ; {
		var p struct{ ImportPath, Export string }
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		exports[p.ImportPath] = p.Export
	}
	imports := importer.ForCompiler(tree.fset, "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exports[path])
	})
	seen := 0
	for _, p := range tree.Packages {
		if isForTests(p.Path) || len(p.Files) == 0 || strings.HasPrefix(p.Path, "bench") {
			continue
		}
		info := typesOf(tree, p, imports)
		seen += len(info.Selections)
		for _, f := range p.Files {
			for _, x := range foreignWrites(info, module+p.Path, f.AST) {
				t.Errorf("%s: a field of a type of another room is written here: give the type a method that says "+
					"what that means", tree.at(x))
			}
		}
	}
	if seen < 10000 {
		t.Errorf("only %d selectors have types: the tree was not read", seen)
	}
}

// typesOf says what the selectors of a package are. Files for other machines are
// read, too, and what they declare twice is passed over.
func typesOf(tree *Tree, p *Package, imports types.Importer) *types.Info {
	var files []*ast.File
	for _, f := range p.Files {
		files = append(files, f.AST)
	}
	info := &types.Info{Selections: map[*ast.SelectorExpr]*types.Selection{}}
	conf := types.Config{Importer: imports, Error: func(error) {}}
	_, _ = conf.Check(module+p.Path, tree.fset, files, info)
	return info
}

// TestForeignWrites: what counts as a write, and of what.
func TestForeignWrites(t *testing.T) {
	const room = `package room
type Value struct { X, Y int }
type Thing struct { Value; N int; n int }
`
	for body, want := range map[string]int{
		"v.X = 1":                      0,
		"v.X, y.N = 1, 2":              1,
		"y.N++":                        1,
		"(y.N) += 2":                   1,
		"y.X = 1":                      0, // of the value that is embedded
		"y.Value.Y = 1":                0,
		"own.n = 1":                    0,
		"z := y.N; _ = z":              0,
		"func() { p := y; p.N = 1 }()": 1,
	} {
		fset := token.NewFileSet()
		read := func(name, text string) *ast.File {
			f, err := parser.ParseFile(fset, name, text, 0)
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
		other, err := (&types.Config{}).Check(module+"room", fset, []*ast.File{read("room.go", room)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		f := read("x.go", "package x\nimport \""+module+
			"room\"\nvar own struct{ n int }\nfunc f(v room.Value, y *room.Thing) { "+body+" }")
		info := &types.Info{Selections: map[*ast.SelectorExpr]*types.Selection{}}
		conf := types.Config{Importer: fixed{other}}
		if _, err := conf.Check(module+"x", fset, []*ast.File{f}, info); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if got := len(foreignWrites(info, module+"x", f)); got != want {
			t.Errorf("%s: %d findings, want %d", body, got, want)
		}
	}
}

// fixed imports one package.
type fixed struct{ p *types.Package }

// Import implements types.Importer.
func (f fixed) Import(string) (*types.Package, error) { return f.p, nil }
