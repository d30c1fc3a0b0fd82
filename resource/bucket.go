package resource

import "time"

// Bucket is a token bucket: Rate tokens a second, at most Burst at once. It
// starts full. The zero Bucket lets everything pass.
type Bucket struct {
	Rate  float64 // tokens per second; 0: everything passes
	Burst float64 // at least 1 to ever let anything pass

	spent float64 // of Burst
	last  time.Time
}

// SetRate sets Rate and Burst. What is saved up stays, as far as there is room for it.
func (b *Bucket) SetRate(rate, burst float64) { b.Rate, b.Burst = rate, burst }

// Take takes n tokens, all or nothing, and reports whether they were there.
// Where now is before an earlier one, no time has passed.
func (b *Bucket) Take(now time.Time, n float64) bool {
	if b.Rate == 0 {
		return true
	}
	b.refill(now)
	if b.spent+n > b.Burst {
		return false
	}
	b.spent += n
	return true
}

// Wait returns how long after now n tokens will be there, and false where they
// never will because n is more than Burst.
func (b *Bucket) Wait(now time.Time, n float64) (time.Duration, bool) {
	if b.Rate == 0 {
		return 0, true
	}
	b.refill(now)
	missing := b.spent + n - b.Burst
	if missing <= 0 {
		return 0, true
	}
	wait := time.Duration(missing/b.Rate*float64(time.Second)) + 1 // rounded up
	return wait, n <= b.Burst
}

func (b *Bucket) refill(now time.Time) {
	if passed := now.Sub(b.last); passed > 0 {
		b.spent = max(0, b.spent-passed.Seconds()*b.Rate)
		b.last = now
	}
}
