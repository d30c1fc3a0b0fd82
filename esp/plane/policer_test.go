package plane

import (
	"sync"
	"testing"
	"time"

	"github.com/warrenvpn/warren/esp/stats"
)

// TestPolicer lets SAs send for ten seconds, each packets of one size at an even
// pace, and looks at what they were let.
func TestPolicer(t *testing.T) {
	const (
		rate    = 1e6 // bytes per second
		seconds = 10
	)
	type sender struct{ size, perSecond int }
	for _, tt := range []struct {
		name      string
		senders   []sender
		low, high []float64 // of what each wants
	}{
		{"below the bound", []sender{{1000, 900}}, []float64{1}, []float64{1}},
		{"alone above it", []sender{{1000, 4000}}, []float64{0.24, 0}, []float64{0.28, 0}},
		{"a flood beside a trickle", []sender{{1400, 20000}, {84, 10}}, []float64{0.03, 1}, []float64{0.04, 1}},
		{"a flood beside a stream", []sender{{1400, 20000}, {1000, 300}}, []float64{0.02, 1}, []float64{0.03, 1}},
		{"two floods of different size", []sender{{1400, 5000}, {100, 70000}}, []float64{0.06, 0.06},
			[]float64{0.085, 0.085}},
		{"many", []sender{{500, 5000}, {500, 5000}, {500, 5000}, {500, 100}}, []float64{0.1, 0.1, 0.1, 1},
			[]float64{0.2, 0.2, 0.2, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r policer
			r.init(rate, leastBytes)
			shares := make([]share, len(tt.senders))
			passed, wanted := make([]float64, len(tt.senders)), make([]float64, len(tt.senders))
			var total float64
			const step = 10 * time.Microsecond
			start := time.Date(2026, 11, 24, 5, 0, 0, 0, time.UTC).UnixNano()
			for at := time.Duration(0); at < seconds*time.Second; at += step {
				for i, s := range tt.senders {
					every := time.Second / time.Duration(s.perSecond)
					if at/every == (at+step)/every {
						continue
					}
					wanted[i]++
					if r.conform(start+int64(at), 1, s.size, &shares[i]) == 1 {
						passed[i]++
						total += float64(s.size)
					}
				}
			}
			for i := range tt.senders {
				if got := passed[i] / wanted[i]; got < tt.low[i] || got > tt.high[i] {
					t.Errorf("sender %d: %.3f of %v packets passed, want %v to %v", i, got, wanted[i],
						tt.low[i], tt.high[i])
				}
			}
			if most := rate*seconds + rate*burstTime.Seconds(); total > most {
				t.Errorf("%v bytes passed, want %v at most", total, most)
			}
		})
	}
}

func TestPolicerParts(t *testing.T) {
	var r policer
	r.init(1e6, leastBytes)
	now := time.Date(2026, 11, 24, 5, 0, 0, 0, time.UTC).UnixNano()
	var s share
	if got := r.conform(now, 45, 1400, &s); got != 45 {
		t.Errorf("a super-packet after a pause: %d of 45", got)
	}
	if got := r.conform(now, 45, 1400, &s); got == 0 || got >= 45 {
		t.Errorf("the next one: %d of 45, want a part", got)
	}
	if got := r.conform(now, 45, 1400, &s); got != 0 {
		t.Errorf("and the one after: %d, want none", got)
	}
	if got := r.conform(now-int64(time.Hour), 1, 1400, &s); got != 1 {
		t.Error("the clock went back an hour, and nothing passes")
	}
	var none policer
	none.init(0, leastBytes)
	if got := none.conform(now, 7, 1<<30, &s); got != 7 {
		t.Errorf("no bound: %d of 7", got)
	}
	var slow policer
	slow.init(1, leastBytes)
	if got := slow.conform(now, 1, leastBytes, &s); got != 1 {
		t.Error("the largest packet never passes")
	}
}

// TestPolicerConcurrently has several queues take from one policer.
func TestPolicerConcurrently(t *testing.T) {
	var r policer
	r.init(1e6, leastBytes)
	now := time.Date(2026, 11, 24, 5, 0, 0, 0, time.UTC).UnixNano()
	var s share
	var total [4]int
	var wg sync.WaitGroup
	for i := range total {
		wg.Go(func() {
			for range 1000 {
				total[i] += r.conform(now, 1, 100, &s)
			}
		})
	}
	wg.Wait()
	if sum := total[0] + total[1] + total[2] + total[3]; sum == 0 || sum > 1000 {
		t.Errorf("%d packets at one instant, want 1000 at most", sum)
	}
}

// TestRates has packets of one child pass a plane in both directions.
func TestRates(t *testing.T) {
	l := newLoop(t, 2)
	l.p.SetRates(Rates{Packets: 100})
	l.in.rx.Start()
	for range 10 {
		l.turn(tcpSuper(0, 45*1300, 1300))
	}
	u := l.p.RateUse()
	if u.Packets == 0 || u.Packets > leastPackets || u.DroppedPackets == 0 || u.Packets+u.DroppedPackets < 450 {
		t.Errorf("100 packets a second: %+v", u)
	}
	if s := l.p.Stats(); s.Sum(stats.PacketsOut) == 0 || s.Sum(stats.PacketsOut) > u.Packets ||
		s.Sum(stats.DropRate) != u.DroppedPackets {
		t.Errorf("got %+v, and %+v", s, u)
	}
	l.p.SetRates(Rates{BytesOut: 1e5})
	before := l.p.Stats().Sum(stats.PacketsOut)
	for range 10 {
		l.turn(tcpSuper(1, 45*1300, 1300))
	}
	u = l.p.RateUse()
	if got := l.p.Stats().Sum(stats.PacketsOut) - before; got == 0 || got > leastBytes/1300 || u.DroppedOut == 0 ||
		u.BytesOut == 0 {
		t.Errorf("%d packets left, %+v", got, u)
	}
	l.p.SetRates(Rates{BytesIn: 1e5})
	l.in.rx.Start()
	for range 10 {
		l.turn(tcpSuper(0, 45*1300, 1300))
	}
	if u = l.p.RateUse(); u.DroppedIn == 0 || u.BytesIn == 0 {
		t.Errorf("%+v", u)
	}
	l.p.SetRates(Rates{})
	before = l.p.Stats().Sum(stats.DropRate)
	l.turn(tcpSuper(1, 45*1300, 1300))
	if l.p.Stats().Sum(stats.DropRate) != before {
		t.Error("no bound, and dropped")
	}
}

// BenchmarkPolicer is what a bound costs a packet.
func BenchmarkPolicer(b *testing.B) {
	var r policer
	r.init(1e12, leastBytes)
	var s share
	now := time.Date(2026, 11, 24, 5, 0, 0, 0, time.UTC).UnixNano()
	for b.Loop() {
		now += 1000
		if r.conform(now, 1, 1400, &s) == 0 {
			b.Fatal("refused")
		}
	}
}
