package ikev2

import (
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
)

// refuse publishes why a peer was turned away.
func (s *SA) refuse(notify, reason string, out *exchange.Output) {
	out.Events = append(out.Events, exchange.Refused{Peer: s.Peer(), Dialled: s.dialled, Notify: notify,
		Reason: clip(reason)})
}

// establish ends the handshake on either side.
func (s *SA) establish(now time.Time, out *exchange.Output) {
	s.transition(Established)
	s.endAt, s.endReason = time.Time{}, ""
	if s.responding != nil {
		s.host.Bury(s.responding.seed)
	}
	s.initiating, s.responding = nil, nil
	pi, pr := s.keys.Proven()
	s.host.Bury(pi, pr)
	s.heard, s.quotas = now, quotas{}
	s.setLifetimes(now)
	s.armKeepalive(now)
	s.fresh = true
	s.checkChildless(now)
	s.announce(out)
}

// announce publishes IKEUp.
func (s *SA) announce(out *exchange.Output) {
	out.Events = append(out.Events, exchange.IKEUp{
		Peer: s.Peer(), Initiator: s.initiator, Suite: s.suite.Proposal(), NAT: s.natLocal || s.natRemote,
		Session: s.session,
	})
}

// setLifetimes sets the instants of rekeying and end.
func (s *SA) setLifetimes(now time.Time) {
	if s.lifetime <= 0 {
		s.lifetime = DefaultIKELifetime
	}
	s.established = now
	s.hard = now.Add(s.lifetime)
	if e := s.session.Expires; !e.IsZero() && e.Before(s.hard) {
		s.hard = e
	}
	s.soft = now.Add(s.softAfter(s.lifetime))
}

// softAfter returns how long after its birth an SA with a lifetime of d is
// rekeyed.
func (s *SA) softAfter(d time.Duration) time.Duration {
	share := softResponder
	if s.initiator {
		share = softInitiator
	}
	d = time.Duration(float64(d) * share)
	return s.host.jittered(d, softJitter)
}
