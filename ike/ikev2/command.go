package ikev2

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
)

// Command implements exchange.SA.
func (s *SA) Command(now time.Time, c exchange.Command, out *exchange.Output) error {
	switch c := c.(type) {
	case exchange.DeleteIKE:
		return s.delete(now, c.Reason, out)
	case exchange.RekeyIKE:
		return s.rekeyNow(now, out)
	case exchange.DeleteChild:
		return s.deleteChild(now, c.ID, c.Reason, out)
	case exchange.RekeyChild:
		return s.urgeChild(now, c.ID, out)
	case exchange.PeerMoved:
		return s.peerMoved(now, c.ID, c.Remote, out)
	case exchange.Alive:
		s.alive(now)
		return nil
	}
	return fmt.Errorf("ikev2: unknown command %T", c)
}

// delete ends the SA with a DELETE to the peer.
func (s *SA) delete(now time.Time, reason string, out *exchange.Output) error {
	defer s.finish(now, out)
	if !s.standing() {
		if s.state == Dead {
			return exchange.ErrState
		}
		s.failure = reason
		s.die()
		return nil
	}
	s.tasks, s.endAt = nil, time.Time{}
	s.enqueue(task{kind: taskDeleteIKE, reason: reason})
	s.pump(now, out)
	return nil
}

// Retire implements exchange.SA: the other end may still be about to have the SA
// that does the work. It does nothing where that is arranged.
func (s *SA) Retire(now time.Time, reason string) {
	if s.state == Established && s.retires == nil {
		s.retires = &retirement{now.Add(retireAfter), reason}
	}
}

// deleteChild ends one child SA with a DELETE to the peer.
func (s *SA) deleteChild(now time.Time, id uint64, reason string, out *exchange.Output) error {
	if s.children.byID(id) == nil {
		return exchange.ErrNoChild
	}
	defer s.finish(now, out)
	s.enqueue(task{kind: taskDeleteChild, child: id, reason: reason})
	s.pump(now, out)
	return nil
}

// urgeChild replaces one child SA now. It may be said again and again: where the
// peer has refused, the next try waits for its time.
func (s *SA) urgeChild(now time.Time, id uint64, out *exchange.Output) error {
	c := s.children.byID(id)
	if c == nil {
		return exchange.ErrNoChild
	}
	if s.state != Established || !c.replaced.IsZero() {
		return exchange.ErrState
	}
	if c.urged && now.Before(c.soft) {
		return nil
	}
	c.urged = true
	defer s.finish(now, out)
	s.enqueue(task{kind: taskRekeyChild, child: id})
	s.pump(now, out)
	return nil
}

// rekeyNow replaces the SA now.
func (s *SA) rekeyNow(now time.Time, out *exchange.Output) error {
	if s.state != Established {
		return exchange.ErrState
	}
	defer s.finish(now, out)
	s.enqueue(task{kind: taskRekeyIKE})
	s.pump(now, out)
	return nil
}

// peerMoved adopts the source of an authentic ESP packet, under the conditions
// of moving.follow.
func (s *SA) peerMoved(now time.Time, id uint64, remote netip.AddrPort, out *exchange.Output) error {
	if s.children.byID(id) == nil {
		return exchange.ErrNoChild
	}
	defer s.finish(now, out)
	s.heard = now
	if remote != s.remote && !s.quotas.requests.take(now, requestsRate, 1) {
		return exchange.ErrExcess
	}
	moving{s}.follow(s.local, remote, out)
	return nil
}

// alive notes that the peer has just proved that it lives.
func (s *SA) alive(now time.Time) {
	if now.After(s.heard) {
		s.heard = now
	}
}
