package worker

import (
	"log/slog"
	"time"

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
	log    *slog.Logger
	bucket resource.Bucket
	silent int    // since the last line
	told   uint64 // our SPI of the IKE SA about which session has said all
}

func newRefusals(log *slog.Logger) refusals {
	return refusals{log: log, bucket: resource.Bucket{Rate: refusalsPerSecond, Burst: refusalsBurst}}
}

// refused logs that a peer was turned away, unless too many are.
func (r *refusals) refused(now time.Time, p exchange.Peer, reason string, args ...any) {
	if r.mayTell(now) {
		r.log.Warn("peer refused", append([]any{"peer", p.Remote, "identity", p.RemoteID, "profile", p.Profile,
			"reason", reason}, args...)...)
	}
}

// engine logs what the engine says of a refusal, unless session has said it. Where
// we have connected to the peer, nobody has refused it.
func (r *refusals) engine(now time.Time, e exchange.Refused) {
	told := r.told
	r.told = 0
	switch {
	case told != 0 && told == e.Peer.SPI:
	case !e.Dialled:
		r.refused(now, e.Peer, e.Reason, "notify", e.Notify)
	case r.mayTell(now):
		of(r.log, e.Peer).Warn("exchange with the peer failed", "profile", e.Peer.Profile, "reason", e.Reason,
			"notify", e.Notify)
	}
}

// garbled logs that a peer sends nothing but messages whose integrity check fails.
func (r *refusals) garbled(now time.Time, e exchange.Garbled) {
	if r.bucket.Take(now, 1) {
		of(r.log, e.Peer).Warn("no message of the peer passes the integrity check", "count", e.Messages)
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

// session logs that an authentic peer gets no session, with all that there is to
// say: what the engine says of it then is passed over. class is the tenant's.
func (r *refusals) session(now time.Time, a *session.Answer, class string) {
	s, no, reason := &a.Subject, a.Refused, a.Reason()
	p := exchange.Peer{SPI: s.Handle.Number, Remote: s.Public, RemoteID: s.User, Profile: s.Group}
	r.told = p.SPI
	notify := notifies[engineRefusals[no.Cause]]
	switch no.Cause {
	case session.CauseProtocol, session.CauseNoLogins:
		r.refused(now, p, reason, "notify", notify, "group_policy", no.GroupPolicy)
	case session.CauseLogins:
		r.refused(now, p, reason, "notify", notify, "group_policy", no.GroupPolicy, "limit", no.Limit)
	case session.CauseClass, session.CauseShared:
		r.refused(now, p, reason, "notify", notify, "class", class, "resource", no.Resource, "limit", no.Limit)
	case session.CauseAddress:
		r.refused(now, p, reason, "notify", notify, "pools", no.Pools, "detail", no.Err)
	case session.CauseMemory:
		r.refused(now, p, reason, "notify", notify)
	}
}

// tell says, once the flood ebbs, how many refusals were not logged.
func (r *refusals) tell(now time.Time) {
	if r.silent > 0 && r.bucket.Take(now, 1) {
		r.tellSilent()
	}
}

func (r *refusals) tellSilent() {
	if n := r.silent; n > 0 {
		r.log.Warn("more peers refused than are logged", "count", n)
		r.silent = 0
	}
}
