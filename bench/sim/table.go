package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

const tableHead = `# Simulations

` + "`make sim` writes this page: for each simulation and code, which seeds were played, and what happened in the" + `
last of them. It goes on where it has stopped. The code is a hash over all files but those of docs/.

| code | date | simulation | seeds | took | result | in the last of them |
|---|---|---|---|---|---|---|
`

// played is a row: what was played of one simulation for one code.
type played struct {
	code, date, name string
	last             int // seeds 1 to last
	took             time.Duration
	failed           string // the seed that has failed, and why; "": none has
	result           string
}

// String returns the row as the table has it.
func (p played) String() string {
	passed := "passed"
	if p.failed != "" {
		passed = p.failed
	}
	return fmt.Sprintf("| %s | %s | %s | 1-%d | %v | %s | %s |", p.code, p.date, p.name, p.last,
		p.took.Round(time.Second), passed, p.result)
}

// table is the table of all that was played, the newest row first.
type table struct {
	file, code string
	rows       []string
}

// openTable reads the file, which need not exist.
func openTable(file, code string) (*table, error) {
	t := &table{file: file, code: code}
	b, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "| code ") {
			t.rows = append(t.rows, strings.TrimSpace(line))
		}
	}
	return t, nil
}

// row returns what was played of a simulation for this code.
func (t *table) row(name string) played {
	p := played{code: t.code, date: time.Now().UTC().Format(time.DateOnly), name: name}
	if i := t.find(name); i >= 0 {
		cells := strings.Split(strings.Trim(t.rows[i], "| "), " | ")
		if len(cells) >= 6 {
			_, last, _ := strings.Cut(cells[3], "-")
			p.last, _ = strconv.Atoi(last)
			p.took, _ = time.ParseDuration(cells[4])
			if cells[5] != "passed" {
				p.failed = cells[5]
			}
		}
	}
	return p
}

// find returns the index of the row of a simulation for this code, -1 for none.
func (t *table) find(name string) int {
	for i, row := range t.rows {
		cells := strings.Split(strings.Trim(row, "| "), " | ")
		if len(cells) >= 3 && cells[0] == t.code && cells[2] == name {
			return i
		}
	}
	return -1
}

// set writes the row of a simulation in the place of the one before.
func (t *table) set(p played) error {
	if i := t.find(p.name); i >= 0 {
		t.rows[i] = p.String()
	} else {
		t.rows = append([]string{p.String()}, t.rows...)
	}
	return os.WriteFile(t.file, []byte(tableHead+strings.Join(t.rows, "\n")+"\n"), 0o644)
}
