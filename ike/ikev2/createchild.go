package ikev2

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/secret"
)

// createChildRequest serves CREATE_CHILD_SA: a new child SA, the rekeying of
// one, or of the IKE SA itself (RFC 7296 section 1.3). When both ends rekey the
// same SA at once, each tells the other TEMPORARY_FAILURE and tries again after
// a random pause (section 2.25), instead of making both and closing one.
func (s *SA) createChildRequest(now time.Time, id uint32, ps wire.Payloads, out *Output) {
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
	if err := exactly(ps, wire.TypeSA, wire.TypeNonce); err != nil || ps.Count(wire.TypeKE) > 1 {
		deny(wire.Notify{Type: wire.InvalidSyntax}, "CREATE_CHILD_SA without one SA and one nonce")
		return
	}
	offer, _ := wire.Find[wire.SA](ps)
	if len(offer.Proposals) > 0 && offer.Proposals[0].Protocol == wire.ProtocolIKE {
		s.rekeyIKERequest(now, id, ps, out)
		return
	}
	old, refusal := s.rekeyed(ps)
	if refusal != nil {
		deny(*refusal, "")
		return
	}
	if err := exactly(ps, wire.TypeTSi, wire.TypeTSr); err != nil {
		deny(wire.Notify{Type: wire.InvalidSyntax}, err.Error())
		return
	}
	request := takeChild(ps)
	n, no, reason := s.negotiate(&request, false)
	if reason != "" {
		deny(no, reason)
		return
	}
	ke, haveKE := wire.Find[wire.KE](ps)
	if n.choice.Group() == sa.KENone {
		haveKE = false // offered for another proposal than the chosen one
	} else if wrong, is := n.choice.WrongGroup(ke, haveKE); is {
		deny(wrong, "")
		return
	}
	nonce, _ := wire.Find[wire.Nonce](ps)
	k := childKeying{ni: nonce.Data, nr: bytesFrom(s.host.Rand(), nonceSize)}
	extra := []wire.Payload{wire.Nonce{Data: k.nr}}
	if haveKE {
		public, shared, err := s.agree(ke)
		if err != nil {
			deny(wire.Notify{Type: wire.InvalidSyntax}, err.Error())
			return
		}
		defer shared.Clear()
		k.shared = shared
		extra = append(extra, wire.KE{Group: ke.Group, Data: public})
	}
	c, payloads, err := s.buildChild(now, n, k)
	if err != nil {
		deny(wire.Notify{Type: wire.NoProposalChosen}, err.Error())
		return
	}
	answer(append(append(payloads[:1:1], extra...), payloads[1:]...)...)
	c.follows = true
	s.addChild(now, c, old, out)
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
	if c == nil || !c.replaced.IsZero() {
		return nil, &wire.Notify{Type: wire.ChildSANotFound, Protocol: wire.ProtocolESP, SPI: bytes.Clone(n.SPI)}
	}
	if r := s.window.request; r != nil && r.task.child == c.ID {
		return nil, &wire.Notify{Type: wire.TemporaryFailure}
	}
	return c, nil
}

// agree does a whole key exchange as its responder.
func (s *SA) agree(ke wire.KE) (public []byte, shared secret.Value, err error) {
	key, err := suite.GenerateKey(ke.Group, s.host.Rand())
	if err != nil {
		return nil, secret.Value{}, err
	}
	defer key.Clear()
	shared, err = key.Shared(ke.Data)
	return key.Public(), shared, err
}

// begin draws nonce and key of an exchange that we begin, from its seed.
func (r *request) begin() (nonce []byte, err error) {
	random := seeded(r.seed)
	nonce = bytesFrom(random, nonceSize)
	if r.group != sa.KENone && r.key == nil {
		r.key, err = suite.GenerateKey(r.group, random)
	}
	return nonce, err
}

// finishKE ends the key exchange of a request of ours.
func (r *request) finishKE(ps wire.Payloads) (secret.Value, error) {
	if r.group == sa.KENone {
		return secret.Value{}, nil
	}
	ke, ok := wire.Find[wire.KE](ps)
	if !ok || ke.Group != r.group {
		return secret.Value{}, fmt.Errorf("ikev2: response has no public value for the key exchange")
	}
	defer r.key.Clear()
	return r.key.Shared(ke.Data)
}

