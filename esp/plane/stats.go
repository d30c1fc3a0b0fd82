package plane

import (
	"sync/atomic"

	"github.com/warrenvpn/warren/esp/stats"
)

// counters are the atomics behind stats.Counts, one set per goroutine so that
// cores do not share cache lines.
type counters struct {
	v     [stats.Number]atomic.Uint64
	bytes [stats.Number]atomic.Uint64
	_     [64]byte
}

// add counts n without bytes.
func (c *counters) add(s stats.Counter, n int) { c.v[s].Add(uint64(n)) }

// count counts packets with their bytes.
func (c *counters) count(s stats.Counter, packets, bytes int) {
	if packets > 0 {
		c.v[s].Add(uint64(packets))
		c.bytes[s].Add(uint64(bytes))
	}
}

// addTo adds the counters to s.
func (c *counters) addTo(s *stats.Counts) {
	for i := range s {
		s[i].N += c.v[i].Load()
		s[i].Bytes += c.bytes[i].Load()
	}
}

// merge adds what o has counted.
func (c *counters) merge(o *counters) {
	for i := range c.v {
		c.v[i].Add(o.v[i].Load())
		c.bytes[i].Add(o.bytes[i].Load())
	}
}
