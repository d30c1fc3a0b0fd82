package archtest

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
)

// checkUnusedEdges wants the table of rooms to be what is: every import that is allowed
// has a user, and every room a package, or it is planned. A permission that nobody uses
// is a promise to the next author.
func checkUnusedEdges(t *Tree) []Finding {
	if !slices.ContainsFunc(t.Packages, func(p *Package) bool { return p.Path == "internal/archtest" }) {
		return nil // a small tree of a test
	}
	return unusedEdges(t, rooms)
}

// unusedEdges are the lines of a table of rooms that nothing in a tree needs.
func unusedEdges(t *Tree, rooms []room) []Finding {
	used := map[string][]string{} // imports of our own, by the path of the room
	for _, p := range t.Packages {
		r, ok := roomIn(rooms, p.Path)
		if !ok {
			continue
		}
		if _, there := used[r.path]; !there {
			used[r.path] = nil
		}
		files := p.Files
		if isForTests(p.Path) {
			files = p.All()
		}
		for _, f := range files {
			eachImport(f, func(_ *ast.ImportSpec, target string) {
				if to, ours := strings.CutPrefix(target, module); ours {
					used[r.path] = append(used[r.path], to)
				}
			})
		}
	}
	const at = "internal/archtest/rooms.go"
	var out []Finding
	for _, r := range rooms {
		imports, there := used[r.path]
		switch {
		case !there && !r.planned:
			out = append(out,
				Finding{at, fmt.Sprintf("%s has no package: strike its line out, or say that it is planned", r.path)})
		case there && r.planned:
			out = append(out, Finding{at, fmt.Sprintf("%s is there, and no longer planned", r.path)})
		case r.planned:
			continue
		}
		for _, m := range r.may {
			if m != "..." && !slices.ContainsFunc(imports, func(to string) bool { return covers(m, to) }) {
				out = append(out,
					Finding{at, fmt.Sprintf("%s may import %s, and nothing in it does: strike that out", r.path, m)})
			}
		}
	}
	return out
}
