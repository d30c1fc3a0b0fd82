// Bench prints the figures that the project is judged by, each measured in this
// run on this machine: memory of idle workers and of an SA, set-ups per second and
// what one costs the gateway's processor, and the throughput of one tunnel;
// strongSwan, in the same lab with the same clients, stands beside for comparison. With
// -only Failover it measures how long a pair is silent. It needs root, the
// programs in bin/, strongSwan and iperf3.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/warrenvpn/warren/bench/figure"
	"github.com/warrenvpn/warren/internal/lab"
)

// report is what is printed and kept.
type report struct{ figure.Report }

// options are what the flags say.
type options struct {
	setups, workers, seconds int
	runs, sas                int // of a pair
	rounds                   int // of what is compared with strongSwan
	only, json, history      string
}

func main() {
	var o options
	flag.IntVar(&o.setups, "setups", 1000, "set-ups to measure")
	flag.IntVar(&o.workers, "workers", 20, "idle workers to weigh")
	flag.IntVar(&o.seconds, "seconds", 4, "seconds of each throughput measurement")
	flag.IntVar(&o.runs, "runs", 10, "takeovers to measure, of each kind")
	flag.IntVar(&o.sas, "sas", 10000, "SAs of a pair with many")
	flag.IntVar(&o.rounds, "rounds", 1, "how often set-ups and memory are measured, warren and strongSwan in turn")
	flag.StringVar(&o.only, "only", "", "measure only the parts whose title holds this text")
	flag.StringVar(&o.json, "json", "bench/out/bench.json", "file for the figures as JSON; empty: none")
	flag.StringVar(&o.history, "history", "", "append the figures of this commit to this file; empty: to none")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// part is one thing to measure, in a lab of its own.
type part struct {
	title   string
	measure func(*lab.Lab) error
}

// failoverTitle begins the titles of the parts that measure a pair.
const failoverTitle = "Failover of a pair"

// parts lists all parts.
func (o options) parts(r *report) []part {
	beside := slices.Repeat([]part{
		{fmt.Sprintf("A lean SA: %d set-ups, x25519, AES-256-GCM, pre-shared keys", o.setups),
			func(l *lab.Lab) error { return warrenSetups(l, r, o.setups) }},
		{"A lean SA: the same set-ups on strongSwan",
			func(l *lab.Lab) error { return strongSwanSetups(l, r, o.setups) }},
		{fmt.Sprintf("A lean SA: memory from %d to %d", few, many),
			func(l *lab.Lab) error { return warrenMemory(l, r) }},
		{"A lean SA: the same memory on strongSwan",
			func(l *lab.Lab) error { return strongSwanMemory(l, r) }},
	}, o.rounds)
	return slices.Concat([]part{
		{fmt.Sprintf("Memory of %d idle workers", o.workers), func(l *lab.Lab) error { return idle(l, r, o.workers) }},
	}, beside, []part{
		{"TCP through one tunnel, AES-256-GCM, ESP in UDP", func(l *lab.Lab) error {
			return warrenThroughput(l, r, o.seconds)
		}},
		{"The same through strongSwan's kernel-libipsec", func(l *lab.Lab) error {
			return strongSwanThroughput(l, r, o.seconds)
		}},
		{fmt.Sprintf("%s: replication, %d SAs", failoverTitle, o.sas), func(l *lab.Lab) error {
			return replication(l, r, o.setups, o.sas)
		}},
		{failoverTitle + ", 1 SA", func(l *lab.Lab) error { return takeover(l, r, 1, o.runs) }},
		{fmt.Sprintf("%s, %d SAs", failoverTitle, o.sas), func(l *lab.Lab) error {
			return takeover(l, r, o.sas, o.runs)
		}},
	})
}

func run(o options) error {
	var commit string
	if o.history != "" {
		var err error
		if commit, err = measuredCommit(o.history); err != nil {
			return err
		}
	}
	r := &report{}
	for _, part := range o.parts(r) {
		// A pair takes minutes: it is measured when asked for.
		if !strings.Contains(part.title, o.only) || o.only == "" && strings.HasPrefix(part.title, failoverTitle) {
			continue
		}
		fmt.Println(part.title)
		logf := func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
		err := lab.Run(logf, func(l *lab.Lab) error {
			l.NoTripwires()
			return part.measure(l)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", part.title, err)
		}
	}
	if err := r.ratios(); err != nil {
		return err
	}
	if err := r.Save(o.json); err != nil || o.history == "" {
		return err
	}
	return r.keep(o.history, commit)
}
