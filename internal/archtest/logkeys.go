package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// dictionary is the page that says what the keys of log records mean.
const dictionary = "docs/logging.md"

// loggers are what a logger is called, messages and derivations the methods
// that take a message and then keys, or keys alone.
var (
	loggers     = []string{"log", "Log", "logger", "slog"}
	messages    = []string{"Debug", "Info", "Warn", "Error"}
	derivations = []string{"With"}
)

// factPass is the type of the parameter of a method that lists the fields of a fact
// (context/control), and so the keys of its line: the second argument of each of its
// methods.
const factPass = "Fields"

var dictionaryKey = regexp.MustCompile("`([a-z0-9_]+)`")

// checkLogKeys wants a constant message in every log record, and no key that
// the dictionary lacks; nor may the dictionary have one that nothing uses.
func checkLogKeys(t *Tree) []Finding {
	page := t.text(dictionary)
	if page == nil {
		return nil // a small tree of a test
	}
	known := map[string]bool{} // true: used
	for line := range strings.Lines(string(page.Body)) {
		if cell, _, ok := strings.Cut(strings.TrimPrefix(line, "|"), "|"); ok && strings.HasPrefix(line, "|") {
			for _, m := range dictionaryKey.FindAllStringSubmatch(cell, -1) {
				known[m[1]] = false
			}
		}
	}
	var out []Finding
	for _, p := range t.Packages {
		if isForTests(p.Path) || strings.HasPrefix(p.Path, "bench") {
			continue
		}
		for _, f := range p.Files {
			ast.Inspect(f.AST, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CallExpr:
					out = append(out, t.logCall(n, known)...)
				case *ast.FuncDecl:
					out = append(out, t.factKeys(n, known)...)
				}
				return true
			})
		}
	}
	for key, used := range known {
		if !used {
			out = append(out,
				Finding{dictionary, fmt.Sprintf("no log record has the key %q any more: strike it out", key)})
		}
	}
	slices.SortFunc(out, func(a, b Finding) int { return strings.Compare(a.String(), b.String()) })
	return out
}

// logCall judges one call, if it is about a log record.
func (t *Tree) logCall(call *ast.CallExpr, known map[string]bool) []Finding {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return nil
	}
	args := call.Args
	switch {
	case !isLogger(sel.X):
		return nil
	case slices.Contains(messages, sel.Sel.Name) && len(args) > 0:
		if _, ok := literal(args[0]); !ok {
			return []Finding{
				{t.at(args[0]), "the message of a log record is a constant; what is particular goes into keys"}}
		}
		args = args[1:]
	case !slices.Contains(derivations, sel.Sel.Name):
		return nil
	}
	return t.logKeys(args, call.Ellipsis != token.NoPos, known)
}

// factKeys judges the keys of a function, if it lists the fields of a fact.
func (t *Tree) factKeys(d *ast.FuncDecl, known map[string]bool) (out []Finding) {
	if d.Recv == nil || d.Body == nil || !strings.EqualFold(d.Name.Name, factPass) ||
		!takes(d.Type.Params, factPass) && !takesOf(d.Type.Params, "control", factPass) ||
		len(d.Type.Params.List[0].Names) == 0 {
		return nil
	}
	pass := d.Type.Params.List[0].Names[0].Name
	ast.Inspect(d.Body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) < 3 {
			return true
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if id, ok := sel.X.(*ast.Ident); ok && id.Name == pass {
			out = append(out, t.logKeys(call.Args[1:3], false, known)...)
		}
		return true
	})
	return out
}

// takesOf reports whether one of some parameters points at a type of another package.
func takesOf(list *ast.FieldList, pkg, name string) bool {
	for _, x := range list.List {
		if p, ok := x.Type.(*ast.StarExpr); ok {
			if sel, ok := p.X.(*ast.SelectorExpr); ok && sel.Sel.Name == name {
				id, ok := sel.X.(*ast.Ident)
				return ok && id.Name == pkg
			}
		}
	}
	return false
}

// logKeys judges the keys among the arguments; the last argument may be a list
// that was put together, whose literal part counts.
func (t *Tree) logKeys(args []ast.Expr, spread bool, known map[string]bool) []Finding {
	if spread {
		if len(args) != 1 {
			return nil // a list that somebody else was given: judged there
		}
		if call, ok := args[0].(*ast.CallExpr); ok && len(call.Args) > 0 {
			if list, ok := call.Args[0].(*ast.CompositeLit); ok {
				return t.logKeys(list.Elts, false, known)
			}
		}
		return nil
	}
	var out []Finding
	for i := 0; i < len(args); i += 2 {
		key, ok := literal(args[i])
		if !ok {
			out = append(out, Finding{t.at(args[i]), "the key of a log record is a constant"})
			continue
		}
		if _, ok := known[key]; !ok {
			out = append(out,
				Finding{t.at(args[i]),
					fmt.Sprintf("%s has no key %q: take one that it has, or say there what this one means",
						dictionary, key)})
		}
		known[key] = true
		if i+1 < len(args) && isErrorText(args[i+1]) {
			out = append(out, Finding{t.at(args[i+1]), "an error is a value of a log record as it is, without Error()"})
		}
	}
	return out
}

// isErrorText reports whether an expression is x.Error().
func isErrorText(x ast.Expr) bool {
	call, ok := x.(*ast.CallExpr)
	if !ok || len(call.Args) > 0 {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	return ok && sel.Sel.Name == "Error"
}

// isLogger reports whether an expression is a logger, by its name, or by being
// derived from one.
func isLogger(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		return slices.Contains(loggers, x.Name)
	case *ast.SelectorExpr:
		return slices.Contains(loggers, x.Sel.Name)
	case *ast.CallExpr: // log.With(...).Warn(...), slog.New(...).With(...)
		sel, ok := x.Fun.(*ast.SelectorExpr)
		return ok && isLogger(sel.X)
	}
	return false
}

func literal(x ast.Expr) (string, bool) {
	lit, ok := x.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil
}
