package link

import (
	"time"

	"github.com/warrenvpn/warren/failover/journal"
)

// The pace of a bulk copy: 10,000 SAs of a kilobyte take a third of a second, less
// than the standby needs to take them in, in pieces that the event loop does not
// notice.
const (
	DefaultBulkRate = 32 << 20 // bytes a second
	bulkBurst       = 1 << 20
	// bulkPiece is what is waited for when nothing is left: a millisecond's worth,
	// so that timers do not cost more than the copy.
	bulkPiece = 32 << 10
)

// Pacer is a token bucket for the messages of a snapshot. The zero Pacer has
// the default rate.
type Pacer struct {
	Rate   int // bytes a second; 0: DefaultBulkRate
	tokens float64
	last   time.Time
}

// allow takes n bytes, or says when that will be possible.
func (p *Pacer) allow(now time.Time, n int) (at time.Time, ok bool) {
	rate := float64(p.Rate)
	if p.Rate == 0 {
		rate = DefaultBulkRate
	}
	if p.last.IsZero() {
		p.tokens = bulkBurst
	} else if now.After(p.last) {
		p.tokens = min(bulkBurst, p.tokens+now.Sub(p.last).Seconds()*rate)
	}
	p.last = now
	if p.tokens <= 0 {
		return now.Add(time.Duration((bulkPiece - p.tokens) / rate * float64(time.Second))), false
	}
	p.tokens -= float64(n) // may fall below zero: a record can be larger than the burst
	return time.Time{}, true
}

// Feed moves messages from the sender to the session until there is none, the
// session is full (Room tells when to go on) or the pace of a bulk copy says
// wait: then again is the time to call Feed at the latest. The owner of the
// Sender calls it after every Append and Snapshot, and when Room has a value.
func (s *Session) Feed(now time.Time, sender *journal.Sender, p *Pacer) (again time.Time) {
	for s.free() {
		if sender.Bulk() {
			if at, ok := p.allow(now, 0); !ok {
				return at
			}
		}
		bulk := sender.Bulk()
		b, ok := sender.Message(nil)
		if !ok {
			return time.Time{}
		}
		if bulk {
			p.allow(now, len(b))
		}
		s.Send(b)
	}
	return time.Time{}
}
