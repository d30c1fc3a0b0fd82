package ikev2

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/ike/wire"
)

// createResponder is CREATE_CHILD_SA as its responder sees it (RFC 7296 section 1.3):
// a new child SA, the rekeying of one, or of the IKE SA itself.
type createResponder struct{ sa *SA }

// serve serves a request.
func (x createResponder) serve(now time.Time, id uint32, ps wire.Payloads, out *exchange.Output) {
	s := x.sa
	answer := func(ps ...wire.Payload) { s.respond(wire.CreateChildSA, id, ps, out) }
	deny := func(n wire.Notify, reason string) {
		answer(n)
		if reason != "" {
			s.refuse(n.Type.String(), reason, out)
		}
	}
	if s.state != Established || s.window.busyWith(taskDeleteIKE) {
		deny(wire.Notify{Type: wire.TemporaryFailure}, "")
		return
	}
	if formCreateRequest.check(ps) != nil {
		deny(wire.Notify{Type: wire.InvalidSyntax}, "CREATE_CHILD_SA without one SA and one nonce")
		return
	}
	offer, _ := wire.Find[wire.SA](ps)
	rekeysIKE := len(offer.Proposals) > 0 && offer.Proposals[0].Protocol == wire.ProtocolIKE
	if !x.affords(now, rekeysIKE) {
		deny(wire.Notify{Type: wire.TemporaryFailure}, "")
		return
	}
	if rekeysIKE {
		(&rekeying{sa: s}).serve(now, id, ps, out)
		return
	}
	if s.window.busyWith(taskRekeyIKE) { // section 2.25.2
		deny(wire.Notify{Type: wire.TemporaryFailure}, "")
		return
	}
	old, refusal := x.rekeyed(ps)
	if refusal != nil {
		deny(*refusal, "")
		return
	}
	if err := formChildRequest.check(ps); err != nil {
		deny(wire.Notify{Type: wire.InvalidSyntax}, err.Error())
		return
	}
	request := findChild(ps)
	n, no, reason := s.allowance().negotiate(&request, false)
	if reason != "" {
		deny(no, reason)
		return
	}
	if no, reason, c, answers := x.makeChild(now, ps, n); c != nil {
		answer(answers...)
		reconsideration{s}.inherit(c, old)
		s.addChild(now, c, old, out)
		if r := s.window.request; old != nil && r.crosses(old.ID) {
			r.crossed = newCrossing(c.ID, ps, answers)
		} else if c.anew {
			s.enqueue(task{kind: taskRekeyChild, child: c.ID})
		}
	} else {
		deny(no, reason)
	}
}

// makeChild does the key exchange of a negotiated child SA, where it has one, and
// makes the pair and the answer; nil: the refusal and the reason say why not.
func (x createResponder) makeChild(now time.Time, ps wire.Payloads, n negotiated) (no wire.Notify, reason string,
	c *child, answers []wire.Payload) {
	s := x.sa
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
		public, shared, err := s.host.agree(ke)
		if err != nil {
			return wire.Notify{Type: wire.InvalidSyntax}, err.Error(), nil, nil
		}
		defer shared.Clear()
		k.shared = shared
		extra = append(extra, wire.KE{Group: ke.Group, Data: public})
	}
	c, payloads, err := x.build(now, n, k)
	if err != nil {
		return wire.Notify{Type: wire.NoProposalChosen}, err.Error(), nil, nil
	}
	c.follows = true
	return no, "", c, append(append(payloads[:1:1], extra...), payloads[1:]...)
}

// affords reports whether the peer may have another child SA, or rekey the IKE
// SA, so soon. A successor inherits what is left.
func (x createResponder) affords(now time.Time, rekeysIKE bool) bool {
	s := x.sa
	cost := 1.0
	if rekeysIKE {
		cost = rekeyIKECost
	}
	if s.quotas.creates.take(now, createsRate, cost) {
		return true
	}
	s.host.Deferred()
	return false
}

// rekeyed finds the pair that REKEY_SA names; nil without that notification.
// The SPI is the one that the peer receives with.
func (x createResponder) rekeyed(ps wire.Payloads) (*child, *wire.Notify) {
	s := x.sa
	n, ok := ps.Notify(wire.RekeySA)
	if !ok {
		return nil, nil
	}
	if n.Protocol != wire.ProtocolESP || len(n.SPI) != 4 {
		return nil, &wire.Notify{Type: wire.InvalidSyntax}
	}
	c := s.children.bySPI(sa.SPI(binary.BigEndian.Uint32(n.SPI)))
	switch r := s.window.request; {
	case c == nil:
		return nil, &wire.Notify{Type: wire.ChildSANotFound, Protocol: wire.ProtocolESP, SPI: bytes.Clone(n.SPI)}
	case !c.replaced.IsZero() && s.children.followed(c): // it has not got our answer: it asks for a new one then
		return nil, &wire.Notify{Type: wire.ChildSANotFound, Protocol: wire.ProtocolESP, SPI: bytes.Clone(n.SPI)}
	case r.crosses(c.ID): // section 2.8.1
	// section 2.25.1: we are closing it, or have rekeyed it
	case c.ending, !c.replaced.IsZero(), r != nil && r.task.child == c.ID:
		return nil, &wire.Notify{Type: wire.TemporaryFailure}
	}
	return c, nil
}

// accept does all for a child SA that the peer asked for, but install it.
// The payloads are the answer: with a refusal one notification, and why.
func (x createResponder) accept(now time.Time, r *childRequest, k childKeying, first bool) (*child,
	[]wire.Payload, string) {
	s := x.sa
	n, refusal, reason := s.allowance().negotiate(r, first)
	if reason != "" {
		return nil, []wire.Payload{refusal}, reason
	}
	c, ps, err := x.build(now, n, k)
	if err != nil {
		return nil, []wire.Payload{wire.Notify{Type: wire.NoProposalChosen}}, err.Error()
	}
	return c, ps, ""
}

// build makes the pair that was negotiated, and the answer.
func (x createResponder) build(now time.Time, n negotiated, k childKeying) (*child, []wire.Payload, error) {
	s := x.sa
	spi := s.host.NewESPSPI()
	toUs, toPeer, err := s.suite.DeriveChild(s.keys.D, &suite.Exchange{Shared: k.shared, Ni: k.ni, Nr: k.nr},
		n.choice.Proposal)
	if err != nil {
		return nil, nil, err
	}
	c := s.newChild(now, n.term, n.choice)
	c.In, c.Out = direction(n.choice, spi, toUs), direction(n.choice, n.out, toPeer)
	c.Local, c.Remote, c.lost = n.local, n.remote, n.lost
	return c, []wire.Payload{
		n.choice.Answer(spiBytes(spi)),
		wire.TSi{TS: wire.TS{Selectors: n.remote}}, wire.TSr{TS: wire.TS{Selectors: n.local}},
	}, nil
}
