package ikev2

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/secret"
)

// rekeying is one rekeying of an IKE SA (RFC 7296 sections 1.3.2 and 2.18), by
// either side. The successor takes the children.
type rekeying struct {
	sa   *SA
	next *SA // the successor

	ni, nr []byte // of an exchange that we have begun
}

// serve serves the peer's request. The SA waits for the peer's DELETE, where it is
// not decided first whose successor stays.
func (k *rekeying) serve(now time.Time, id uint32, ps wire.Payloads, out *exchange.Output) {
	s := k.sa
	deny := func(t wire.NotifyType, reason string) {
		s.respond(wire.CreateChildSA, id, []wire.Payload{wire.Notify{Type: t}}, out)
		if reason != "" {
			s.refuse(t.String(), reason, out)
		}
	}
	r := s.window.request
	if r != nil && r.task.kind != taskLiveness && !r.crosses(0) {
		deny(wire.TemporaryFailure, "")
		return
	}
	p, err := findInit(&formRekeyRequest, ps)
	if err != nil {
		deny(wire.InvalidSyntax, err.Error())
		return
	}
	choice, lifetime, err := k.chooseSuccessor(p.sa)
	if err != nil {
		deny(wire.NoProposalChosen, err.Error())
		return
	}
	if n, wrong := choice.WrongGroup(p.ke, true); wrong {
		s.respond(wire.CreateChildSA, id, []wire.Payload{n}, out)
		return
	}
	public, shared, err := s.host.agree(p.ke)
	if err != nil {
		deny(wire.InvalidSyntax, err.Error())
		return
	}
	defer shared.Clear()
	nr := bytesFrom(s.host.Rand(), nonceSize)
	n := k.successor(false, s.host.NewIKESPI(), binary.BigEndian.Uint64(choice.SPI))
	if n.peerSPI == 0 {
		deny(wire.InvalidSyntax, "peer rekeys to an SPI of zero")
		return
	}
	x := suite.Exchange{Shared: shared, Ni: p.nonce.Data, Nr: nr}
	n.lifetime = lifetime
	if err := k.derive(choice, &x); err != nil {
		deny(wire.NoProposalChosen, err.Error())
		return
	}
	answer := []wire.Payload{
		choice.Answer(binary.BigEndian.AppendUint64(nil, n.spi)), wire.Nonce{Data: nr},
		wire.KE{Group: p.ke.Group, Data: public},
	}
	s.respond(wire.CreateChildSA, id, answer, out)
	if r.crosses(0) {
		(&contest{s, n}).open(now, newCrossing(n.spi, ps, answer), out)
		return
	}
	k.handOver(now, out)
}

// chooseSuccessor selects the suite of the successor that the peer asks for, and
// its lifetime. One with the PRF of the SA and nothing weaker goes before the order of
// the policies: see suite.Successors.
func (k *rekeying) chooseSuccessor(offered wire.SA) (suite.Choice, time.Duration, error) {
	s := k.sa
	rules := s.host.Rules()
	kept := rules.ikeSuccessors(s.suite.Proposal())
	if c, ok := suite.Choose(kept.proposals(), wire.ProtocolIKE, 8, offered.Proposals); ok {
		return c, kept[c.Policy].lifetime, nil
	}
	c, err := chooseIKE(rules, 8, offered)
	if err != nil {
		return c, 0, err
	}
	return c, rules.Policies[c.Policy].Lifetime, nil
}

// successor makes the SA that replaces ours, still without keys.
func (k *rekeying) successor(initiator bool, spi, peerSPI uint64) *SA {
	s := k.sa
	k.next = &SA{
		host: s.host, state: Established, names: names{initiator: initiator, dialled: s.dialled, spi: spi,
			peerSPI: peerSPI},
		path: s.path, member: s.member, served: s.served, agreed: s.agreed.inherit(), quotas: s.quotas,
	}
	return k.next
}

// derive gives the successor its keys.
func (k *rekeying) derive(choice suite.Choice, x *suite.Exchange) error {
	s := k.sa
	st, err := s.host.suiteOf(choice.Proposal)
	if err != nil {
		return err
	}
	x.SPIi, x.SPIr = k.next.spis()
	keys := st.RekeyKeys(s.suite.PRF(), s.keys.D, x)
	pi, pr := keys.Proven() // nobody proves anything again
	pi.Clear()
	pr.Clear()
	return k.next.install(st, keys)
}

