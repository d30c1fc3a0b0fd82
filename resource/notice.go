package resource

import "time"

// noticeEvery is how often one refusal is told again. What causes it is often
// in a stranger's hand.
const noticeEvery = time.Minute

// Notice decides when refusals of one resource are worth a line in the log: the
// first at once, later ones together, once a minute at most.
type Notice struct {
	told int64
	next time.Time
}

// Due returns how many refusals there are to tell of denied in all, and whether
// that is due now.
func (n *Notice) Due(now time.Time, denied int64) (count int64, due bool) {
	if denied < n.told { // counted anew
		n.told = 0
	}
	if denied == n.told || now.Before(n.next) {
		return 0, false
	}
	count = denied - n.told
	n.told, n.next = denied, now.Add(noticeEvery)
	return count, true
}
