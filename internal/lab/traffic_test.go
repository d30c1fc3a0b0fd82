package lab

import "testing"

func TestSequences(t *testing.T) {
	packets := func(numbers ...uint32) (list []Packet) {
		for _, n := range numbers {
			list = append(list, Packet{SPI: 1, Sequence: n})
		}
		return append(list, Packet{SPI: 2, Sequence: 1})
	}
	const block = 1 << 28
	tests := []struct {
		name   string
		list   []Packet
		late   int
		reused string
	}{
		{"in order", packets(1, 2, 3, 5), 0, ""},
		{"swapped on the way", packets(40, 42, 41, 43, 10), 1, ""},
		{"jumps of takeovers", packets(7, block+1, 2*block+1, 2*block+2), 0, ""},
		{"the old active goes on", packets(7, block+1, 8, 9, block+2), 2, ""},
		{"lower half wraps", packets(15*block+9, 1, 2, 3), 0, ""},
		{"twice", packets(1, 2, 2), 0, "SPI 00000001, sequence number 2"},
	}
	for _, tt := range tests {
		if got := Late(tt.list); got != tt.late {
			t.Errorf("%s: %d late, want %d", tt.name, got, tt.late)
		}
		if got := Reused(tt.list); got != tt.reused {
			t.Errorf("%s: reused %q, want %q", tt.name, got, tt.reused)
		}
	}
}
