package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// row is one figure of both commits.
type row struct {
	name, unit   string
	base, change []float64 // sorted
}

// more are the units of figures of which more is better; of all others less is.
var more = []string{"per second", "Mbit/s", "Gbit/s", "%"}

// compare pairs the figures that both commits have, in the order of the base.
func compare(base, change []figure) []row {
	byName := map[string]*row{}
	var order []*row
	for _, f := range base {
		r := byName[f.Name]
		if r == nil {
			r = &row{name: f.Name, unit: f.Unit}
			byName[f.Name], order = r, append(order, r)
		}
		r.base = append(r.base, f.Value)
	}
	for _, f := range change {
		if r := byName[f.Name]; r != nil {
			r.change = append(r.change, f.Value)
		}
	}
	var rows []row
	for _, r := range order {
		if len(r.change) == 0 {
			continue
		}
		slices.Sort(r.base)
		slices.Sort(r.change)
		rows = append(rows, *r)
	}
	return rows
}

// worse reports whether the tree's median is outside what the base shows
// against itself, on the bad side.
func (r row) worse() bool {
	if slices.Contains(more, r.unit) {
		return median(r.change) < r.base[0]
	}
	return median(r.change) > r.base[len(r.base)-1]
}

// median is the middle of sorted values.
func median(values []float64) float64 {
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// table is the comparison as Markdown.
func table(base, change string, rounds int, rows []row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s against %s\n\n", change, base)
	fmt.Fprintf(&b, "`make bench-vs BASE=%s`, %s, %s. %d measurements of the tree between %d of the base, which say what noise is: a figure is\n",
		base, time.Now().UTC().Format(time.DateOnly), machine(), rounds, rounds+1)
	b.WriteString("worse where the tree's median lies outside the base's smallest and largest, on the bad side.\n\n")
	b.WriteString("| figure | unit | base: smallest | median | largest | tree: median | tree to base | |\n|---|---|---|---|---|---|---|---|\n")
	for _, r := range rows {
		verdict := ""
		if r.worse() {
			verdict = "**worse**"
		}
		fmt.Fprintf(&b, "| %s | %s | %.3g | %.3g | %.3g | %.3g | %.2f | %s |\n", r.name, r.unit,
			r.base[0], median(r.base), r.base[len(r.base)-1], median(r.change), median(r.change)/median(r.base), verdict)
	}
	return b.String()
}

// machine says what was measured on.
func machine() string {
	model := runtime.GOARCH
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
			model = strings.TrimSpace(v)
			break
		}
	}
	return fmt.Sprintf("%d x %s, %s", runtime.NumCPU(), model, runtime.Version())
}
