package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/warrenvpn/warren/bench/figure"
)

// row is one figure of both commits.
type row struct {
	name, unit   string
	base, change []float64
}

// more are the units of figures of which more is better; of all others less is.
var more = []string{"per second", "Mbit/s", "Gbit/s", "%", "times as much"}

// compare pairs the figures that both commits have, in the order of the base.
func compare(base, change []figure.Figure) []row {
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
		rows = append(rows, *r)
	}
	return rows
}

// worse reports whether the tree's median is outside what the base shows
// against itself, on the bad side.
func (r row) worse() bool {
	base, change := figure.SpreadOf(r.base), figure.SpreadOf(r.change)
	if slices.Contains(more, r.unit) {
		return change.Median < base.Min
	}
	return change.Median > base.Max
}

// table is the comparison as Markdown.
func (o options) table(base, change string, rows []row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s against %s\n\n", change, base)
	rig := "the measuring programs of the tree"
	if o.ownRig {
		rig = "each the measuring programs of its own commit"
	}
	fmt.Fprintf(&b, "`make bench-vs BASE=%s`, %s, %s.\n\n", base, time.Now().UTC().Format(time.DateOnly),
		figure.Machine())
	fmt.Fprintf(&b, "%d measurements of the tree between %d of the base, which say what noise is; both with %s.\n",
		o.rounds, o.rounds+1, rig)
	b.WriteString("A figure is worse where the tree's median lies outside the base's smallest and largest, on the " +
		"bad side.\n\n")
	b.WriteString("| figure | unit | base: smallest | median | largest | tree: median | tree to base | " +
		"|\n|---|---|---|---|---|---|---|---|\n")
	for _, r := range rows {
		base, change := figure.SpreadOf(r.base), figure.SpreadOf(r.change)
		verdict := ""
		if r.worse() {
			verdict = "**worse**"
		}
		fmt.Fprintf(&b, "| %s | %s | %.3g | %.3g | %.3g | %.3g | %.2f | %s |\n", r.name, r.unit,
			base.Min, base.Median, base.Max, change.Median, change.Median/base.Median, verdict)
	}
	return b.String()
}
