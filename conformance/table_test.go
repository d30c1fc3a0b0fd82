package conformance

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/internal/pagetest"
)

// page is where the table is.
var page = pagetest.Table{Page: "../docs/conformance.md", Name: "table"}

// right is the result of a scenario of which all is as strongSwan's suite has it.
const (
	right = "right"
	wrong = "wrong"
)

// backends are the ways of Warren to carry ESP, each of which is a column of results;
// hcl is what chooses one.
var backends = []struct{ name, hcl string }{
	{"userspace", ""},
}

// outcome is what came of a scenario: a result for each back end, and what was seen
// with the first of them.
type outcome struct {
	results []string
	seen    string
}

// notPlayed is the outcome of a scenario that is not played.
func notPlayed(f fate) outcome {
	word, why := f.result()
	o := outcome{seen: why}
	for range backends {
		o.results = append(o.results, word)
	}
	return o
}

// line is the row of the table of a scenario.
func (o outcome) line(number int) string {
	r := catalogue[number]
	return fmt.Sprintf("| %d | `%s` | %s | %s | %s |\n", number, r.name, r.shows, strings.Join(o.results, " | "),
		strings.ReplaceAll(o.seen, "|", "\\|"))
}

// readTable reads the rows of the page as it is committed, by their numbers.
func readTable() (map[int]outcome, error) {
	table, err := page.Read()
	if err != nil {
		return nil, err
	}
	rows := map[int]outcome{}
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		number, err := strconv.Atoi(strings.TrimPrefix(cells[0], "| "))
		if err != nil {
			continue // a heading
		}
		if len(cells) < 4+len(backends) {
			return nil, fmt.Errorf("%s: scenario %d has %d cells", page.Page, number, len(cells))
		}
		rows[number] = outcome{results: cells[3 : 3+len(backends)],
			seen: strings.TrimSuffix(strings.Join(cells[3+len(backends):], " | "), " |")}
	}
	return rows, nil
}

// leastRight is how many scenarios are right at least, as long as the catalogue is
// this one: what was right once stays so.
const leastRight = 80

// TestTable holds the committed table to the catalogue.
func TestTable(t *testing.T) {
	rows, err := readTable()
	if err != nil {
		t.Fatal(err)
	}
	rights, keyedOnes := 0, 0
	for n := 1; n < len(catalogue); n++ {
		got, ok := rows[n]
		if isKeyed(n) {
			keyedOnes++
		}
		switch {
		case !ok:
			t.Errorf("%s has no scenario %d, %s", page.Page, n, catalogue[n].name)
		case catalogue[n].fate != played:
			if want := notPlayed(catalogue[n].fate); got.line(n) != want.line(n) {
				t.Errorf("scenario %d: got %q, want %q", n, got.line(n), want.line(n))
			}
		case got.results[0] == right:
			rights++
		case got.results[0] != wrong:
			t.Errorf("scenario %d is played, and is neither right nor wrong: %q", n, got.results[0])
		}
	}
	if len(rows) != len(catalogue)-1 {
		t.Errorf("%s has %d scenarios, the catalogue %d", page.Page, len(rows), len(catalogue)-1)
	}
	if keyedOnes != 99 {
		t.Errorf("%d scenarios are about something else than authentication, and the page says 99", keyedOnes)
	}
	if rights < leastRight {
		t.Errorf("%d scenarios are right, and were %d at least", rights, leastRight)
	}
}
