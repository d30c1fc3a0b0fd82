// Package archtest holds the tree to its design: the import rules of
// docs/architecture.md and those rules of house style that a program can judge.
// Its tests run every Rule on the real tree; each Rule is itself tested on small
// trees that break it.
//
// To add a room, give it a line in rooms.go: what it may import, and why no more.
// It reads files through an fs.FS, and is used by tests only.
package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// module is the prefix of our own import paths.
const module = "github.com/warrenvpn/warren/"

// A Rule finds what breaks it.
type Rule struct {
	Name  string
	Check func(*Tree) []Finding
}

// Rules are all rules.
var Rules = []Rule{
	{"imports run one way", checkEdges},
	{"imports that are allowed are used", checkUnusedEdges},
	{"modules of others stay in their rooms", checkThirdParty},
	{"test packages are for tests", checkTestPackages},
	{"pure packages are pure", checkPure},
	{"packages are named after their folders", checkPackageNames},
	{"folders say what they hold", checkFolders},
	{"context is the standard library's word", checkContext},
	{"every package says what it is", checkPackageComments},
	{"exported names are documented", checkDocs},
	{"every parser has a fuzz target", checkFuzz},
	{"files are short", checkSizes},
	{"lines are short", checkWidths},
	{"functions are short", checkFuncs},
	{"nothing ends in one type", checkWide},
	{"roles are known in one room", checkRoles},
	{"the tree stands alone", checkForeign},
	{"nothing is left unfinished", checkUnfinished},
	{"tests do not skip in CI", checkSkips},
	{"no goroutine outlives the tests", checkLeaks},
	{"dependencies are explained", checkModules},
	{"log records use the dictionary", checkLogKeys},
}

// Finding is one place that breaks a rule.
type Finding struct {
	At   string // file:line, or a folder
	Text string // what is wrong, and what to do
}

// String returns place and text.
func (f Finding) String() string { return f.At + ": " + f.Text }

// Tree is the module's source.
type Tree struct {
	Packages []*Package // in order of their paths
	Texts    []*Text    // every text file, Go or not
	fset     *token.FileSet
}

// Package is one folder with Go files.
type Package struct {
	Path  string // relative to the module's root
	Files []*File
	Tests []*File
}

// Name returns the name in the package clauses of its files.
func (p *Package) Name() string {
	for _, f := range slices.Concat(p.Files, p.Tests) {
		return strings.TrimSuffix(f.AST.Name.Name, "_test")
	}
	return ""
}

// All returns files and tests.
func (p *Package) All() []*File { return slices.Concat(p.Files, p.Tests) }

// File is one Go file.
type File struct {
	Path string
	AST  *ast.File
}

// Text is one file that people read.
type Text struct {
	Path string
	Body []byte
}

// Lines returns the number of lines.
func (t *Text) Lines() int { return bytes.Count(t.Body, []byte("\n")) }

// textual are the ends of the names of files that hold text.
var textual = []string{".go", ".md", ".hcl", ".json", ".sh", ".txt", ".yml", ".yaml", ".mod", "Makefile", ".ci/run"}

// Load reads and parses the tree in root. Folders that the Go tool ignores,
// test data, build results and other modules are left out.
func Load(root fs.FS) (*Tree, error) {
	t := &Tree{fset: token.NewFileSet()}
	packages := map[string]*Package{}
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("archtest: walking: %w", err)
		}
		if d.IsDir() {
			if ignored(root, name) {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() ||
			!slices.ContainsFunc(textual, func(s string) bool { return strings.HasSuffix(name, s) }) {
			return nil
		}
		body, err := fs.ReadFile(root, name)
		if err != nil {
			return fmt.Errorf("archtest: reading: %w", err)
		}
		t.Texts = append(t.Texts, &Text{name, body})
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		return t.addGo(packages, name, body)
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(t.Packages, func(a, b *Package) int { return strings.Compare(a.Path, b.Path) })
	return t, nil
}

func (t *Tree) addGo(packages map[string]*Package, name string, body []byte) error {
	tree, err := parser.ParseFile(t.fset, name, body, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return fmt.Errorf("archtest: parsing: %w", err)
	}
	folder := path.Dir(name)
	p, ok := packages[folder]
	if !ok {
		p = &Package{Path: folder}
		packages[folder] = p
		t.Packages = append(t.Packages, p)
	}
	f := &File{Path: name, AST: tree}
	if strings.HasSuffix(name, "_test.go") {
		p.Tests = append(p.Tests, f)
	} else {
		p.Files = append(p.Files, f)
	}
	return nil
}

// ignored reports whether a folder is none of ours to judge.
func ignored(root fs.FS, name string) bool {
	base := path.Base(name)
	if name == "." || name == ".ci" {
		return false
	}
	if strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" || name == "bin" {
		return true
	}
	_, err := fs.Stat(root, path.Join(name, "go.mod"))
	return err == nil
}

// at returns the place of a node.
func (t *Tree) at(n ast.Node) string {
	p := t.fset.Position(n.Pos())
	return fmt.Sprintf("%s:%d", p.Filename, p.Line)
}

// eachImport calls f for every import of a file.
func eachImport(file *File, f func(spec *ast.ImportSpec, target string)) {
	for _, spec := range file.AST.Imports {
		f(spec, strings.Trim(spec.Path.Value, "`\""))
	}
}
