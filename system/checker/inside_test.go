package checker

import "testing"

// TestNobodyElse: the mode is not met by accident.
func TestNobodyElse(t *testing.T) {
	for _, args := range [][]string{nil, {"warrend"}, {"warrend-check", "--help"}} {
		if Started(args) {
			t.Errorf("%q starts it", args)
		}
	}
	var none *Checker
	if err := none.Check([]byte("loop")); err != nil {
		t.Errorf("without a checker: %v", err)
	}
	none.Close()
	if _, err := New(&Config{}); err == nil {
		t.Error("a process would be root")
	}
}
