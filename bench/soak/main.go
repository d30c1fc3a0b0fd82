// Soak runs what takes hours: continuous integration and, at the same time, a
// pair under ping, both beside busy processes; then, alone, many clients over
// rekeyings, switches and crashes. Every run that ends is a line of docs/soak.md;
// a run that has passed for this code is not repeated, so that soak goes on where
// it stopped. A run that fails is the last one of its part; what runs beside it
// goes on to its end, and soak ends with exit code 1.
//
// It needs root, the programs in bin/, and what `make test` needs.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// part is something to run, so many times, one after the other.
type part struct {
	name  string
	times int
	run   func() (result string, err error)
}

// stage is parts that run at the same time.
type stage struct {
	busy  bool // beside the busy processes
	parts []part
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == busyArgument {
		burn()
	}
	// The busy processes end with the thread that starts them: with this one, which
	// no namespace of the lab may take along.
	runtime.LockOSThread()
	only := flag.String("only", "", "run only the parts whose name holds this text")
	file := flag.String("notes", "docs/soak.md", "file of the runs that have ended")
	minutes := flag.Int("minutes", 60, "minutes of the pair on overloaded processors")
	clients := flag.Int("client-minutes", 20, "minutes of the clients")
	kills := flag.Int("kills", 20, "kills among files and SAs")
	sas := flag.Int("sas", 10_000, "SAs beside the files")
	flag.Parse()
	stages := []stage{
		{busy: true, parts: []part{
			{"`.ci/run` beside four busy processes", 3, continuousIntegration},
			{fmt.Sprintf("pair under ping, %d minutes, both processors overloaded", *minutes), 1,
				func() (string, error) { return overloaded(time.Duration(*minutes) * time.Minute) }},
		}},
		{parts: []part{
			{fmt.Sprintf("%d strongSwan clients, %d minutes, switches and kills", soakClients, *clients), 1,
				func() (string, error) { return manyClients(time.Duration(*clients) * time.Minute) }},
		}},
		{parts: []part{
			{fmt.Sprintf("%d kills among the files of a pair with %d SAs", *kills, *sas), 1,
				func() (string, error) { return manyFiles(*kills, *sas) }},
		}},
	}
	if err := run(stages, *only, *file); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// run runs, stage after stage, what has not passed for this code yet.
func run(stages []stage, only, file string) error {
	n, err := openNotes(file)
	if err != nil {
		return err
	}
	for _, s := range stages {
		s.parts = slices.DeleteFunc(s.parts, func(p part) bool {
			return !strings.Contains(p.name, only) || n.passed(p.name) >= p.times
		})
		if len(s.parts) == 0 {
			continue
		}
		if err := s.run(n); err != nil {
			return err
		}
	}
	return nil
}

// run waits until every part has ended.
func (s stage) run(n *notes) error {
	if s.busy {
		stop, err := startBusy()
		if err != nil {
			return err
		}
		defer stop()
	}
	errs := make([]error, len(s.parts))
	var all sync.WaitGroup
	for i, p := range s.parts {
		all.Go(func() { errs[i] = p.repeat(n) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// repeat does the runs that are left, until one fails.
func (p part) repeat(n *notes) error {
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
	return nil
}
