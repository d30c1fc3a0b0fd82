package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/esp/stats"
	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/client"
	"github.com/warrenvpn/warren/system/fault"
)

// showIPsecStats is `warren show crypto ipsec stats`.
var showIPsecStats = query[api.IPsecStatistics]{
	use:     "stats",
	short:   "Show what was carried and dropped, by cause",
	example: "  warren show crypto ipsec stats\n  warren show crypto ipsec stats --context blue --json",
	context: "only of this `context`",
	ask:     (*client.Client).IPsecStats,
	text:    func(e *env, w io.Writer, a *api.IPsecStatistics) { e.ipsecStats(w, a.IPsecStats) },
	missing: func(a *api.IPsecStatistics) ([]fault.ContextError, int) { return a.Errors, len(a.IPsecStats) },
}

// counted is a counter with what it has counted.
type counted struct {
	stats.Row
	stats.Count
}

var (
	carriedTable = countedBelow("Carried")
	droppedTable = countedBelow("Dropped because")
)

// countedBelow is a table of counters whose names stand below a title.
func countedBelow(title string) table[counted] {
	return table[counted]{columns: []column[counted]{
		{title, func(_ *env, c *counted) string { return c.Text }},
		{"Packets", func(_ *env, c *counted) string { return fmt.Sprint(c.N) }},
		{"Bytes", func(_ *env, c *counted) string {
			if c.BytesKey == "" {
				return ""
			}
			return fmt.Sprint(c.Bytes)
		}},
	}}
}

func (e *env) ipsecStats(w io.Writer, list []control.IPsecStats) {
	for i := range list {
		s := &list[i]
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "context: %s, counted for %s\n", plain(s.Context), e.since(s.Since))
		fmt.Fprintf(w, "    offloads: %s\n", plain(orNone(strings.Join(s.Offloads, ", "))))
		var through, lost []counted
		for _, r := range stats.Table() {
			switch {
			case r.Text == "":
			case r.Dropped:
				lost = append(lost, counted{r, s.Counts[r.Counter]})
			default:
				through = append(through, counted{r, s.Counts[r.Counter]})
			}
		}
		carriedTable.write(e, indented{w}, through)
		droppedTable.write(e, indented{w}, lost)
	}
	if len(list) == 0 {
		fmt.Fprintln(w, "There are no contexts")
	}
}

// orNone is text, or a word for none.
func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}
