// Bench prints the figures that the project is judged by, each measured in this
// run on this machine: memory of idle workers, set-ups per second and what one
// costs the gateway's processor, and the throughput of one tunnel; strongSwan,
// in the same lab with the same clients, stands beside for comparison. With
// -only Failover it measures how long a pair is silent. It needs root, the
// programs in bin/, strongSwan and iperf3.
package main

import (
	"flag"
	"fmt"
	"os"
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
	only, json               string
}

func main() {
	var o options
	flag.IntVar(&o.setups, "setups", 1000, "set-ups to measure")
	flag.IntVar(&o.workers, "workers", 20, "idle workers to weigh")
	flag.IntVar(&o.seconds, "seconds", 4, "seconds of each throughput measurement")
	flag.IntVar(&o.runs, "runs", 10, "takeovers to measure, of each kind")
	flag.IntVar(&o.sas, "sas", 10000, "SAs of a pair with many")
	flag.StringVar(&o.only, "only", "", "measure only the parts whose title holds this text")
	flag.StringVar(&o.json, "json", "bench/out/bench.json", "file for the figures as JSON; empty: none")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// failoverTitle begins the titles of the parts that measure a pair.
const failoverTitle = "Failover of a pair"

func run(o options) error {
	r := &report{}
	for _, part := range []struct {
		title   string
		measure func(*lab.Lab) error
	}{
		{fmt.Sprintf("Memory of %d idle workers", o.workers), func(l *lab.Lab) error { return idle(l, r, o.workers) }},
		{fmt.Sprintf("%d set-ups: IKE_SA_INIT and IKE_AUTH, x25519, AES-256-GCM, pre-shared keys", o.setups),
			func(l *lab.Lab) error { return warrenSetups(l, r, o.setups) }},
		{"The same on strongSwan", func(l *lab.Lab) error { return strongSwanSetups(l, r, o.setups) }},
		{fmt.Sprintf("Memory of an SA, from %d to %d", few, many),
			func(l *lab.Lab) error { return warrenMemory(l, r) }},
		{"Memory of an SA on strongSwan", func(l *lab.Lab) error { return strongSwanMemory(l, r) }},
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
	} {
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
	return r.Save(o.json)
}
