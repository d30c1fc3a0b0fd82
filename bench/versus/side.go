package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// figure is one measured value.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

// side is one of the two commits, checked out and built.
type side struct {
	name    string
	dir     string
	figures []figure // of all measurements, in the order in which they were made
}

// program is a measuring program: the package that it is built from, and its
// arguments. Each writes its result to the file that -json names.
type program struct {
	name, pkg string
	args      []string
	read      func(result []byte) ([]figure, error)
}

// programs measure what a commit could have made worse.
var programs = []program{
	{"bench", "./bench", nil, readFigures},
	{"scale", "./bench/scale", nil, readFigures},
	{"dataplane", "./bench/dataplane", []string{"-only", "warren/warren", "-rounds", "1", "-svg", ""}, readDataplane},
}

// build builds the programs of the commit and those that measure it.
func (s *side) build() error {
	for _, args := range [][]string{
		{"build", "-trimpath", "-o", "bin/", "./cmd/..."},
		{"build", "-trimpath", "-o", "bin/measure-bench", "./bench"},
		{"build", "-trimpath", "-o", "bin/measure-scale", "./bench/scale"},
		{"build", "-trimpath", "-o", "bin/measure-dataplane", "./bench/dataplane"},
	} {
		cmd := exec.Command("go", args...)
		cmd.Dir, cmd.Env = s.dir, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: building %s: %w\n%s", s.name, args[len(args)-1], err, out)
		}
	}
	return nil
}

// measure runs the measuring programs whose name holds the text only.
func (s *side) measure(only string) error {
	for _, p := range programs {
		if !strings.Contains(p.name, only) {
			continue
		}
		result := filepath.Join(s.dir, "bin", "measure-"+p.name+".json")
		cmd := exec.Command(filepath.Join(s.dir, "bin", "measure-"+p.name), append(p.args, "-json", result)...)
		cmd.Dir, cmd.Env = s.dir, append(os.Environ(), "WARREN_BIN="+filepath.Join(s.dir, "bin"))
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %s: %w\n%s", s.name, p.name, err, out)
		}
		b, err := os.ReadFile(result)
		if err != nil {
			return err
		}
		figures, err := p.read(b)
		if err != nil {
			return fmt.Errorf("%s: reading the result of %s: %w", s.name, p.name, err)
		}
		s.figures = append(s.figures, figures...)
	}
	return nil
}

// readFigures reads the result of bench and scale. What strongSwan needs says
// nothing of a commit.
func readFigures(b []byte) ([]figure, error) {
	var r struct{ Figures []figure }
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, err
	}
	var own []figure
	for _, f := range r.Figures {
		if !strings.HasPrefix(f.Name, "strongSwan") {
			own = append(own, f)
		}
	}
	return own, nil
}

// readDataplane reads the result of dataplane.
func readDataplane(b []byte) ([]figure, error) {
	type middle struct{ Median float64 }
	var r struct {
		Summary []struct {
			Gateway, Client, Test string
			Clients               int
			Gbps                  middle
			PPS                   *middle `json:"pps"`
			CPUPerGbit            *middle `json:"cpu_s_per_gbit"`
			CPUPerMPacket         *middle `json:"cpu_s_per_mpacket"`
		}
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, err
	}
	var list []figure
	for _, s := range r.Summary {
		name := fmt.Sprintf("%s to %s, %d clients, %s", s.Client, s.Gateway, s.Clients, s.Test)
		add := func(what, unit string, m *middle) {
			if m != nil {
				list = append(list, figure{name + ": " + what, m.Median, unit})
			}
		}
		if s.PPS == nil {
			add("throughput", "Gbit/s", &s.Gbps)
			add("processor time of the gateway", "s/Gbit", s.CPUPerGbit)
			continue
		}
		add("packets", "per second", s.PPS)
		add("processor time of the gateway", "s/Mpkt", s.CPUPerMPacket)
	}
	return list, nil
}
