package ikev2

import (
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

// informational is INFORMATIONAL (RFC 7296 section 1.4): DELETE, notifications, and
// the empty request that only asks whether the other lives.
type informational struct{ sa *SA }

// serve serves a request.
func (x informational) serve(now time.Time, id uint32, ps wire.Payloads, out *exchange.Output) {
	s := x.sa
	var answer []wire.Payload
	end, deleted := "", false
	for _, p := range ps {
		switch p := p.(type) {
		case wire.Delete:
			switch p.Protocol {
			case wire.ProtocolIKE:
				end, deleted = "deleted by the peer", true
			case wire.ProtocolESP:
				if d := x.deleted(now, p.SPIs, out); len(d.SPIs) > 0 {
					answer = append(answer, d)
				}
			case wire.ProtocolAH, wire.ProtocolNone:
			}
		case wire.Notify:
			if p.Type == wire.AuthenticationFailed || p.Type == wire.InvalidSyntax {
				end = "peer says " + p.Type.String()
			}
		}
	}
	answer = append(answer, moving{s}.serve(now, ps, out)...)
	if end != "" {
		answer = nil // section 1.4.1: the children go with it
	}
	s.respond(wire.Informational, id, answer, out)
	if c := (&rekeying{sa: s}).contest(s.window.request); deleted && c.isOpen() {
		c.win(now, out) // section 2.8.2: the peer does not know of our rekeying
	}
	if end != "" {
		s.down(now, end, out)
	}
}

// deleted removes the children that the peer names by the SPIs it receives
// with, and returns the other halves of the pairs. Where both ends delete a
// pair at once, the half is not named again (section 1.4.1).
func (x informational) deleted(now time.Time, spis []sa.SPI, out *exchange.Output) wire.Delete {
	s := x.sa
	d := wire.Delete{Protocol: wire.ProtocolESP}
	for _, spi := range spis {
		c := s.children.bySPI(spi)
		if c == nil {
			x.deletedEarly(spi)
			continue
		}
		if r := s.window.request; r == nil || r.task.kind != taskDeleteChild || r.task.child != c.ID {
			d.SPIs = append(d.SPIs, c.In.SPI)
		}
		reason := "deleted by the peer"
		if !c.replaced.IsZero() {
			reason = "rekeyed"
		}
		s.removeChild(now, c, reason, out)
	}
	return d
}

// deletedEarly notes an SPI that the peer deletes before we know it: that of the
// pair whose answer is still on its way.
func (x informational) deletedEarly(spi sa.SPI) {
	s := x.sa
	r := s.window.request
	if r != nil && (r.task.kind == taskRekeyChild || r.task.kind == taskNewChild) && len(r.deleted) < maxEarlyDeletes {
		r.deleted = append(r.deleted, spi)
	}
}

// startDeleteChild tells the peer that a pair is gone; it goes when the peer
// has answered.
func (x informational) startDeleteChild(now time.Time, t task, out *exchange.Output) {
	s := x.sa
	spi := t.spi
	if c := s.children.byID(t.child); c != nil {
		c.soft, c.ending, spi = time.Time{}, true, c.In.SPI
	}
	if spi == 0 {
		return
	}
	s.send(now, request{task: t}, wire.Informational, []wire.Payload{
		wire.Delete{Protocol: wire.ProtocolESP, SPIs: []sa.SPI{spi}},
	}, out)
}

// startDeleteIKE tells the peer that the SA ends. The children of an SA that
// was not replaced are out of service from here on.
func (x informational) startDeleteIKE(now time.Time, t task, out *exchange.Output) {
	s := x.sa
	if s.state != Deleting { // a request that begins anew: see sync.go
		s.wasReplaced = s.state != Established
		s.contends = 0
		s.transition(Deleting)
	}
	s.endReason = t.reason
	s.send(now, request{task: t}, wire.Informational, []wire.Payload{wire.Delete{Protocol: wire.ProtocolIKE}}, out)
	for len(s.children) > 0 {
		s.removeChild(now, s.children[0], t.reason, out)
	}
}

// down ends an established SA without another word to the peer.
func (s *SA) down(now time.Time, reason string, out *exchange.Output) {
	if s.state == Dead {
		return
	}
	(&rekeying{sa: s}).contest(s.window.request).cancel(now, reason, out)
	replaced := s.state == Replaced || s.state == Contending || s.wasReplaced
	for len(s.children) > 0 {
		s.removeChild(now, s.children[0], reason, out)
	}
	if !replaced {
		out.Events = append(out.Events, exchange.IKEDown{Peer: s.Peer(), Reason: reason, Session: s.session})
		if s.failure == "" {
			s.failure = reason
		}
	}
	s.die()
}

// End implements exchange.SA.
func (s *SA) End(now time.Time, reason string, out *exchange.Output) {
	if s.standing() {
		s.down(now, reason, out)
	} else {
		s.die()
	}
	s.finish(now, out)
}

// die forgets all keys. The dead stay dead.
func (s *SA) die() {
	if s.state == Dead {
		return
	}
	s.transition(Dead)
	s.host.Bury(s.keys.D, s.keys.Ai, s.keys.Ar, s.keys.Ei, s.keys.Er, s.keys.Pi, s.keys.Pr)
	s.host.Bury(s.unknown.Secret(), s.window.unknown.Secret(), s.agreed.unknown.Secret())
	if s.window.request != nil {
		s.host.Bury(s.window.request.seed)
	}
	if s.initiating != nil {
		s.initiating.clear()
	}
	if s.responding != nil {
		s.responding.clear()
	}
	s.initiating, s.responding = nil, nil
	fragments{s}.drop(false)
	fragments{s}.drop(true)
	s.window.request, s.tasks, s.sealer, s.opener = nil, nil, nil, nil
}

// Wipe implements exchange.SA.
func (s *SA) Wipe() {
	for _, c := range s.children {
		c.bury(s.host)
	}
	s.children = nil
	s.die()
}
