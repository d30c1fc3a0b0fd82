package users

import "testing"

// TestUsers: users of a system are in its share of the range, and those of two systems differ.
func TestUsers(t *testing.T) {
	for _, name := range []string{"", "warren", "tour", "/etc/warren/warren.hcl"} {
		worker, checker := FirstWorker(name), Checker(name)
		if worker%share != 0 || worker < first || checker >= 1<<31 || checker-worker != Workers {
			t.Errorf("%q: the first worker is %#x, the checker %#x", name, worker, checker)
		}
	}
	if FirstWorker("warren") == FirstWorker("tour") {
		t.Error("two systems have the same users")
	}
	if got := FirstWorker("warren"); got != 0x71a5a000 {
		t.Errorf("the users of a system are others than those of the version before: %#x", got)
	}
}
