package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTable: what was played is found again by who plays the same code, and by nobody
// else; a seed that has failed stays.
func TestTable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "simulations.md")
	open := func(code string) *table {
		t.Helper()
		x, err := openTable(file, code)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	x := open("a")
	p := x.row("failover")
	if p.last != 0 || p.failed != "" {
		t.Fatalf("of nothing: %+v", p)
	}
	for _, last := range []int{500, 1000} {
		p.last, p.took, p.result = last, time.Minute, "{Kills:7}"
		if err := x.set(p); err != nil {
			t.Fatal(err)
		}
	}
	files := played{code: "a", date: "2026-12-01", name: "files", last: 50, failed: "seed 42: lost"}
	if err := x.set(files); err != nil {
		t.Fatal(err)
	}
	x = open("a")
	if p := x.row("failover"); p.last != 1000 || p.took != time.Minute || p.failed != "" {
		t.Errorf("failover: %+v", p)
	}
	if p := x.row("files"); p.last != 50 || p.failed != "seed 42: lost" {
		t.Errorf("files: %+v", p)
	}
	if p := open("b").row("failover"); p.last != 0 {
		t.Errorf("other code: %+v", p)
	}
	b, err := os.ReadFile(file)
	if n := strings.Count(string(b), "\n| a "); err != nil || n != 2 {
		t.Errorf("%d rows: %v\n%s", n, err, b)
	}
}

// TestOutput: what tests print is understood.
func TestOutput(t *testing.T) {
	out := []byte("=== RUN\n    sim_test.go:57: 100 seeds: {Kills:7 | 8}\n" +
		"    x: seed 12: an SA is lost\n    x: seed 13: y\n")
	if got := summary(out); got != "{Kills:7 / 8}" {
		t.Errorf("summary: %q", got)
	}
	if got := firstFailure(out); got != "seed 12: an SA is lost" {
		t.Errorf("failure: %q", got)
	}
}
