//go:build e2e

package conformance

import (
	"fmt"
	"strings"
)

// writeTable replaces the table of the page. about is a line for each of those that
// took part.
func writeTable(about []string, rows map[int]outcome) error {
	var t strings.Builder
	for _, line := range about {
		t.WriteString("* " + line + "\n")
	}
	t.WriteString("\n| result |")
	var all, some []map[string]int // for each back end: of all scenarios, of those that isKeyed has
	for i, backend := range backends {
		t.WriteString(" " + backend.name + " | of the 99 |")
		all, some = append(all, map[string]int{}), append(some, map[string]int{})
		for n, o := range rows {
			all[i][o.results[i]]++
			if isKeyed(n) {
				some[i][o.results[i]]++
			}
		}
	}
	t.WriteString("\n|---|" + strings.Repeat("---|---|", len(backends)) + "\n")
	for _, word := range words(all) {
		t.WriteString("| " + word + " |")
		for i := range backends {
			fmt.Fprintf(&t, " %d | %d |", all[i][word], some[i][word])
		}
		t.WriteString("\n")
	}
	t.WriteString("\n| | scenario | what it shows |")
	for _, backend := range backends {
		t.WriteString(" " + backend.name + " |")
	}
	t.WriteString(" what was seen, or what is missing |\n" + strings.Repeat("|---", len(backends)+4) + "|\n")
	for n := 1; n < len(catalogue); n++ {
		t.WriteString(rows[n].line(n))
	}
	return page.Write(t.String())
}

// words are the results that are in the counts: those of what was played, then the
// others as the catalogue has them.
func words(counts []map[string]int) []string {
	list := []string{right, wrong}
	for n := 1; n < len(catalogue); n++ {
		if catalogue[n].fate != played {
			word, _ := catalogue[n].fate.result()
			list = append(list, word)
		}
	}
	var out []string
	seen := map[string]bool{}
	for _, word := range list {
		for _, c := range counts {
			if c[word] > 0 && !seen[word] {
				seen[word] = true
				out = append(out, word)
			}
		}
	}
	return out
}
