// Bench prints the figures that the project is judged by, each measured in this
// run on this machine: memory of idle workers, set-ups per second and what one
// costs the gateway's processor, and the throughput of one tunnel; strongSwan,
// in the same lab with the same clients, stands beside for comparison. It needs
// root, the programs in bin/, strongSwan and iperf3.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/warrenvpn/warren/internal/lab"
)

// figure is one line of the result.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Aim   string  `json:"aim,omitempty"`
}

// report collects figures and prints each at once.
type report struct{ figures []figure }

func (r *report) add(name string, value float64, unit, aim string) {
	r.figures = append(r.figures, figure{name, value, unit, aim})
	if aim != "" {
		aim = "   (aim: " + aim + ")"
	}
	fmt.Printf("  %-58s %10.2f %s%s\n", name, value, unit, aim)
}

func main() {
	setups := flag.Int("setups", 1000, "set-ups to measure")
	workers := flag.Int("workers", 20, "idle workers to weigh")
	seconds := flag.Int("seconds", 4, "seconds of each throughput measurement")
	out := flag.String("json", "bench/out/bench.json", "file for the figures as JSON; empty: none")
	only := flag.String("only", "", "measure only the parts whose title holds this text")
	flag.Parse()
	if err := run(*setups, *workers, *seconds, *only, *out); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(setups, workers, seconds int, only, out string) error {
	r := &report{}
	for _, part := range []struct {
		title   string
		measure func(*lab.Lab) error
	}{
		{fmt.Sprintf("Memory of %d idle workers", workers), func(l *lab.Lab) error { return idle(l, r, workers) }},
		{fmt.Sprintf("%d set-ups: IKE_SA_INIT and IKE_AUTH, x25519, AES-256-GCM, pre-shared keys", setups),
			func(l *lab.Lab) error { return warrenSetups(l, r, setups) }},
		{"The same on strongSwan", func(l *lab.Lab) error { return strongSwanSetups(l, r, setups) }},
		{"TCP through one tunnel, AES-256-GCM, ESP in UDP", func(l *lab.Lab) error { return warrenThroughput(l, r, seconds) }},
		{"The same through strongSwan's kernel-libipsec", func(l *lab.Lab) error { return strongSwanThroughput(l, r, seconds) }},
	} {
		if !strings.Contains(part.title, only) {
			continue
		}
		fmt.Println(part.title)
		logf := func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
		if err := lab.Run(logf, part.measure); err != nil {
			return fmt.Errorf("%s: %w", part.title, err)
		}
	}
	if out == "" {
		return nil
	}
	b, err := json.MarshalIndent(map[string]any{"figures": r.figures}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	return os.WriteFile(out, append(b, '\n'), 0o644)
}
