package main

import (
	"testing"

	"github.com/warrenvpn/warren/bench/figure"
)

// TestWorse: only what lies outside the base's own spread, on the bad side.
func TestWorse(t *testing.T) {
	tests := []struct {
		name, unit   string
		base, change []float64
		want         bool
	}{
		{"less is better, within", "ms", []float64{1, 2, 3}, []float64{3, 3, 9}, false},
		{"less is better, above", "ms", []float64{1, 2, 3}, []float64{1, 3.1, 9}, true},
		{"less is better, below", "MiB", []float64{2, 3}, []float64{1}, false},
		{"more is better, within", "Gbit/s", []float64{1, 2, 3}, []float64{1}, false},
		{"more is better, below", "per second", []float64{1, 2, 3}, []float64{0.5, 0.9, 7}, true},
		{"more is better, above", "Mbit/s", []float64{1, 2}, []float64{3}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var base, change []figure.Figure
			for _, v := range tt.base {
				base = append(base, figure.Figure{Name: "f", Value: v, Unit: tt.unit})
			}
			for _, v := range tt.change {
				change = append(change, figure.Figure{Name: "f", Value: v, Unit: tt.unit},
					figure.Figure{Name: "only here", Value: v, Unit: tt.unit})
			}
			rows := compare(base, change)
			if len(rows) != 1 || rows[0].worse() != tt.want {
				t.Errorf("got %+v, want one that is worse: %v", rows, tt.want)
			}
		})
	}
}