// handOver gives children, timers and name to the successor. What the SA itself has
// replaced and still stands is forgotten without a word: at most one SA waits for
// its DELETE, however often the peer rekeys.
func (k *rekeying) handOver(now time.Time, out *exchange.Output) {
	s, n := k.sa, k.next
	if p := s.predecessor; p != nil && p.standing() {
		s.host.Touch(p)
		p.End(now, "rekeyed again", out)
	}
	s.predecessor, n.predecessor = nil, s
	if n.state == Contending {
		n.transition(Established)
		n.path, n.quotas, n.contends, n.endAt, n.endReason = s.path, s.quotas, 0, time.Time{}, ""
	}
	s.transition(Replaced)
	s.dirty = true
	s.endAt, s.endReason = now.Add(replacedTimeout), "rekeyed"
	for _, t := range s.tasks { // what waited, a DELETE most of all, is the successor's to do
		if t.kind != taskRekeyIKE {
			n.enqueue(t)
		}
	}
	s.tasks, s.keepaliveAt = nil, time.Time{}
	n.children, s.children = s.children, nil
	for _, c := range n.children {
		c.Owner = n.spi
		s.host.BindChild(&c.Child, n)
	}
	n.heard = now
	n.setLifetimes(now)
	n.armKeepalive(now)
	n.checkChildless(now)
	n.fresh, n.replaces = true, s.spi
	s.host.Adopt(s, n)
	out.Events = append(out.Events, exchange.IKERekeyed{Peer: n.Peer(), Old: s.spi})
	n.finish(now, out)
}

// start asks for a successor: with the suite that the SA has, or one with the same
// PRF that is not weaker. Where the policies have neither any
// more, the SA ends with its lifetime.
func (k *rekeying) start(now time.Time, t task, out *exchange.Output) {
	s := k.sa
	offer := s.host.Rules().ikeSuccessors(s.suite.Proposal())
	if s.state != Established || len(offer) == 0 {
		return
	}
	r := request{task: t, seed: secret.New(bytesFrom(s.host.Rand(), seedSize)), spi: s.host.NewIKESPI(), group: t.group,
		terms: offer}
	if !offer.hasGroup(r.group) {
		r.group = offer[0].proposal.One(sa.KeyExchange).ID
	}
	ni, err := r.generate()
	if err != nil {
		return
	}
	s.send(now, r, wire.CreateChildSA, []wire.Payload{
		suite.Offer(offer.proposals(), wire.ProtocolIKE, binary.BigEndian.AppendUint64(nil, r.spi)),
		wire.Nonce{Data: ni}, wire.KE{Group: r.group, Data: r.key.Public()},
	}, out)
}

// receive takes the answer to start.
func (k *rekeying) receive(now time.Time, r *request, ps wire.Payloads, out *exchange.Output) {
	s := k.sa
	if x := k.contest(r); x.isOpen() || s.state != Established {
		k.settle(now, r, x, ps, out)
		return
	}
	if n, ok := ps.Notify(wire.InvalidKEPayload); ok && len(n.Data) == 2 {
		t := task{kind: taskRekeyIKE, group: binary.BigEndian.Uint16(n.Data), turns: r.task.turns + 1}
		if t.turns <= maxTurns && t.group != r.group && r.terms.hasGroup(t.group) {
			s.enqueue(t)
			return
		}
	}
	for _, p := range ps {
		if n, ok := p.(wire.Notify); ok && n.Type.IsError() {
			if tellRefusal(s.refused, n.Type) {
				s.refuse(n.Type.String(), "peer refuses to rekey the IKE SA: "+n.Type.String(), out)
			}
			s.soft = now.Add(s.host.retryAfter(s.refused))
			s.refused++
			if s.soft.After(s.hard.Add(-renewBefore)) {
				s.host.Renew(now, s, out) // the next attempt would be too late
			}
			return
		}
	}
	if err := k.finish(r, ps); err != nil {
		s.enqueue(task{kind: taskDeleteIKE, reason: err.Error()})
		return
	}
	k.handOver(now, out)
	s.enqueue(task{kind: taskDeleteIKE, reason: "rekeyed"})
}

// settle takes the answer to start where the peer has begun an exchange of its own
// meanwhile, which has made x.
func (k *rekeying) settle(now time.Time, r *request, x *contest, ps wire.Payloads, out *exchange.Output) {
	s := k.sa
	err := k.finish(r, ps)
	ours := &contest{s, k.next}
	switch {
	case s.state != Established: // the other one has taken the place
		if err == nil {
			ours.discard(now, out)
		}
	case err != nil:
		x.win(now, out)
	case r.crossed.wins(k.ni, k.nr):
		x.win(now, out)
		ours.discard(now, out)
	default:
		k.handOver(now, out)
		s.enqueue(task{kind: taskDeleteIKE, reason: "rekeyed"})
		x.lose(now, out)
	}
}

// finish makes the successor from a good answer.
func (k *rekeying) finish(r *request, ps wire.Payloads) error {
	p, err := findInit(&formRekeyResponse, ps)
	if err != nil {
		return err
	}
	choice, err := suite.CheckAnswer(r.terms.proposals(), wire.ProtocolIKE, 8, p.sa)
	if err != nil {
		return err
	}
	peer := binary.BigEndian.Uint64(choice.SPI)
	if choice.Group() != r.group || peer == 0 {
		return errors.New("ikev2: answer to the rekeying of the IKE SA does not fit")
	}
	ni, err := r.generate()
	if err != nil {
		return err
	}
	shared, err := r.finishKE(ps)
	if err != nil {
		return err
	}
	defer shared.Clear()
	n := k.successor(true, r.spi, peer)
	n.lifetime = r.terms[choice.Policy].lifetime
	k.ni, k.nr = ni, p.nonce.Data
	return k.derive(choice, &suite.Exchange{Shared: shared, Ni: ni, Nr: p.nonce.Data})
}
