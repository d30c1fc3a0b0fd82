//go:build e2e

package conformance

import (
	"fmt"
	"os"
	"strings"
)

// writeTable replaces the table of the page. about is a line for each of those that
// took part.
func writeTable(about []string, rows map[int]outcome) error {
	b, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(b), tableMark)
	_, after, closed := strings.Cut(rest, tableEnd)
	if !ok || !closed {
		return fmt.Errorf("%s has no table", page)
	}
	var t strings.Builder
	for _, line := range about {
		t.WriteString("* " + line + "\n")
	}
	t.WriteString("\n| result |")
	var counts []map[string]int
	for i, backend := range backends {
		t.WriteString(" " + backend.name + " |")
		counts = append(counts, map[string]int{})
		for _, o := range rows {
			counts[i][o.results[i]]++
		}
	}
	t.WriteString("\n|---|" + strings.Repeat("---|", len(backends)) + "\n")
	for _, word := range words(counts) {
		t.WriteString("| " + word + " |")
		for _, c := range counts {
			fmt.Fprintf(&t, " %d |", c[word])
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
	return os.WriteFile(page, []byte(before+tableMark+t.String()+tableEnd+after), 0o644)
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
