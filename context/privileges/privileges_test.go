package privileges

import "testing"

// TestFilterIsChecked: nothing but whole instructions is given to the kernel.
func TestFilterIsChecked(t *testing.T) {
	for _, programs := range [][][]byte{nil, {{}}, {make([]byte, 7)}, {make([]byte, 8<<16)}} {
		if err := Filter(programs); err == nil {
			t.Errorf("%d programs were loaded", len(programs))
		}
	}
}
