package ikev2

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/secret"
	"github.com/warrenvpn/warren/resource"
)

// createChildRequest serves CREATE_CHILD_SA: a new child SA, the rekeying of
// one, or of the IKE SA itself (RFC 7296 section 1.3). When both ends rekey the
// same SA at once, each tells the other TEMPORARY_FAILURE and tries again after
// a random pause (section 2.25), instead of making both and closing one. What we
// begin is in rekeychild.go.
func (s *SA) createChildRequest(now time.Time, id uint32, ps wire.Payloads, out *exchange.Output) {
	answer := func(ps ...wire.Payload) { s.respond(wire.CreateChildSA, id, ps, out) }
	deny := func(n wire.Notify, reason string) {
		answer(n)
		if reason != "" {
			s.refuse(n.Type.String(), reason, out)
		}
	}
	if s.state != Established || s.busyWith(taskRekeyIKE) || s.busyWith(taskDeleteIKE) {
		deny(wire.Notify{Type: wire.TemporaryFailure}, "")
		return
	}
	if formCreateRequest.check(ps) != nil {
		deny(wire.Notify{Type: wire.InvalidSyntax}, "CREATE_CHILD_SA without one SA and one nonce")
		return
	}
	offer, _ := wire.Find[wire.SA](ps)
	rekeysIKE := len(offer.Proposals) > 0 && offer.Proposals[0].Protocol == wire.ProtocolIKE
	if !s.affords(now, rekeysIKE) {
		deny(wire.Notify{Type: wire.TemporaryFailure}, "")
		return
	}
	if rekeysIKE {
		s.rekeyIKERequest(now, id, ps, out)
		return
	}
	old, refusal := s.rekeyed(ps)
	if refusal != nil {
		deny(*refusal, "")
		return
	}
	if err := formChildRequest.check(ps); err != nil {
		deny(wire.Notify{Type: wire.InvalidSyntax}, err.Error())
		return
	}
	request := takeChild(ps)
	n, no, reason := s.negotiate(&request, false)
	if reason != "" {
		deny(no, reason)
		return
	}
	if no, reason, c, answers := s.makeChild(now, ps, n); c != nil {
		answer(answers...)
		s.addChild(now, c, old, out)
	} else {
		deny(no, reason)
	}
}

// makeChild does the key exchange of a negotiated child SA, where it has one, and
// makes the pair and the answer; nil: the refusal and the reason say why not.
func (s *SA) makeChild(now time.Time, ps wire.Payloads, n negotiated) (no wire.Notify, reason string, c *child, answers []wire.Payload) {
	ke, haveKE := wire.Find[wire.KE](ps)
	if n.choice.Group() == sa.KENone {
		haveKE = false // offered for another proposal than the chosen one
	} else if wrong, is := n.choice.WrongGroup(ke, haveKE); is {
		return wrong, "", nil, nil
	}
	nonce, _ := wire.Find[wire.Nonce](ps)
	k := childKeying{ni: nonce.Data, nr: bytesFrom(s.host.Rand(), nonceSize)}
	extra := []wire.Payload{wire.Nonce{Data: k.nr}}
	if haveKE {
		public, shared, err := s.agree(ke)
		if err != nil {
			return wire.Notify{Type: wire.InvalidSyntax}, err.Error(), nil, nil
		}
		defer shared.Clear()
		k.shared = shared
		extra = append(extra, wire.KE{Group: ke.Group, Data: public})
	}
	c, payloads, err := s.buildChild(now, n, k)
	if err != nil {
		return wire.Notify{Type: wire.NoProposalChosen}, err.Error(), nil, nil
	}
	c.follows = true
	return no, "", c, append(append(payloads[:1:1], extra...), payloads[1:]...)
}

// newCreates is what a peer may ask for from now on.
func newCreates() resource.Bucket {
	return resource.Bucket{Rate: createsPerSecond, Burst: createsBurst}
}

// affords reports whether the peer may have another child SA, or rekey the IKE
// SA, so soon. A successor inherits what is left.
func (s *SA) affords(now time.Time, rekeysIKE bool) bool {
	cost := 1.0
	if rekeysIKE {
		cost = rekeyIKECost
	}
	if s.creates.Take(now, cost) {
		return true
	}
	s.host.Deferred()
	return false
}

// busyWith reports whether our outstanding exchange is of that kind.
func (s *SA) busyWith(k taskKind) bool {
	return s.window.request != nil && s.window.request.task.kind == k
}

// rekeyed finds the pair that REKEY_SA names; nil without that notification.
// The SPI is the one that the peer receives with.
func (s *SA) rekeyed(ps wire.Payloads) (*child, *wire.Notify) {
	n, ok := ps.Notify(wire.RekeySA)
	if !ok {
		return nil, nil
	}
	if n.Protocol != wire.ProtocolESP || len(n.SPI) != 4 {
		return nil, &wire.Notify{Type: wire.InvalidSyntax}
	}
	c := s.childBySPI(sa.SPI(binary.BigEndian.Uint32(n.SPI)))
	switch r := s.window.request; {
	case c == nil:
		return nil, &wire.Notify{Type: wire.ChildSANotFound, Protocol: wire.ProtocolESP, SPI: bytes.Clone(n.SPI)}
	case !c.replaced.IsZero() && s.followed(c): // it has not got our answer: it asks for a new one then
		return nil, &wire.Notify{Type: wire.ChildSANotFound, Protocol: wire.ProtocolESP, SPI: bytes.Clone(n.SPI)}
	case c.ending, !c.replaced.IsZero(), r != nil && r.task.child == c.ID: // section 2.25.1: we are closing or rekeying it
		return nil, &wire.Notify{Type: wire.TemporaryFailure}
	}
	return c, nil
}

// followed reports whether c was replaced because the peer has asked for it.
func (s *SA) followed(c *child) bool {
	for _, o := range s.children {
		if o.replaces == c.ID {
			return o.follows
		}
	}
	return false
}

// agree does a whole key exchange as its responder.
func (s *SA) agree(ke wire.KE) (public []byte, shared secret.Value, err error) {
	r, err := suite.Respond(ke.Group, s.host.Rand(), ke.Data)
	if err != nil {
		return nil, secret.Value{}, err
	}
	defer r.Clear()
	shared, err = r.Secret()
	return r.Public(), shared, err
}
