package resource

// The rest is granted one by one when little is left, and more at once while
// there is plenty, so that a member need not ask for each thing: at most
// maxAhead, and never so much that all members together could use it up.
const (
	maxAhead   = 64
	aheadShare = 8
)

// Rest is what the guarantees have left of a resource. Members take from it,
// first come, first served.
//
// What a member holds is told anew with every claim, so a member that has begun
// again, or whose last answer was lost, is counted right. The zero Rest is
// empty.
type Rest struct {
	size  int64
	held  map[string]int64 // by member, with what it was granted ahead
	meter Meter
}

// Resize sets how much there is. What is held above it stays held.
func (r *Rest) Resize(size int64) { r.size = size }

// Claim is the claim of a member that holds some and wants more. limit bounds
// what one member may hold; 0: there is no bound. Claim returns what the member
// may hold from now on: less than held+more where not enough is left, more
// where it is granted something ahead, and never less than held up to the limit.
func (r *Rest) Claim(member string, held, more, limit int64) int64 {
	if r.held == nil {
		r.held = make(map[string]int64)
	}
	most := r.size
	if limit != 0 {
		most = min(most, limit)
	}
	held, more = min(max(held, 0), most), max(more, 0)
	r.meter.Current -= r.held[member]
	left := max(0, r.size-r.meter.Current-held)
	granted := min(more, left, most-held)
	if granted < more {
		r.meter.Denied += more - granted
	} else if more > 0 {
		ahead := min(maxAhead, left/int64(aheadShare*(len(r.held)+1))) - more
		granted += max(0, min(ahead, most-held-granted))
	}
	if held+granted == 0 {
		delete(r.held, member)
	} else {
		r.held[member] = held + granted
	}
	r.meter.Add(held + granted)
	return held + granted
}

// Leave takes a member out with all that it holds.
func (r *Rest) Leave(member string) {
	r.meter.Current -= r.held[member]
	delete(r.held, member)
}

// Meter returns the use of the whole.
func (r *Rest) Meter() Meter {
	m := r.meter
	m.Limit = r.size
	return m
}
