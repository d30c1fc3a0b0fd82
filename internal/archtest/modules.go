package archtest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// modulesPage is the page that says what each direct dependency is for.
const modulesPage = "docs/dependencies.md"

var moduleRow = regexp.MustCompile("`([a-z0-9.-]+\\.[a-z]+/[^`]+)`( \\*)?")

// checkModules wants a row for every module that go.mod requires directly, and
// no row for another.
func checkModules(t *Tree) []Finding {
	page, mod := t.text(modulesPage), t.text("go.mod")
	if page == nil || mod == nil {
		return nil // a small tree of a test
	}
	rows := modules(page)
	var out []Finding
	for line := range strings.Lines(string(mod.Body)) {
		fields := strings.Fields(strings.TrimPrefix(line, "require "))
		if len(fields) != 2 || !strings.HasPrefix(fields[1], "v") {
			continue // "// indirect" makes it four
		}
		if _, ok := rows[fields[0]]; !ok {
			out = append(out,
				Finding{modulesPage,
					fmt.Sprintf("%s is required by go.mod: say where, and why it is not our own", fields[0])})
		}
		delete(rows, fields[0])
	}
	for name := range rows {
		out = append(out, Finding{modulesPage, fmt.Sprintf("%s is not required by go.mod any more", name)})
	}
	slices.SortFunc(out, func(a, b Finding) int { return strings.Compare(a.Text, b.Text) })
	return out
}

// modules are those with a row of the table; true: with a star, for the worker.
func modules(page *Text) map[string]bool {
	rows := map[string]bool{}
	for line := range strings.Lines(string(page.Body)) {
		if cell, _, ok := strings.Cut(strings.TrimPrefix(line, "|"), "|"); ok && strings.HasPrefix(line, "|") {
			for _, m := range moduleRow.FindAllStringSubmatch(cell, -1) {
				rows[m[1]] = m[2] != ""
			}
		}
	}
	return rows
}

// text returns the text file at a path, nil where there is none.
func (t *Tree) text(path string) *Text {
	i := slices.IndexFunc(t.Texts, func(x *Text) bool { return x.Path == path })
	if i < 0 {
		return nil
	}
	return t.Texts[i]
}