// startRekeyChild asks for the successor of a pair.
func (s *SA) startRekeyChild(now time.Time, t task, out *Output) {
	c, e := s.childByID(t.child), s.host.Rules().entry(s.entry, s.local.Addr())
	if c == nil || !c.replaced.IsZero() || s.state != Established {
		return
	}
	if e == nil || len(e.later) == 0 {
		c.soft = time.Time{} // its entry was configured away: it ends with its lifetime
		return
	}
	spi := s.host.NewESPSPI()
	r := request{task: t, seed: secret.New(bytesFrom(s.host.Rand(), seedSize)), spi: uint64(spi), group: c.group}
	if r.group == sa.KENone {
		r.group = e.later[0].One(sa.KeyExchange).ID
	}
	r.terms, r.local, r.remote = s.successors(e, r.group), c.Local, c.Remote
	ni, err := r.begin()
	if err != nil {
		return
	}
	ps := []wire.Payload{wire.Notify{Type: wire.RekeySA, Protocol: wire.ProtocolESP, SPI: spiBytes(c.In.SPI)}}
	ps = append(ps, offerChild(r.terms, spi))
	ps = append(ps, wire.Nonce{Data: ni})
	if r.key != nil {
		ps = append(ps, wire.KE{Group: r.group, Data: r.key.Public()})
	}
	ps = append(ps, wire.TSi{TS: wire.TS{Selectors: r.local}}, wire.TSr{TS: wire.TS{Selectors: r.remote}})
	s.send(now, r, wire.CreateChildSA, ps, out)
}

// rekeyChildResponse takes the answer to startRekeyChild.
func (s *SA) rekeyChildResponse(now time.Time, r *request, ps wire.Payloads, out *Output) {
	old, e := s.childByID(r.task.child), s.host.Rules().entry(s.entry, s.local.Addr())
	if old == nil || e == nil {
		s.enqueue(task{kind: taskDeleteIKE, reason: "child SA vanished while it was rekeyed"})
		return
	}
	if n, ok := ps.Notify(wire.InvalidKEPayload); ok && len(n.Data) == 2 {
		if g := binary.BigEndian.Uint16(n.Data); g != r.group && s.successors(e, g).hasGroup(g) {
			old.group, old.soft = g, now
			return
		}
	}
	if _, ok := ps.Notify(wire.NoProposalChosen); ok && r.group == sa.KENone && len(s.host.Rules().groups) > 0 {
		// Perfect forward secrecy may be what the peer misses.
		old.group, old.soft = s.host.Rules().groups[0].ID, now
		return
	}
	if _, ok := ps.Notify(wire.ChildSANotFound); ok {
		s.removeChild(now, old, "peer no longer has it", out)
		return
	}
	for _, p := range ps {
		if n, ok := p.(wire.Notify); ok && n.Type.IsError() {
			if n.Type != wire.TemporaryFailure {
				s.refuse(n.Type.String(), "peer refuses to rekey a child SA: "+n.Type.String(), out)
			}
			old.soft = now.Add(s.jittered(rekeyRetry, 0.5))
			return
		}
	}
	ni, err := r.begin()
	nonce, have := wire.Find[wire.Nonce](ps)
	if err != nil || !have {
		s.enqueue(task{kind: taskDeleteIKE, reason: "malformed answer to a rekeying"})
		return
	}
	shared, err := r.finishKE(ps)
	if err != nil {
		s.enqueue(task{kind: taskDeleteIKE, reason: err.Error()})
		return
	}
	defer shared.Clear()
	c, reason := s.takeAnswer(now, childAnswer{
		ps: ps, terms: r.terms, spi: sa.SPI(r.spi), group: r.group, local: r.local, remote: r.remote,
		keying: childKeying{ni: ni, nr: nonce.Data, shared: shared},
	})
	if reason != "" {
		s.enqueue(task{kind: taskDeleteIKE, reason: reason})
		return
	}
	s.addChild(now, c, old, out)
	s.enqueue(task{kind: taskDeleteChild, child: old.ID, reason: "rekeyed"})
}
