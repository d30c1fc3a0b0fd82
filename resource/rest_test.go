package resource

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestRemainder(t *testing.T) {
	members := []Limits{{Sessions: 12000, BurstSessions: None}, {Sessions: 7000}, {}}
	if got := Remainder(Sessions, members, totals); got != 1000 {
		t.Errorf("got %v, want 1000", got)
	}
	if got := Remainder(Sessions, append(members, Limits{Sessions: 2000}), totals); got != 0 {
		t.Errorf("more promised than there is: got %v, want 0", got)
	}
}

func TestRest(t *testing.T) {
	var r Rest
	if got := r.Claim("blue", 0, 1, 0); got != 0 {
		t.Errorf("of nothing: got %d", got)
	}
	r.Resize(10)
	for i, step := range []struct {
		member            string
		held, more, limit int64
		want              int64
	}{
		{"blue", 0, 3, 0, 3},
		{"red", 0, 9, 0, 7},     // what is left
		{"blue", 3, 1, 0, 3},    // nothing is
		{"red", 2, 0, 0, 2},     // given back
		{"blue", 3, 2, 4, 4},    // no more than its own limit
		{"blue", 4, 0, 0, 4},    // told again
		{"green", 20, 1, 0, 10}, // began again with more than there is
		{"red", 2, 1, 0, 2},
		{"green", 1, 0, 0, 1},
		{"red", -5, -5, 0, 0},
	} {
		if got := r.Claim(step.member, step.held, step.more, step.limit); got != step.want {
			t.Errorf("step %d: got %d, want %d", i, got, step.want)
		}
	}
	if m := r.Meter(); m.Current != 5 || m.Limit != 10 || m.Denied < 4 {
		t.Errorf("got %+v, want 5 of 10", m)
	}
	r.Leave("blue")
	r.Leave("nobody")
	if m := r.Meter(); m.Current != 1 {
		t.Errorf("after leaving: got %+v, want 1 held", m)
	}
}

// TestRestAhead has plenty of room, where a member asks once for many.
func TestRestAhead(t *testing.T) {
	var r Rest
	r.Resize(20000)
	if got := r.Claim("blue", 0, 1, 0); got != maxAhead {
		t.Errorf("got %d, want %d", got, maxAhead)
	}
	if got := r.Claim("red", 0, 1, 5); got != 5 {
		t.Errorf("ahead of its own limit: got %d, want 5", got)
	}
	if m := r.Meter(); m.Denied != 0 {
		t.Errorf("denied: %+v", m)
	}
}

// TestRestNeverOverdrawn has members that tell the truth, and loses answers.
func TestRestNeverOverdrawn(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var r Rest
	r.Resize(100)
	names := []string{"a", "b", "c", "d"}
	held, may := map[string]int64{}, map[string]int64{}
	for range 20000 {
		m := names[rng.IntN(len(names))]
		if rng.IntN(4) == 0 {
			held[m] -= rng.Int64N(held[m] + 1)
		}
		got := r.Claim(m, held[m], rng.Int64N(5), 0)
		if rng.IntN(8) > 0 {
			may[m] = got
			held[m] += rng.Int64N(max(0, may[m]-held[m]) + 1)
		}
		var sum int64
		for _, n := range held {
			sum += n
		}
		if sum > 100 || r.Meter().Current > 100 {
			t.Fatalf("%d are held, and %+v granted, of 100", sum, r.Meter())
		}
	}
}

func TestRateMeter(t *testing.T) {
	start := time.Date(2026, 11, 24, 5, 0, 0, 0, time.UTC)
	var m RateMeter
	for i, step := range []struct {
		at            time.Duration
		total         float64
		current, peak float64
	}{
		{0, 1000, 0, 0},
		{time.Second / 2, 5000, 0, 0}, // too soon
		{2 * time.Second, 3000, 1000, 1000},
		{4 * time.Second, 3000, 0, 1000},
		{5 * time.Second, 10, 0, 1000}, // began anew
		{6 * time.Second, 110, 100, 1000},
		{0, 200, 100, 1000}, // the clock went back
		{time.Second, 5200, 5000, 5000},
	} {
		current, peak := m.Measure(start.Add(step.at), step.total, time.Second)
		if current != step.current || peak != step.peak {
			t.Errorf("step %d: got %v, peak %v; want %v, %v", i, current, peak, step.current, step.peak)
		}
	}
}

func TestNotice(t *testing.T) {
	start := time.Date(2026, 11, 24, 5, 0, 0, 0, time.UTC)
	var n Notice
	for i, step := range []struct {
		at     time.Duration
		denied int64
		count  int64
		due    bool
	}{
		{0, 0, 0, false},
		{time.Second, 3, 3, true},
		{2 * time.Second, 5, 0, false},
		{62 * time.Second, 9, 6, true},
		{200 * time.Second, 9, 0, false},
		{201 * time.Second, 2, 2, true}, // counted anew
	} {
		count, due := n.Due(start.Add(step.at), step.denied)
		if count != step.count || due != step.due {
			t.Errorf("step %d: got %d, %v; want %d, %v", i, count, due, step.count, step.due)
		}
	}
}
