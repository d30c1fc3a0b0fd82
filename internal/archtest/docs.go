package archtest

import (
	"fmt"
	"go/ast"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// documented is the share of exported names, in percent, that need a comment
// which begins with the name.
const documented = 97

func checkPackageComments(t *Tree) []Finding {
	var out []Finding
	for _, p := range t.Packages {
		if len(p.Files) == 0 {
			continue // only tests: what they test has the comment
		}
		var comments []string
		for _, f := range p.Files {
			if f.AST.Doc != nil {
				comments = append(comments, f.AST.Doc.Text())
			}
		}
		want := "Package " + p.Name() + " "
		switch {
		case p.Name() != "main":
		case strings.HasPrefix(p.Path, "cmd/"):
			want = "Command " + path.Base(p.Path) + " "
		default:
			want = "" // a program for developers says it as it likes
		}
		switch {
		case len(comments) == 0:
			out = append(out,
				Finding{p.Path,
					"no package comment: say what the package is, what it is not, which RFC sections it follows, " +
						"whether it does I/O"})
		case len(comments) > 1:
			out = append(out, Finding{p.Path, fmt.Sprintf("%d package comments: one file has it", len(comments))})
		case !strings.HasPrefix(comments[0], want):
			out = append(out, Finding{p.Path, fmt.Sprintf("the package comment must begin with %q", want)})
		}
	}
	return out
}

// checkDocs counts over the whole tree, and lists the gaps only where they are
// too many.
func checkDocs(t *Tree) []Finding {
	var gaps []Finding
	total := 0
	for _, p := range t.Packages {
		if p.Name() == "main" || isForTests(p.Path) {
			continue
		}
		for _, f := range p.Files {
			for _, d := range f.AST.Decls {
				n, g := t.undocumented(d)
				total += n
				gaps = append(gaps, g...)
			}
		}
	}
	if (total-len(gaps))*100 >= total*documented {
		return nil
	}
	return append(gaps,
		Finding{".", fmt.Sprintf("%d of %d exported names have a comment that begins with the name; %d %% must",
			total-len(gaps), total, documented)})
}

// undocumented returns how many exported names a declaration has, and those
// without a comment.
func (t *Tree) undocumented(d ast.Decl) (int, []Finding) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if !d.Name.IsExported() || d.Recv != nil && !exportedReceiver(d.Recv) {
			return 0, nil
		}
		return 1, t.gap(d.Name, beginsWith(d.Doc, d.Name.Name))
	case *ast.GenDecl:
		total, gaps := 0, []Finding(nil)
		for _, s := range d.Specs {
			n, g := t.undocumentedSpec(d, s)
			total += n
			gaps = append(gaps, g...)
		}
		return total, gaps
	}
	return 0, nil
}

// undocumentedSpec does the same for one type, or the constants or variables of
// one line: these may share the comment of their group.
func (t *Tree) undocumentedSpec(d *ast.GenDecl, s ast.Spec) (int, []Finding) {
	switch s := s.(type) {
	case *ast.TypeSpec:
		if !s.Name.IsExported() {
			return 0, nil
		}
		doc := s.Doc
		if doc == nil {
			doc = d.Doc
		}
		return 1, t.gap(s.Name, beginsWith(doc, s.Name.Name))
	case *ast.ValueSpec:
		total, gaps := 0, []Finding(nil)
		for _, name := range s.Names {
			if name.IsExported() {
				total++
				gaps = append(gaps, t.gap(name, s.Doc != nil || s.Comment != nil || d.Doc != nil)...)
			}
		}
		return total, gaps
	}
	return 0, nil
}

func (t *Tree) gap(name *ast.Ident, ok bool) []Finding {
	if ok {
		return nil
	}
	return []Finding{{t.at(name), fmt.Sprintf("%s has no comment that begins with its name", name.Name)}}
}

// beginsWith reports whether a comment's first word, after an article, is name.
func beginsWith(doc *ast.CommentGroup, name string) bool {
	text := doc.Text()
	for _, article := range []string{"A ", "An ", "The "} {
		text = strings.TrimPrefix(text, article)
	}
	rest, ok := strings.CutPrefix(text, name)
	next, _ := utf8.DecodeRuneInString(rest)
	return ok && !unicode.IsLetter(next) && !unicode.IsDigit(next)
}

func exportedReceiver(list *ast.FieldList) bool {
	found := false
	ast.Inspect(list.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && !found {
			found = id.IsExported()
			return false
		}
		return true
	})
	return found
}
