package ike

import (
	"container/heap"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
)

// timers is a heap of SAs by their deadlines. The SPI breaks ties, so that a
// run repeats.
type timers struct {
	list  []timer
	index map[exchange.SA]int
}

type timer struct {
	sa exchange.SA
	at time.Time
}

// set moves s to its new deadline; zero: it has none.
func (t *timers) set(s exchange.SA, at time.Time) {
	i, known := t.index[s]
	switch {
	case known && at.IsZero():
		heap.Remove(t, i)
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
	t.index[t.list[i].sa], t.index[t.list[j].sa] = i, j
}

// Push implements heap.Interface.
func (t *timers) Push(x any) {
	t.index[x.(timer).sa] = len(t.list)
	t.list = append(t.list, x.(timer))
}

// Pop implements heap.Interface.
func (t *timers) Pop() any {
	last := t.list[len(t.list)-1]
	t.list[len(t.list)-1] = timer{}
	t.list = t.list[:len(t.list)-1]
	delete(t.index, last.sa)
	return last
}
