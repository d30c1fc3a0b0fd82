package resource

// Meter counts the use of one resource by one context.
type Meter struct {
	Current, Peak int64
	Limit         int64 // 0: unlimited
	Denied        int64 // how often Take was refused
}

// Take adds n to the use, and reports whether the limit allows it. A refusal
// is counted and changes nothing else.
func (m *Meter) Take(n int64) bool {
	if m.Limit != 0 && n > m.Limit-m.Current {
		m.Denied++
		return false
	}
	m.Add(n)
	return true
}

// Add adds n to the use without asking for the limit: what is there already,
// as after a restart or under a limit that was lowered.
func (m *Meter) Add(n int64) {
	m.Current += n
	m.Peak = max(m.Peak, m.Current)
}

// Give takes n from the use.
func (m *Meter) Give(n int64) {
	if n > m.Current {
		panic("resource: internal error: more given back than taken")
	}
	m.Current -= n
}

// Set replaces the use by a measured one.
func (m *Meter) Set(current int64) {
	m.Current = current
	m.Peak = max(m.Peak, current)
}
