package ikev2

import (
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
)

// Deadline implements exchange.SA.
func (s *SA) Deadline() time.Time {
	var at time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	if s.state == Dead {
		return at
	}
	sooner(s.endAt)
	if r := s.window.request; r != nil {
		sooner(r.at)
	}
	if s.state != Established {
		return at
	}
	if s.retires != nil {
		sooner(s.retires.at)
	}
	sooner(s.keepaliveAt)
	sooner(s.soft)
	sooner(s.hard)
	if s.window.request == nil && s.dpd > 0 {
		sooner(s.heard.Add(s.dpd))
	}
	for _, c := range s.children {
		sooner(c.soft)
		if !c.ending {
			sooner(c.Expires)
			sooner(c.retireAt())
		}
	}
	return at
}

// retireAt is when a replaced pair is deleted, whoever should have done it;
// zero: it is not replaced.
func (c *child) retireAt() time.Time {
	if c.replaced.IsZero() {
		return time.Time{}
	}
	return c.replaced.Add(replacedTimeout)
}

// due reports whether an instant that is set has come.
func due(now, at time.Time) bool { return !at.IsZero() && !now.Before(at) }

// Expire implements exchange.SA.
func (s *SA) Expire(now time.Time, out *exchange.Output) {
	defer s.finish(now, out)
	if due(now, s.endAt) {
		s.expireEnd(now, out)
	}
	if r := s.window.request; r != nil && due(now, r.at) {
		s.repeat(now, r, out)
	}
	if s.state != Established {
		return
	}
	if due(now, s.keepaliveAt) {
		s.keepalive(now, out)
	}
	if due(now, s.hard) {
		s.hard, s.soft = time.Time{}, time.Time{}
		reason := "lifetime is over"
		if due(now, s.session.Expires) {
			reason = "session time is over"
		}
		s.enqueue(task{kind: taskDeleteIKE, reason: reason})
	}
	if r := s.retires; r != nil && due(now, r.at) {
		s.retires = nil
		s.enqueue(task{kind: taskDeleteIKE, reason: r.reason})
	}
	if due(now, s.soft) {
		s.soft = time.Time{}
		s.enqueue(task{kind: taskRekeyIKE})
	}
	for _, c := range s.children {
		s.expireChild(now, c)
	}
	s.pump(now, out) // what waited may have come to nothing; then there is time to ask
	if s.dpd > 0 && s.window.request == nil && len(s.tasks) == 0 && due(now, s.heard.Add(s.dpd)) {
		s.enqueue(task{kind: taskLiveness})
	}
}

// expireEnd ends a state that must not last.
func (s *SA) expireEnd(now time.Time, out *exchange.Output) {
	s.endAt = time.Time{}
	switch s.state {
	case Established, Replaced, Contending:
		s.enqueue(task{kind: taskDeleteIKE, reason: s.endReason})
	case Asking:
		s.refuse("", "nobody answered for the session", out)
		s.die()
	case Proving:
		if s.responding.auth.isConsulting() {
			s.responding.unanswered(now, out)
			return
		}
		s.refuse("", reasonNotWorked, out)
		s.die()
	case HalfOpen, Rejected:
		s.die()
	case Authenticating:
		_ = s.initiating.fail(out, "", reasonNotWorked)
	case Connecting, Deleting, Dead:
	}
}

// expireChild looks after the lifetime of one pair.
func (s *SA) expireChild(now time.Time, c *child) {
	if due(now, c.soft) {
		c.soft = time.Time{}
		s.enqueue(task{kind: taskRekeyChild, child: c.ID})
	}
	if c.ending {
		return
	}
	reason := ""
	switch {
	case due(now, c.Expires) && c.refused > 0 && s.dialled: // connecting anew is ours to do
		c.ending = true
		s.enqueue(task{kind: taskDeleteIKE, reason: "peer has refused to rekey a child SA until its end"})
		return
	case due(now, c.Expires):
		reason = "lifetime is over"
	case due(now, c.retireAt()):
		reason = "rekeyed"
	default:
		return
	}
	c.ending = true
	s.enqueue(task{kind: taskDeleteChild, child: c.ID, reason: reason})
}

// repeat sends the outstanding request again, or gives up (RFC 7296 section
// 2.4: a peer that does not answer is dead).
func (s *SA) repeat(now time.Time, r *request, out *exchange.Output) {
	const reason = "peer does not answer"
	r.tries++
	rules := s.host.Rules()
	switch {
	case r.task.kind == taskInit && s.initiating.refusal.reason != "" &&
		r.tries > min(initPatience, rules.RetransmitTries):
		_ = s.initiating.fail(out, s.initiating.refusal.notify, s.initiating.refusal.reason)
	case r.tries <= rules.RetransmitTries && r.task.kind == taskSync:
		s.sync().start(now, *r, out)
	case r.tries <= rules.RetransmitTries:
		r.at = now.Add(rules.repeatAfter(r.tries))
		s.post(r.message, out)
		moving{s}.postElsewhere(r, out)
	case s.standing():
		s.down(now, reason, out)
	default:
		_ = s.initiating.fail(out, "", reason)
	}
}

// softAgain returns when a pair that Replay brought is rekeyed: when it would
// have been. What is overdue is spread over half of what is left, so that many
// SAs which came due while nobody served them do not come all at once.
func (s *SA) softAgain(now time.Time, c *child) time.Time {
	if !c.soft.IsZero() && !due(now, c.soft) {
		return c.soft
	}
	return now.Add(s.host.jittered(max(c.Expires.Sub(now)/2, 0), 1))
}

// Activate implements exchange.SA. What is overdue, and
// every liveness check, is spread over activationSpread. What is to end is begun
// at once.
func (s *SA) Activate(now time.Time, out *exchange.Output) {
	defer s.finish(now, out)
	fresh := s.window.iv>>32 < s.host.Epoch()
	s.window.skipIV(s.host.Epoch())
	if s.window.spent(s.host.Epoch()) && s.standing() { // nothing more can be said
		s.down(now, spentReason, out)
		return
	}
	soon := func() time.Time { return now.Add(s.host.jittered(activationSpread, 1)) }
	s.heard = soon().Add(-s.dpd)
	if fresh || s.sync().unproven { // or an earlier worker had not come to it
		s.sync().afterTakeover(now)
	}
	if r := s.window.request; r != nil {
		r.at, r.tries = now.Add(s.host.jittered(s.host.Rules().repeatAfter(0), 1)), 0
	}
	if s.state == Replaced {
		s.endAt, s.endReason = now.Add(replacedTimeout), "rekeyed"
		return
	}
	if s.state == Contending {
		s.endAt, s.endReason = now.Add(contestTimeout), "rekeyed"
		return
	}
	if s.state != Established {
		return
	}
	s.armKeepalive(now)
	if !s.keepaliveAt.IsZero() {
		s.keepaliveAt = now.Add(s.host.jittered(s.host.Rules().NATKeepalive, 1))
	}
	if due(now, s.soft) {
		s.soft = soon()
	}
	for _, c := range s.children {
		switch {
		case !c.replaced.IsZero():
			c.replaced = now
		default:
			c.soft = s.softAgain(now, c)
		}
	}
	reconsideration{s}.resume()
	if len(s.children) > 0 || s.window.busyWith(taskNewChild) { // what waited behind that is on no record
		s.askRest(s.host.Rules().entry(s.entry, s.local.Addr()))
	}
	if (moving{s}).unproven() || (moving{s}).terms().untold {
		s.enqueue(task{kind: taskLiveness})
	}
	s.checkChildless(now)
}
