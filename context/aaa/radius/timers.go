package radius

import (
	"container/heap"
	"time"
)

// timers are the requests, the one that is due next first. It implements heap.Interface.
type timers []*request

// set has q looked at then, and not when it was said before.
func (t *timers) set(q *request, at time.Time) {
	q.at = at
	if q.index < 0 {
		heap.Push(t, q)
		return
	}
	heap.Fix(t, q.index)
}

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].at.Before(t[j].at) }
func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].index, t[j].index = i, j
}

// Push implements heap.Interface.
func (t *timers) Push(x any) {
	q := x.(*request)
	q.index = len(*t)
	*t = append(*t, q)
}

// Pop implements heap.Interface.
func (t *timers) Pop() any {
	old := *t
	q := old[len(old)-1]
	old[len(old)-1] = nil
	*t = old[:len(old)-1]
	q.index = -1
	return q
}
