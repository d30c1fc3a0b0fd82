package archtest

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
)

// covers reports whether a pattern of rooms covers a package.
func covers(pattern, pkg string) bool {
	below, ok := strings.CutSuffix(pattern, "...")
	if !ok {
		return pattern == pkg
	}
	return strings.HasPrefix(pkg+"/", below)
}

// roomOf returns the room of a package.
func roomOf(pkg string) (room, bool) {
	if isTestPackage(pkg) {
		return testRoom, true
	}
	return roomIn(rooms, pkg)
}

// roomIn returns the room of a package in a table of rooms: the one with the longest path
// that covers it.
func roomIn(rooms []room, pkg string) (room, bool) {
	var best room
	for _, r := range rooms {
		if covers(r.path, pkg) && len(r.path) > len(best.path) {
			best = r
		}
	}
	return best, best.path != ""
}

// isTestPackage reports whether a package is named as a fake or a simulator.
func isTestPackage(pkg string) bool {
	return strings.HasSuffix(pkg, "test") && !strings.HasPrefix(pkg, "internal/archtest")
}

func checkEdges(t *Tree) []Finding {
	var out []Finding
	for _, p := range t.Packages {
		from, ok := roomOf(p.Path)
		if !ok {
			out = append(out,
				Finding{p.Path, "this folder is no room of the house: give it a line in internal/archtest/rooms.go " +
					"and docs/architecture.md, or move its files to where they belong"})
			continue
		}
		for _, f := range p.Files {
			eachImport(f, func(spec *ast.ImportSpec, target string) {
				to, ours := strings.CutPrefix(target, module)
				if !ours || slices.ContainsFunc(from.may, func(m string) bool { return covers(m, to) }) {
					return
				}
				out = append(out, Finding{t.at(spec), edgeText(p.Path, to, from)})
			})
		}
	}
	return out
}

// edgeText explains a forbidden import.
func edgeText(from, to string, r room) string {
	text := fmt.Sprintf("%s must not import %s: %s. ", from, to, r.because)
	if target, ok := roomOf(to); r.pure && ok && !target.pure {
		text += "A pure package never imports a driver. "
	}
	if len(r.may) == 0 {
		return text + "It may import nothing of this module"
	}
	return text + "It may import " + strings.Join(r.may, ", ")
}

func checkThirdParty(t *Tree) []Finding {
	var out []Finding
	for _, p := range t.Packages {
		for _, f := range p.Files {
			eachImport(f, func(spec *ast.ImportSpec, target string) {
				for _, other := range thirdParty {
					if !strings.HasPrefix(target+"/", strings.TrimSuffix(other.module, "/")+"/") {
						continue
					}
					if !slices.ContainsFunc(other.in, func(m string) bool { return covers(m, p.Path) }) {
						out = append(out, Finding{t.at(spec), fmt.Sprintf("%s belongs into %s: %s",
							target, strings.Join(other.in, ", "), other.because)})
					}
				}
			})
		}
	}
	return out
}

// forTests are packages besides *test that only tests and one another may
// import.
var forTests = []string{"internal/lab/...", "internal/archtest", "e2e/...", "interop", "conformance",
	"bench/..."}

func isForTests(pkg string) bool {
	return isTestPackage(pkg) || slices.ContainsFunc(forTests, func(m string) bool { return covers(m, pkg) })
}

func checkTestPackages(t *Tree) []Finding {
	var out []Finding
	for _, p := range t.Packages {
		if isForTests(p.Path) {
			continue
		}
		for _, f := range p.Files {
			eachImport(f, func(spec *ast.ImportSpec, target string) {
				to, ours := strings.CutPrefix(target, module)
				if target == "testing" || ours && isForTests(to) {
					out = append(out,
						Finding{t.at(spec), fmt.Sprintf("%s is for tests: production code must not import it", target)})
				}
			})
		}
	}
	return out
}
