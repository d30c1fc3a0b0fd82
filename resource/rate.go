package resource

import "time"

// RateMeter turns a total that only grows into a rate. A total that shrinks
// begins anew, as after a restart.
type RateMeter struct {
	at            time.Time
	total         float64
	current, peak float64
}

// Measure returns the rate per second since the last measurement, and the
// highest so far. Within window of the last one it measures nothing.
func (m *RateMeter) Measure(now time.Time, total float64, window time.Duration) (current, peak float64) {
	elapsed := now.Sub(m.at)
	if !m.at.IsZero() && elapsed >= 0 && elapsed < window {
		return m.current, m.peak
	}
	if !m.at.IsZero() && elapsed > 0 && total >= m.total {
		m.current = (total - m.total) / elapsed.Seconds()
		m.peak = max(m.peak, m.current)
	}
	m.at, m.total = now, total
	return m.current, m.peak
}

// Last returns what Measure has returned last.
func (m *RateMeter) Last() (current, peak float64) { return m.current, m.peak }
