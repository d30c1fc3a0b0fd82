package ikev2

import (
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/resource"
)

// What an authentic peer may have us do is bounded for each IKE SA, whatever it asks
// for: each new request costs us a decryption, an answer that is sealed, and a record
// that is written down and goes to the twin. Who asks for more gets no answer until
// there is something left again, and has cost no more than a look at the header by
// then; its window is one request, so what it asks for next waits, too.
//
// Only what the peer alone can have made counts against it. A message that somebody
// else sends again, who has seen it, does not use up what the peer has.

// quota is what is left of one kind. The zero value is all there is. A successor shares
// it: see rekeying.successor.
type quota struct{ left *resource.Bucket }

// rate is how fast a quota fills, and how much it holds.
type rate struct{ perSecond, burst float64 }

// bucket returns what is left.
func (q *quota) bucket(r rate) *resource.Bucket {
	if q.left == nil {
		q.left = &resource.Bucket{Rate: r.perSecond, Burst: r.burst}
	}
	return q.left
}

// take takes some of it, and reports whether that was there.
func (q *quota) take(now time.Time, r rate, cost float64) bool { return q.bucket(r).Take(now, cost) }

// lacks reports whether there is less than cost.
func (q *quota) lacks(now time.Time, r rate, cost float64) bool {
	if q.left == nil {
		return cost > r.burst
	}
	wait, _ := q.left.Wait(now, cost)
	return wait > 0
}

// quotas are those of one IKE SA, and of what follows it.
type quotas struct {
	creates  quota // CREATE_CHILD_SA, and moves by MOBIKE
	requests quota // new requests, their fragments, and moves that ESP shows
	repeats  quota // answers that are sent again

	elsewhere time.Time // before that, none goes to another address than the peer's
}

// costOf is what a message of n octets takes of requests: it is one, and one more for each
// further piece of a size that a network would carry in one packet.
func costOf(n int) float64 { return float64(1 + n/largeMessage) }

// serves reports whether the next request of the peer, or a fragment of it, of n octets,
// is looked at.
func (q *quotas) serves(now time.Time, n int) bool {
	return !q.requests.lacks(now, requestsRate, costOf(n))
}

// served notes that such a message was authentic.
func (q *quotas) served(now time.Time, n int) { q.requests.take(now, requestsRate, costOf(n)) }

// mayRepeat reports whether the last response may go to an address once more: to the
// peer as often as repeatsRate says, to others after repeatPause. It is asked before the
// repeated request is looked at, and repeated says that it was authentic.
func (q *quotas) mayRepeat(now time.Time, to, peer netip.AddrPort) bool {
	if to == peer {
		return !q.repeats.lacks(now, repeatsRate, 1)
	}
	return !now.Before(q.elsewhere)
}

// repeated notes that the last response goes to an address once more.
func (q *quotas) repeated(now time.Time, to, peer netip.AddrPort) {
	if to == peer {
		q.repeats.take(now, repeatsRate, 1)
	} else {
		q.elsewhere = now.Add(repeatPause)
	}
}
