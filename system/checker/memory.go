package checker

import "crypto/sha256"

// memory keeps something of the texts that came last, by their hash.
type memory[T any] struct {
	most   int
	values map[[sha256.Size]byte]T
	order  [][sha256.Size]byte // oldest first
}

func (m *memory[T]) get(sum [sha256.Size]byte) (T, bool) {
	v, ok := m.values[sum]
	return v, ok
}

// put keeps a value; the oldest goes where there are too many.
func (m *memory[T]) put(sum [sha256.Size]byte, v T) {
	if m.values == nil {
		m.values = map[[sha256.Size]byte]T{}
	}
	if _, known := m.values[sum]; !known {
		if m.order = append(m.order, sum); len(m.order) > m.most {
			delete(m.values, m.order[0])
			m.order = m.order[1:]
		}
	}
	m.values[sum] = v
}
