package plane

import (
	"sync/atomic"
	"time"

	"github.com/warrenvpn/warren/esp/stats"
)

// Rates bound what all carriers of a plane carry together. 0: there is no bound.
type Rates struct {
	BytesIn  float64 // per second, of ESP as it arrives; of another carrier, of its inner packets
	BytesOut float64 // per second, of inner packets
	Packets  float64 // per second, of both directions together
}

// RateUse counts what Rates have let pass while there were any, and what they
// have dropped, since New.
type RateUse struct {
	BytesIn, BytesOut, Packets uint64
	// Packets that were dropped, by the bound that they would have exceeded.
	DroppedIn, DroppedOut, DroppedPackets uint64
}

const (
	// burstTime is how much may pass at once after a pause.
	burstTime = 100 * time.Millisecond
	// A burst holds a super-packet, however low the rate is.
	leastBytes   = 64 << 10
	leastPackets = 64
	// turnTime is the time over which the SAs' shares are counted: no longer
	// than it takes to use up half a burst, so that the shares of all SAs are
	// there when a turn begins.
	turnTime = int64(burstTime / 2)
	// eachBits is the number of fractional bits of policer.each: 64 KiB at one
	// byte a second still fit into 63 bits.
	eachBits = 14
)

// policers keep a plane within its Rates. They are applied before a packet
// costs anything: inbound before it is opened, outbound before it is sealed.
//
// All SAs share a bound. While more than half of a burst is left, any SA may
// use it. Below that, an SA that has used its share of the current turn, a
// twentieth of a second, waits for the next one. So an SA that floods takes
// nothing from one that does not.
type policers struct {
	in, out, packets policer
}

// policer is one bound: the generic cell rate algorithm of ITU-T I.371.
type policer struct {
	each  uint64 // 2^-eachBits nanoseconds that one byte, or packet, stands for; 0: no bound
	burst int64  // nanoseconds
	rate  int64  // per turn

	// full is the instant at which the whole burst will be there again, in
	// nanoseconds: the generic cell rate algorithm of ITU-T I.371.
	full atomic.Int64

	turn         atomic.Int64 // number of the current one
	active, last atomic.Int64 // SAs in this turn, and in the one before
}

// share is what one SA has used of a policer in one turn.
type share struct {
	turn, used atomic.Int64
}

// shares are those of one link.
type shares struct {
	in, out, packetsIn, packetsOut share
}

// rateUse are the atomics behind RateUse.
type rateUse struct {
	passedIn, passedOut, passed, droppedIn, droppedOut, dropped atomic.Uint64
}

func (r *policer) init(rate float64, least int) {
	if rate <= 0 {
		return
	}
	each := float64(time.Second) / rate
	r.each = max(1, uint64(each*(1<<eachBits)))
	r.burst = max(int64(burstTime), int64(float64(least)*each)+1)
	r.rate = max(1, int64(rate*burstTime.Seconds()/2))
}

// SetRates sets the bounds, also while the plane runs.
func (p *Plane) SetRates(to Rates) {
	if to == (Rates{}) {
		p.tun.policers.Store(nil)
		return
	}
	r := &policers{}
	r.in.init(to.BytesIn, leastBytes)
	r.out.init(to.BytesOut, leastBytes)
	r.packets.init(to.Packets, leastPackets)
	p.tun.policers.Store(r)
}

// limited reports whether there are bounds.
func (t *tunSide) limited() bool { return t.policers.Load() != nil }

// RateUse returns the counters since New.
func (p *Plane) RateUse() RateUse {
	u := &p.tun.rated
	return RateUse{
		BytesIn: u.passedIn.Load(), BytesOut: u.passedOut.Load(), Packets: u.passed.Load(),
		DroppedIn: u.droppedIn.Load(), DroppedOut: u.droppedOut.Load(), DroppedPackets: u.dropped.Load(),
	}
}

// police reports whether a packet of size bytes for l may be delivered.
func (r *Receiver) police(l *Link, size int) bool {
	bound := r.tun.policers.Load()
	return bound == nil || r.within(bound, l, size)
}

// within is police where there are bounds.
func (r *Receiver) within(bound *policers, l *Link, size int) bool {
	u := &r.tun.rated
	switch {
	case bound.packets.conform(r.clock, 1, 1, &l.sharesOf().packetsIn) == 0:
		u.dropped.Add(1)
	case bound.in.conform(r.clock, 1, size, &l.sharesOf().in) == 0:
		u.droppedIn.Add(1)
	default:
		u.passed.Add(1)
		u.passedIn.Add(uint64(size))
		return true
	}
	r.stats.count(stats.DropRate, 1, size)
	return false
}

// police returns how many of n packets of size bytes may be sent over l.
func (q *queue) police(l *Link, n, size int) int {
	bound := q.tun.policers.Load()
	if bound == nil {
		return n
	}
	return q.within(bound, l, n, size)
}

// within is police where there are bounds.
func (q *queue) within(bound *policers, l *Link, n, size int) int {
	now := q.tun.now().UnixNano()
	u := &q.tun.rated
	some := bound.packets.conform(now, n, 1, &l.sharesOf().packetsOut)
	u.dropped.Add(uint64(n - some))
	passed := bound.out.conform(now, some, size, &l.sharesOf().out)
	u.droppedOut.Add(uint64(some - passed))
	u.passed.Add(uint64(passed))
	u.passedOut.Add(uint64(passed * size))
	q.stats.count(stats.DropRate, n-passed, (n-passed)*size)
	return passed
}

// conform returns how many of n packets, each of size tokens, are within the
// bound, and takes their tokens. s is the share of their SA.
func (r *policer) conform(now int64, n, size int, s *share) int {
	if r.each == 0 || n == 0 {
		return n
	}
	if turn := now / turnTime; s.turn.Load() != turn {
		r.enterTurn(turn, s)
	}
	cost := max(1, int64(uint64(size)*r.each+1<<eachBits-1)>>eachBits)
	for {
		before := r.full.Load()
		full := before
		if full < now || full > now+r.burst { // a pause; or the clock went back
			full = now
		}
		left := now + r.burst - full
		k := min(int64(n), left/cost)
		scarce := left < r.burst/2
		if scarce {
			more := r.fairShare() - s.used.Load()
			k = min(k, max(0, more+int64(size)-1)/int64(size))
		}
		if k <= 0 {
			return 0
		}
		if r.full.CompareAndSwap(before, full+k*cost) {
			if scarce {
				s.used.Add(k * int64(size))
			}
			return int(k)
		}
	}
}

// enterTurn counts the SA whose share is s among the active ones of this turn.
func (r *policer) enterTurn(turn int64, s *share) {
	if was := r.turn.Load(); was != turn && r.turn.CompareAndSwap(was, turn) {
		r.last.Store(r.active.Swap(0))
	}
	s.turn.Store(turn)
	s.used.Store(0)
	r.active.Add(1)
}

// fairShare returns the tokens that an SA may take in a turn while less than
// half of a burst is left.
func (r *policer) fairShare() int64 {
	return r.rate / max(r.active.Load(), r.last.Load(), 1)
}
