// Sim plays the simulations at length: failover, IKE and the files of a pair, each a test
// that plays seed after seed. What was played is a line of docs/simulations.md, written
// after every few hundred seeds; when sim is run again for the same code it goes on
// behind them. A seed that fails ends its simulation, and sim with exit code 1.
//
// It needs Go, a clean tree, and nothing else.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/warrenvpn/warren/bench/figure"
)

// simulation is a test with the flags -first and -seeds, which play those from the one to
// the other.
type simulation struct {
	name, folder, test string
	share              int // of the seeds that are asked for, as a divisor
}

var simulations = []simulation{
	{"failover", "failover/failovertest", "TestSeeds", 1},
	{"IKE: actors", "ike/iketest", "TestActors", 1},
	{"files of a pair", "system/disks", "TestSeeds", 10},
}

func main() {
	seeds := flag.Int("seeds", 10_000, "seeds of each simulation; of files a tenth")
	step := flag.Int("step", 500, "seeds from one line of the table to the next")
	only := flag.String("only", "", "play only the simulations whose name holds this text")
	file := flag.String("table", "docs/simulations.md", "the table of what was played")
	flag.Parse()
	if err := play(*seeds, max(1, *step), *only, *file); err != nil {
		fmt.Fprintln(os.Stderr, "sim:", err)
		os.Exit(1)
	}
}

// play plays what is left of each simulation.
func play(seeds, step int, only, file string) error {
	code, err := figure.Code()
	if err != nil {
		return err
	}
	t, err := openTable(file, code)
	if err != nil {
		return err
	}
	bin, err := os.MkdirTemp("", "warren-sim")
	if err != nil {
		return err
	}
	defer os.RemoveAll(bin)
	var failed []error
	for i, s := range simulations {
		if !strings.Contains(s.name, only) {
			continue
		}
		program := filepath.Join(bin, fmt.Sprint(i))
		if out, err := exec.Command("go", "test", "-c", "-o", program, "./"+s.folder).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", s.name, err, out)
		}
		if err := s.play(program, seeds/s.share, step, t); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", s.name, err))
		}
	}
	return errors.Join(failed...)
}

// play plays the seeds up to last that the table does not have yet.
func (s *simulation) play(program string, last, step int, t *table) error {
	for row := t.row(s.name); row.last < last && row.failed == ""; row = t.row(s.name) {
		first, to := row.last+1, min(row.last+step, last)
		start := time.Now()
		cmd := exec.Command(program, "-test.v", "-test.timeout=0", "-test.run=^"+s.test+"$",
			fmt.Sprintf("-first=%d", first), fmt.Sprintf("-seeds=%d", to))
		cmd.Dir = s.folder
		out, err := cmd.CombinedOutput()
		row.took += time.Since(start)
		row.last, row.result = to, summary(out)
		if err != nil {
			row.failed = firstFailure(out)
		}
		if err := t.set(row); err != nil {
			return err
		}
		fmt.Println(row)
		if err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
	}
	return nil
}

var (
	counts  = regexp.MustCompile(`[0-9]+ seeds: (.*)`)
	failure = regexp.MustCompile(`seed [0-9]+.*`)
)

// summary is what the test says of all its seeds.
func summary(out []byte) string {
	m := counts.FindSubmatch(out)
	if m == nil {
		return ""
	}
	return strings.ReplaceAll(string(m[1]), "|", "/")
}

// firstFailure is the first line of the test that names a seed.
func firstFailure(out []byte) string {
	if m := failure.Find(out); m != nil {
		return strings.ReplaceAll(string(m), "|", "/")
	}
	return "no seed is named"
}
