package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/warrenvpn/warren/bench/figure"
)

// notes is the table of the runs that have ended, in Markdown.
type notes struct {
	file string
	code string // names the code that runs

	mu   sync.Mutex // guards rows and the file
	rows []string
}

const notesHead = `# Runs that take hours

` + "`make soak` writes this page, a line for each run. The code is a hash over all files but those of docs/." + `

| code | date | run | took | passed | result |
|---|---|---|---|---|---|
`

// openNotes reads the file, which need not exist.
func openNotes(file string) (*notes, error) {
	code, err := figure.Code()
	if err != nil {
		return nil, err
	}
	n := &notes{file: file, code: code}
	b, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "| code ") {
			n.rows = append(n.rows, strings.TrimSpace(line))
		}
	}
	return n, nil
}

// passed is how many runs of a part have passed for this code.
func (n *notes) passed(part string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	count := 0
	for _, row := range n.rows {
		cells := strings.Split(row, " | ")
		if len(cells) >= 5 && cells[0] == "| "+n.code && cells[2] == part && cells[4] == "yes" {
			count++
		}
	}
	return count
}

// add notes a run and writes the file.
func (n *notes) add(part string, took time.Duration, passed bool, result string) error {
	verdict := "no"
	if passed {
		verdict = "yes"
	}
	result = strings.NewReplacer("\n", "; ", "|", "/").Replace(result)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rows = append(n.rows, fmt.Sprintf("| %s | %s | %s | %s | %s | %.400s |", n.code,
		time.Now().UTC().Format(time.DateOnly),
		part, took.Round(time.Second), verdict, result))
	return os.WriteFile(n.file, []byte(notesHead+strings.Join(n.rows, "\n")+"\n"), 0o644)
}
