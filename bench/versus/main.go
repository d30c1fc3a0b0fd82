// Versus measures two commits against each other on this machine, in turn, in
// one run: the programs of both with the measuring programs of the tree, so that
// only what is measured differs. A base that does not know what these configure
// is measured with its own (-own-rig), and then a figure may differ because the
// network around the gateway does.
//
// The base is measured against itself first and between any two measurements of
// the tree, and what lies between its smallest and its largest figure is noise: a
// figure of the tree is worse only where its median lies outside. It prints a
// table, writes it to docs/, and ends with exit code 1 when anything is worse.
//
// It needs root, a clean machine, and what `make bench` needs.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// options are what the flags say.
type options struct {
	base    string
	rounds  int
	out     string
	contain string
	ownRig  bool
}

func main() {
	var o options
	flag.StringVar(&o.base, "base", "", "the commit to compare the tree with")
	flag.IntVar(&o.rounds, "rounds", 3, "how often the tree is measured; the base twice as often")
	flag.StringVar(&o.contain, "only", "", "run only the measuring programs whose name holds this text")
	flag.StringVar(&o.out, "out", "docs/bench-vs.md", "file for the table; empty: none")
	flag.BoolVar(&o.ownRig, "own-rig", false, "measure the base with its own measuring programs")
	flag.Parse()
	if o.base == "" || o.rounds < 1 {
		fmt.Fprintln(os.Stderr, "versus: -base names a commit, -rounds is 1 or more")
		os.Exit(2)
	}
	worse, err := run(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "versus:", err)
	}
	if err != nil || worse > 0 {
		os.Exit(1)
	}
}

// run measures, and returns how many figures are worse.
func run(o options) (worse int, err error) {
	tree, err := os.Getwd()
	if err != nil {
		return 0, err
	}
	sha, err := git(tree, "rev-parse", "--short", o.base+"^{commit}")
	if err != nil {
		return 0, err
	}
	dir := filepath.Join(tree, "bench", "out", "base-"+sha)
	if _, err := os.Stat(dir); err != nil {
		if _, err := git(tree, "worktree", "add", "--detach", dir, sha); err != nil {
			return 0, err
		}
	}
	defer git(tree, "worktree", "remove", "--force", dir)
	head, err := git(tree, "describe", "--always", "--dirty")
	if err != nil {
		return 0, err
	}
	base, change := &side{name: sha, dir: dir, rig: tree}, &side{name: head, dir: tree, rig: tree}
	if o.ownRig {
		base.rig = dir
	}
	for _, s := range []*side{base, change} {
		if err := errors.Join(s.build(), buildRig(s.rig)); err != nil {
			return 0, err
		}
	}
	order := []*side{base}
	for range o.rounds {
		order = append(order, base, change)
	}
	for i, s := range order {
		fmt.Printf("measurement %d of %d: %s\n", i+1, len(order), s.name)
		if err := s.measure(o.contain); err != nil {
			return 0, err
		}
	}
	rows := compare(base.figures, change.figures)
	text := o.table(base.name, change.name, rows)
	fmt.Print(text)
	for _, r := range rows {
		if r.worse() {
			worse++
		}
	}
	if o.out == "" {
		return worse, nil
	}
	return worse, os.WriteFile(o.out, []byte(text), 0o644)
}

// git runs git in dir and returns what it prints.
func git(dir string, args ...string) (string, error) {
	cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w", args[0], err)
	}
	return strings.TrimSpace(string(out)), nil
}
