package archtest

import (
	"go/ast"
	"go/token"
	"go/types"
	"strings"
)

// foreignWrites returns the places in a file of package pkg that write a field of a
// type of another package of ours. A struct whose fields are all exported is a
// value that anybody may put together. One that keeps something to itself is
// written by its own package only, by methods that say what a write means.
func foreignWrites(info *types.Info, pkg string, f *ast.File) (out []ast.Node) {
	check := func(x ast.Expr) {
		sel, ok := ast.Unparen(x).(*ast.SelectorExpr)
		if !ok {
			return
		}
		s := info.Selections[sel]
		if s == nil || s.Kind() != types.FieldVal || s.Obj().Pkg() == nil {
			return
		}
		owner := s.Obj().Pkg().Path()
		if owner != pkg && strings.HasPrefix(owner, module) && !isValue(holder(s)) {
			out = append(out, sel)
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				for _, x := range n.Lhs {
					check(x)
				}
			}
		case *ast.IncDecStmt:
			check(n.X)
		}
		return true
	})
	return out
}

// holder returns the struct that has the field of a selection: the type on its left,
// or one that is embedded there.
func holder(s *types.Selection) *types.Struct {
	at := structOf(s.Recv())
	for _, i := range s.Index()[:len(s.Index())-1] {
		at = structOf(at.Field(i).Type())
	}
	return at
}

// structOf returns the struct that a type is, or points at.
func structOf(t types.Type) *types.Struct {
	if p, ok := t.Underlying().(*types.Pointer); ok {
		t = p.Elem()
	}
	s, _ := t.Underlying().(*types.Struct)
	return s
}

// isValue reports whether a struct keeps nothing to itself.
func isValue(s *types.Struct) bool {
	for f := range s.Fields() {
		if !f.Exported() {
			return false
		}
	}
	return true
}
