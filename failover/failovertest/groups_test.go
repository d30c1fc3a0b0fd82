package failovertest

import "testing"

// TestThousandGroups plays a pair with as many groups as contexts, over links that
// lose heartbeats and are cut, while nodes die and one context crashes.
func TestThousandGroups(t *testing.T) {
	var takeovers, crashes int
	for seed := range uint64(6) {
		result, err := RunGroups(seed, 1000)
		t.Logf("seed %d: %+v", seed, result)
		if err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		takeovers, crashes = takeovers+result.Takeovers, crashes+result.Crashes
	}
	if takeovers < 10000 || crashes == 0 {
		t.Errorf("%d takeovers and %d crashes: too few to mean something", takeovers, crashes)
	}
}
