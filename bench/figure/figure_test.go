package figure

import "testing"

func TestSpreadOf(t *testing.T) {
	tests := []struct {
		name   string
		values []float64
		want   Spread
	}{
		{"one", []float64{7}, Spread{7, 7, 7}},
		{"odd", []float64{9, 1, 2}, Spread{1, 2, 9}},
		{"even", []float64{4, 1, 2, 9}, Spread{1, 3, 9}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			first := tt.values[0]
			if got := SpreadOf(tt.values); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if tt.values[0] != first {
				t.Error("the values were sorted in place")
			}
		})
	}
}
