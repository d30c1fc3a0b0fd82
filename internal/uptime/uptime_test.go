package uptime

import "testing"

func TestNow(t *testing.T) {
	first := Now()
	if second := Now(); first <= 0 || second < first {
		t.Errorf("up for %v, then for %v", first, second)
	}
}
