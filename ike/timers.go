package ike

import (
	"container/heap"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
)

// timers is a heap of SAs by their deadlines, in which each knows its place
// (exchange.Index). The SPI breaks ties, so that a run repeats.
type timers struct{ list []timer }

type timer struct {
	sa exchange.SA
	at time.Time
}

// set moves s to its new deadline; zero: it has none.
func (t *timers) set(s exchange.SA, at time.Time) {
	i := s.Index().Timer - 1
	known := i >= 0
	switch {
	case known && at.IsZero():
		heap.Remove(t, i)
	case known && t.list[i].at.Equal(at):
	case known:
		t.list[i].at = at
		heap.Fix(t, i)
	case !at.IsZero():
		heap.Push(t, timer{s, at})
	}
}

// first returns the SA with the earliest deadline, nil for none.
func (t *timers) first() (exchange.SA, time.Time) {
	if len(t.list) == 0 {
		return nil, time.Time{}
	}
	return t.list[0].sa, t.list[0].at
}

// Len implements heap.Interface.
func (t *timers) Len() int { return len(t.list) }

// Less implements heap.Interface.
func (t *timers) Less(i, j int) bool {
	a, b := &t.list[i], &t.list[j]
	if !a.at.Equal(b.at) {
		return a.at.Before(b.at)
	}
	return a.sa.SPI() < b.sa.SPI()
}

// Swap implements heap.Interface.
func (t *timers) Swap(i, j int) {
	t.list[i], t.list[j] = t.list[j], t.list[i]
	t.list[i].sa.Index().Timer, t.list[j].sa.Index().Timer = i+1, j+1
}

// Push implements heap.Interface.
func (t *timers) Push(x any) {
	t.list = append(t.list, x.(timer))
	x.(timer).sa.Index().Timer = len(t.list)
}

// Pop implements heap.Interface.
func (t *timers) Pop() any {
	last := t.list[len(t.list)-1]
	t.list[len(t.list)-1] = timer{}
	t.list = t.list[:len(t.list)-1]
	last.sa.Index().Timer = 0
	return last
}
