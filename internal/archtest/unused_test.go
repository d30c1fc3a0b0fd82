package archtest

import (
	"slices"
	"strings"
	"testing"
)

// TestUnusedEdges: a table of rooms says what is, or what is planned.
func TestUnusedEdges(t *testing.T) {
	tree := load(t, map[string]string{
		"vfs/vfs.go":           "// Package vfs is.\npackage vfs\n\nimport _ \"" + module + "esp/sa\"\n",
		"e2e/e2e_test.go":      "package e2e\n\nimport _ \"" + module + "internal/lab\"\n",
		"vfs/vfs_test.go":      "package vfs\n\nimport _ \"" + module + "resource\"\n",
		"vfs/vfstest/vfs.go":   "// Package vfstest is.\npackage vfstest\n\nimport _ \"" + module + "resource\"\n",
		"vfs/deep/deep/own.go": "// Package deep is.\npackage deep\n\nimport _ \"" + module + "esp/replay\"\n",
	})
	got := unusedEdges(tree, []room{
		{path: "vfs", may: []string{"esp/sa", "resource"}},
		{path: "vfs/deep/...", may: []string{"esp/...", "esp/sa"}},
		{path: "e2e/...", may: []string{"internal/lab/..."}},
		{path: "gone"},
		{path: "soon", planned: true, may: []string{"vfs"}},
		{path: "esp/sa", planned: true},
		{path: "system/client", may: []string{"..."}},
	})
	want := []string{
		"vfs may import resource, and nothing in it does", "vfs/deep/... may import esp/sa, and nothing in it does",
		"gone has no package", "esp/sa is there, and no longer planned",
	}
	if len(got) != len(want) {
		t.Errorf("got %d findings: %v", len(got), got)
	}
	for _, w := range want {
		if !slices.ContainsFunc(got, func(f Finding) bool { return strings.Contains(f.Text, w) }) {
			t.Errorf("no finding says %q: %v", w, got)
		}
	}
}
