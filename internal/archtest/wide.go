package archtest

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
)

// wide are types that everything in their room could end in. Methods counts the methods
// of a type and the functions that take it as a parameter, together.
var wide = []struct {
	pkg, name       string
	methods, fields int
}{
	{"context/worker", "Worker", 40, 15},
	{"system", "System", 40, 15},
	{"system/pair", "Pair", 40, 15},
	{"ike/ikev2", "SA", 80, 45},
}

// checkWide holds those types to their bounds.
func checkWide(t *Tree) []Finding {
	var out []Finding
	for _, w := range wide {
		for _, p := range t.Packages {
			if p.Path != w.pkg {
				continue
			}
			methods, fields := width(p, w.name)
			if methods > w.methods {
				out = append(out,
					Finding{p.Path,
						fmt.Sprintf("%s has %d methods and functions that take it, and %d are the limit: what of it "+
							"is a type of its own?",
							w.name, methods, w.methods)})
			}
			if fields > w.fields {
				out = append(out,
					Finding{p.Path,
						fmt.Sprintf("%s has %d fields, and %d are the limit: what of it is a type of its own?",
							w.name, fields, w.fields)})
			}
		}
	}
	return out
}

// width counts the methods of a type with the functions that take it, and its fields.
func width(p *Package, name string) (methods, fields int) {
	for _, f := range p.Files {
		eachFunc(f, func(d *ast.FuncDecl) {
			if takes(d.Recv, name) || takes(d.Type.Params, name) {
				methods++
			}
		})
		ast.Inspect(f.AST, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || spec.Name.Name != name {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				for _, x := range s.Fields.List {
					fields += max(1, len(x.Names))
				}
			}
			return true
		})
	}
	return methods, fields
}

// takes reports whether one of some parameters is of a type, or points at it.
func takes(list *ast.FieldList, name string) bool {
	if list == nil {
		return false
	}
	for _, x := range list.List {
		t := x.Type
		if p, ok := t.(*ast.StarExpr); ok {
			t = p.X
		}
		if id, ok := t.(*ast.Ident); ok && id.Name == name {
			return true
		}
	}
	return false
}

// roles are what a node can be for a tenant. Only context/replica knows.
var roles = []string{"alone", "active", "standby"}

// replicaPredicates are the exported questions of context/replica that are answered with
// yes or no. None of them is about the role.
var replicaPredicates = []string{"Crowded"}

// checkRoles wants no question about the role outside context/replica: it exports none
// of the types, and no method that says which one there is.
func checkRoles(t *Tree) []Finding {
	var out []Finding
	for _, p := range t.Packages {
		if p.Path != "context/replica" {
			continue
		}
		for _, f := range p.Files {
			eachFunc(f, func(d *ast.FuncDecl) {
				if d.Name.IsExported() && isPredicate(d) && !slices.Contains(replicaPredicates, d.Name.Name) {
					out = append(out,
						Finding{t.at(d.Name),
							d.Name.Name + " is a question with yes or no: say what has to be done instead (Serve, " +
								"Last, WhenServing)"})
				}
			})
			ast.Inspect(f.AST, func(n ast.Node) bool {
				if spec, ok := n.(*ast.TypeSpec); ok && spec.Name.IsExported() &&
					slices.Contains(roles, strings.ToLower(spec.Name.Name)) {
					out = append(out,
						Finding{t.at(spec.Name),
							spec.Name.Name + " is a role: only this room knows which one there is"})
				}
				return true
			})
		}
	}
	return out
}

// isPredicate reports whether a function returns a bool and nothing else.
func isPredicate(d *ast.FuncDecl) bool {
	r := d.Type.Results
	if r == nil || len(r.List) != 1 || len(r.List[0].Names) > 1 {
		return false
	}
	id, ok := r.List[0].Type.(*ast.Ident)
	return ok && id.Name == "bool"
}
