package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/warrenvpn/warren/bench/figure"
)

// history is a line of bench/history.jsonl: what one commit was measured at.
type history struct {
	Commit  string          `json:"commit"`
	Machine string          `json:"machine"`
	Figures []figure.Figure `json:"figures"`
}

// measuredCommit returns the commit that the tree is, before anything is measured of it.
// A tree with changes is none; those of the history itself do not count.
func measuredCommit(history string) (string, error) {
	changes, err := exec.Command("git", "status", "--porcelain", "--untracked-files=no").Output()
	if err != nil {
		return "", fmt.Errorf("history: git status: %w", err)
	}
	if lines := strings.TrimSpace(string(changes)); lines != "" && lines != "M "+history {
		return "", fmt.Errorf("history: the tree is not a commit:\n%s", lines)
	}
	commit, err := exec.Command("git", "rev-parse", "HEAD").Output()
	if err != nil {
		return "", fmt.Errorf("history: git rev-parse: %w", err)
	}
	return strings.TrimSpace(string(commit)), nil
}

// keep appends what was measured of a commit to a file, a line for each run.
func (r *report) keep(file, commit string) error {
	line, err := json.Marshal(history{commit, figure.Machine(), r.Figures})
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.Write(append(line, '\n')); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
