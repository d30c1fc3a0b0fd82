// Package figure is what the measuring programs have in common: a measured value
// with its unit, the list of those that a program prints and keeps, and what they
// were measured on. It reads /proc and writes the files that it is asked to.
package figure

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Figure is one measured value.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"` // "MiB", "ms", "per second"; empty: a number of something
	Aim   string  `json:"aim,omitempty"`
}

// Report collects figures in the order in which they were measured.
type Report struct {
	Figures []Figure `json:"figures"`
}

// Add adds a figure and prints it at once.
func (r *Report) Add(name string, value float64, unit, aim string) {
	r.Figures = append(r.Figures, Figure{name, value, unit, aim})
	if aim != "" {
		aim = "   (aim: " + aim + ")"
	}
	fmt.Printf("  %-58s %10.2f %s%s\n", name, value, unit, aim)
}

// Save writes the figures to a file as JSON, and makes the folders on the way
// there. An empty name writes nothing.
func (r *Report) Save(file string) error {
	if file == "" {
		return nil
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}

// Spread is what lies between the smallest and the largest of some values.
type Spread struct {
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	Max    float64 `json:"max"`
}

// SpreadOf returns the spread of one value or more, in any order. Between an even
// number of them the median is the mean of the middle two.
func SpreadOf(values []float64) Spread {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return Spread{sorted[0], (sorted[(n-1)/2] + sorted[n/2]) / 2, sorted[n-1]}
}

// Machine says what was measured on: processors, kernel and Go.
func Machine() string {
	model := runtime.GOARCH
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
			model = strings.TrimSpace(v)
			break
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("%d x %s, Linux %s, %s", runtime.NumCPU(), model, strings.TrimSpace(string(kernel)),
		runtime.Version())
}
