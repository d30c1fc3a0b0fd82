package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/warrenvpn/warren/bench/figure"
)

// side is one of the two commits, checked out and built.
type side struct {
	name    string
	dir     string
	rig     string          // folder of the commit whose measuring programs measure it
	figures []figure.Figure // of all measurements, in the order in which they were made
}

// program is a measuring program: the package that it is built from, and its
// arguments. Each writes its result to the file that -json names.
type program struct {
	name, pkg string
	args      []string
	read      func(result []byte) ([]figure.Figure, error)
}

// programs measure what a commit could have made worse.
var programs = []program{
	{"bench", "./bench", nil, readFigures},
	{"scale", "./bench/scale", nil, readFigures},
	{"dataplane", "./bench/dataplane", []string{"-only", "warren/warren", "-rounds", "1", "-svg", ""}, readDataplane},
}

// build builds the programs of the commit.
func (s *side) build() error { return goBuild(s.dir, "./cmd/...", "bin/") }

// buildRig builds the measuring programs of the commit in dir.
func buildRig(dir string) error {
	for _, p := range programs {
		if err := goBuild(dir, p.pkg, p.file()); err != nil {
			return err
		}
	}
	return nil
}

// file is where the program is built, from the folder of its commit.
func (p program) file() string { return "bin/measure-" + p.name }

func goBuild(dir, pkg, out string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-o", out, pkg)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s in %s: %w\n%s", pkg, dir, err, text)
	}
	return nil
}

// measure runs the measuring programs whose name holds the text only.
func (s *side) measure(only string) error {
	for _, p := range programs {
		if !strings.Contains(p.name, only) {
			continue
		}
		result := filepath.Join(s.dir, p.file()+".json")
		cmd := exec.Command(filepath.Join(s.rig, p.file()), append(p.args, "-json", result)...)
		cmd.Dir, cmd.Env = s.rig, append(os.Environ(), "WARREN_BIN="+filepath.Join(s.dir, "bin"))
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
func readFigures(b []byte) ([]figure.Figure, error) {
	var r figure.Report
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, err
	}
	var own []figure.Figure
	for _, f := range r.Figures {
		if !strings.HasPrefix(f.Name, "strongSwan") {
			own = append(own, f)
		}
	}
	return own, nil
}

// readDataplane reads the result of dataplane.
func readDataplane(b []byte) ([]figure.Figure, error) {
	var r struct {
		Summary []struct {
			Gateway, Client, Test string
			Clients               int
			Gbps                  figure.Spread
			PPS                   *figure.Spread `json:"pps"`
			CPUPerGbit            *figure.Spread `json:"cpu_s_per_gbit"`
			CPUPerMPacket         *figure.Spread `json:"cpu_s_per_mpacket"`
		}
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, err
	}
	var list []figure.Figure
	for _, s := range r.Summary {
		name := fmt.Sprintf("%s to %s, %d clients, %s", s.Client, s.Gateway, s.Clients, s.Test)
		add := func(what, unit string, m *figure.Spread) {
			if m != nil {
				list = append(list, figure.Figure{Name: name + ": " + what, Value: m.Median, Unit: unit})
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
