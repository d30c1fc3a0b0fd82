// Soak runs what takes hours: continuous integration beside other load, a pair
// whose processors are overloaded, and many clients over rekeyings, switches and
// crashes. Every run that ends is a line of docs/soak.md; a run that has passed
// for this code is not repeated, so that soak goes on where it stopped. It ends
// with exit code 1 at the first run that fails.
//
// It needs root, the programs in bin/, and what `make test` needs.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

// part is something to run, so many times.
type part struct {
	name  string
	times int
	run   func() (result string, err error)
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == busyArgument {
		burn()
	}
	only := flag.String("only", "", "run only the parts whose name holds this text")
	file := flag.String("notes", "docs/soak.md", "file of the runs that have ended")
	minutes := flag.Int("minutes", 60, "minutes of the pair on overloaded processors")
	clients := flag.Int("client-minutes", 20, "minutes of the clients")
	flag.Parse()
	parts := []part{
		{"`.ci/run` beside four busy processes", 3, continuousIntegration},
		{fmt.Sprintf("pair under ping, %d minutes, both processors overloaded", *minutes), 1,
			func() (string, error) { return overloaded(time.Duration(*minutes) * time.Minute) }},
		{fmt.Sprintf("%d strongSwan clients, %d minutes, switches and kills", soakClients, *clients), 1,
			func() (string, error) { return manyClients(time.Duration(*clients) * time.Minute) }},
	}
	if err := run(parts, *only, *file); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// run runs what has not passed for this code yet.
func run(parts []part, only, file string) error {
	n, err := openNotes(file)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if !strings.Contains(p.name, only) {
			continue
		}
		for i := n.passed(p.name); i < p.times; i++ {
			fmt.Printf("%s: run %d of %d\n", p.name, i+1, p.times)
			began := time.Now()
			result, failure := p.run()
			if failure != nil {
				result = "failed: " + failure.Error()
			}
			fmt.Printf("%s: %s\n", p.name, result)
			if err := n.add(p.name, time.Since(began), failure == nil, result); err != nil {
				return err
			}
			if failure != nil {
				return fmt.Errorf("%s: %w", p.name, failure)
			}
		}
	}
	return nil
}
