// Dataplane measures what a gateway can carry: plain routing, warren,
// wireguard-go and strongSwan's ESP in userspace, one after the other in every
// round, in the same lab with the same traffic, and how much processor time the
// gateway takes for it. It prints a table and ratios, and writes them as JSON
// and as a picture. docs/performance.md says how to read them. It needs root,
// the programs in bin/ (make bench-dataplane builds them), strongSwan and iperf3.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/warrenvpn/warren/bench/figure"
	"github.com/warrenvpn/warren/internal/lab"
)

// options are the flags.
type options struct {
	rounds, seconds int
	only            string // "gateway/client" of the sites to measure, as a prefix
	tests           string
	static          bool
	ungrouped       bool
	json, svg       string
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "tunnel" {
		exit(runTunnel(os.Args[2:]))
	}
	var o options
	flag.IntVar(&o.rounds, "rounds", 3, "how often everything is measured")
	flag.IntVar(&o.seconds, "seconds", 4, "seconds of one measurement")
	flag.StringVar(&o.only, "only", "",
		"measure only these sites, separated by commas: \"warren/strongswan\", \"plain\"")
	flag.StringVar(&o.tests, "tests", "", "measure only these tests, separated by commas: \"tcp_up\"")
	flag.BoolVar(&o.static, "static", false,
		"also measure esp/plane alone, between two processes with keys that are fixed")
	flag.BoolVar(&o.ungrouped, "ungrouped", false,
		"leave all daemons but warren's workers in the control group of this program")
	flag.StringVar(&o.json, "json", "bench/out/dataplane.json", "file for the result as JSON; empty: none")
	flag.StringVar(&o.svg, "svg", "bench/out/dataplane.svg", "file for the picture; empty: none")
	flag.Parse()
	exit(run(&o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "dataplane:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(o *options) error {
	service.off = o.ungrouped
	defer service.close()
	r := &report{Machine: figure.Machine(), Rounds: o.rounds, Seconds: o.seconds, Grouped: !o.ungrouped}
	logf := func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	err := lab.Run(logf, func(l *lab.Lab) error {
		var sites []*site
		for _, m := range makers {
			if !o.wants(m) {
				continue
			}
			s := m.make(l, m)
			if err := s.check(); err != nil {
				return fmt.Errorf("%s: %w", m, err)
			}
			sites = append(sites, s)
		}
		return measureAll(o, sites, r)
	})
	if err != nil {
		return err
	}
	r.summarise()
	r.print(os.Stdout)
	if err := write(o.json, r.encode()); err != nil {
		return err
	}
	return write(o.svg, r.picture())
}

// measureAll goes round and round, so that what disturbs the machine for a
// while disturbs everybody.
func measureAll(o *options, sites []*site, r *report) error {
	for round := 1; round <= o.rounds; round++ {
		for _, t := range tests {
			if o.tests != "" && !contains(o.tests, t.name) {
				continue
			}
			for _, s := range sites {
				if t.oneClient && len(s.clients) > 1 {
					continue
				}
				m, err := s.measure(t, o.seconds)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", s.maker, t.name, err)
				}
				m.Round = round
				r.add(m)
			}
		}
	}
	for _, s := range sites {
		if len(s.clients) < 2 || len(s.pids) == 0 || o.tests != "" && !contains(o.tests, "fairness") {
			continue
		}
		f, err := s.fairness(o.seconds)
		if err != nil {
			return fmt.Errorf("%s, fairness: %w", s.maker, err)
		}
		r.Fairness = append(r.Fairness, f...)
	}
	return nil
}

func (o *options) wants(m maker) bool {
	if o.only != "" {
		return contains(o.only, m.gateway) || contains(o.only, m.gateway+"/"+m.client) || contains(o.only, m.String())
	}
	return o.static || m.gateway != staticPlane
}

func contains(list, word string) bool {
	for w := range strings.SplitSeq(list, ",") {
		if w == word {
			return true
		}
	}
	return false
}

func write(name string, b []byte) error {
	if name == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, b, 0o644)
}
