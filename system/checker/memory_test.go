package checker

import "testing"

// TestMemoryIsBounded: what is remembered of texts has an end.
func TestMemoryIsBounded(t *testing.T) {
	m := memory[int]{most: 3}
	for i := range 10 {
		m.put([32]byte{byte(i)}, i)
		m.put([32]byte{byte(i)}, i)
	}
	if len(m.values) != 3 || len(m.order) != 3 {
		t.Errorf("%d are kept, %d in order", len(m.values), len(m.order))
	}
	if v, ok := m.get([32]byte{9}); !ok || v != 9 {
		t.Error("the newest is not there")
	}
}
