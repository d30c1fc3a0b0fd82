package worker

import (
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/session"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/resource"
)

// A stranger can be refused as often as he likes: once for every packet he
// sends. These many refusals are logged; the others are counted.
const (
	refusalsPerSecond = 5
	refusalsBurst     = 50
)

// refusals logs that peers were turned away, within bounds.
type refusals struct {
	tell   func(control.Fact)
	bucket resource.Bucket
	silent int    // since the last line
	told   uint64 // our SPI of the IKE SA about which session has said all
}

func newRefusals(tell func(control.Fact)) refusals {
	return refusals{tell: tell, bucket: resource.Bucket{Rate: refusalsPerSecond, Burst: refusalsBurst}}
}

// engine tells what the engine says of a refusal, unless session has said it. Where
// we have connected to the peer, nobody has refused it.
func (r *refusals) engine(now time.Time, e exchange.Refused) {
	told := r.told
	r.told = 0
	switch {
	case told != 0 && told == e.Peer.SPI:
	case !r.mayTell(now):
	case !e.Dialled:
		r.tell(&control.PeerRefused{Peer: e.Peer.Remote, Identity: e.Peer.Name(), Profile: e.Peer.Profile,
			Reason: e.Reason, Notify: e.Notify})
	default:
		r.tell(&control.PeerFailed{Peer: peerOf(e.Peer), Profile: e.Peer.Profile, Reason: e.Reason, Notify: e.Notify})
	}
}

// garbled tells that a peer sends nothing but messages whose integrity check fails.
func (r *refusals) garbled(now time.Time, e exchange.Garbled) {
	if r.bucket.Take(now, 1) {
		r.tell(&control.IKEGarbled{Peer: peerOf(e.Peer), Count: uint64(e.Messages)})
	}
}

// mayTell reports whether there is room for a line in the log; otherwise it counts.
func (r *refusals) mayTell(now time.Time) bool {
	if !r.bucket.Take(now, 1) {
		r.silent++
		return false
	}
	r.tellSilent()
	return true
}

// notifies is what a peer is told of a refusal.
var notifies = map[exchange.Refusal]string{
	exchange.RefuseNoAddress: "INTERNAL_ADDRESS_FAILURE", exchange.RefuseLimit: "NO_ADDITIONAL_SAS",
	exchange.RefuseUnauthorised: "AUTHENTICATION_FAILED",
}

// session tells that an authentic peer gets no session, with all that there is to
// say: what the engine says of it then is passed over. class is the tenant's.
func (r *refusals) session(now time.Time, a *session.Answer, class string) {
	s, no := &a.Subject, a.Refused
	r.told = s.Handle.Number
	if !r.mayTell(now) {
		return
	}
	e := &control.PeerRefused{Peer: s.Public, Identity: s.User, Profile: s.Group, Reason: a.Reason(),
		Notify: notifies[engineRefusals[no.Cause]]}
	switch no.Cause {
	case session.CauseProtocol, session.CauseNoLogins, session.CauseHours, session.CauseLock:
		e.GroupPolicy = no.GroupPolicy
	case session.CauseLogins:
		e.GroupPolicy, e.Limit = no.GroupPolicy, no.Limit
	case session.CauseClass, session.CauseShared:
		e.Class, e.Resource, e.Limit = class, no.Resource, no.Limit
	case session.CauseAddress:
		e.Pools = no.Pools
		if no.Err != nil {
			e.Detail = no.Err.Error()
		}
	case session.CauseMemory, session.CauseExpired:
	}
	r.tell(e)
}

// ebb tells, once the flood ebbs, how many refusals were not told.
func (r *refusals) ebb(now time.Time) {
	if r.silent > 0 && r.bucket.Take(now, 1) {
		r.tellSilent()
	}
}

func (r *refusals) tellSilent() {
	if n := r.silent; n > 0 {
		r.tell(&control.PeersRefused{Count: uint64(n)})
		r.silent = 0
	}
}
