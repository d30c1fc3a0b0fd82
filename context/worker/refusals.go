package worker

import (
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/resource"
)

// A stranger can be refused as often as he likes: once for every packet he
// sends. These many refusals are logged; the others are counted.
const (
	refusalsPerSecond = 5
	refusalsBurst     = 50
)

// refusals bounds what refused peers can write into the log.
type refusals struct {
	bucket resource.Bucket
	silent int    // since the last line
	told   uint64 // our SPI of the IKE SA about which turnAway has said all
}

func newRefusals() refusals {
	return refusals{bucket: resource.Bucket{Rate: refusalsPerSecond, Burst: refusalsBurst}}
}

// refused logs that a peer was turned away, unless too many are.
func (w *Worker) refused(now time.Time, p exchange.Peer, reason string, args ...any) {
	if w.mayTell(now) {
		w.log.Warn("peer refused", append([]any{"peer", p.Remote, "identity", p.RemoteID, "profile", p.Profile, "reason", reason}, args...)...)
	}
}

// tellRefused logs what the engine says of a refusal. Where we have connected to the
// peer, nobody has refused it.
func (w *Worker) tellRefused(now time.Time, e exchange.Refused) {
	if !e.Dialled {
		w.refused(now, e.Peer, e.Reason, "notify", e.Notify)
	} else if w.mayTell(now) {
		w.of(e.Peer).Warn("exchange with the peer failed", "profile", e.Peer.Profile, "reason", e.Reason, "notify", e.Notify)
	}
}

// mayTell reports whether there is room for a line in the log; otherwise it counts.
func (w *Worker) mayTell(now time.Time) bool {
	if !w.refusals.bucket.Take(now, 1) {
		w.refusals.silent++
		return false
	}
	w.tellSilent()
	return true
}

// notifies is what a peer is told of a refusal.
var notifies = map[exchange.Refusal]string{
	exchange.RefuseNoAddress: "INTERNAL_ADDRESS_FAILURE", exchange.RefuseLimit: "NO_ADDITIONAL_SAS", exchange.RefuseUnauthorised: "AUTHENTICATION_FAILED",
}

// turnAway logs that an authentic peer gets no session, with all that there is to
// say: what the engine says of it then is passed over.
func (w *Worker) turnAway(now time.Time, p exchange.Peer, r exchange.Refusal, reason string, args ...any) {
	w.refusals.told = p.SPI
	w.refused(now, p, reason, append([]any{"notify", notifies[r]}, args...)...)
}

// tellRefusals tells, once the flood ebbs, how many refusals were not logged.
func (w *Worker) tellRefusals(now time.Time) {
	if w.refusals.silent > 0 && w.refusals.bucket.Take(now, 1) {
		w.tellSilent()
	}
}

func (w *Worker) tellSilent() {
	if n := w.refusals.silent; n > 0 {
		w.log.Warn("more peers refused than are logged", "count", n)
		w.refusals.silent = 0
	}
}
