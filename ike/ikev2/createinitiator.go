package ikev2

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/secret"
)

// The CREATE_CHILD_SA exchanges for child SAs that we begin (RFC 7296 sections
// 1.3.1 and 1.3.3). An exchange knows itself all that its answer is read with:
// what it is to replace may be gone by then, because a DELETE of the peer crossed
// it, and so may the configuration that it came from (section 2.25.1).

// generate draws nonce and key of an exchange that we begin, from its seed.
func (r *request) generate() (nonce []byte, err error) {
	random := seeded(r.seed)
	nonce = bytesFrom(random, nonceSize)
	if r.group != sa.KENone && r.key == nil {
		r.key, err = suite.Begin(r.group, random)
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
	return r.key.Finish(ke.Data)
}

// want is a child SA that we ask for without one to replace.
type want struct{ local, remote []sa.Selector }

// single reports whether it is one pair of networks.
func (w *want) single() bool { return len(w.local) == 1 && len(w.remote) == 1 }

// createInitiator is CREATE_CHILD_SA for child SAs as its initiator sees it: see
// above. rekeying is that for the IKE SA.
type createInitiator struct{ sa *SA }

// startRekey asks for the successor of a pair.
func (x createInitiator) startRekey(now time.Time, t task, out *exchange.Output) {
	s := x.sa
	c, e := s.children.byID(t.child), s.host.Rules().entry(s.entry, s.local.Addr())
	if c == nil || !c.replaced.IsZero() || s.state != Established {
		return
	}
	if e == nil || len(e.later) == 0 {
		c.soft = time.Time{} // its entry was configured away: it ends with its lifetime
		return
	}
	if t.group == sa.KENone {
		t.group = c.group
	}
	local, remote := s.allowance().successor(e, c)
	if len(local) == 0 || len(remote) == 0 {
		s.enqueue(task{kind: taskDeleteChild, child: c.ID, reason: reasonNetworks})
		return
	}
	rekey := wire.Notify{Type: wire.RekeySA, Protocol: wire.ProtocolESP, SPI: spiBytes(c.In.SPI)}
	x.send(now, request{task: t, local: local, remote: remote}, e, []wire.Payload{rekey}, out)
}

// startNew asks for a pair that replaces none.
func (x createInitiator) startNew(now time.Time, t task, out *exchange.Output) {
	s := x.sa
	e := s.host.Rules().entry(s.entry, s.local.Addr())
	if e == nil || len(e.later) == 0 || s.state != Established || t.want.single() && s.children.carries(t.want) {
		return
	}
	x.send(now, request{task: t, local: t.want.local, remote: t.want.remote}, e, nil, out)
}

// send sends the request r for a child SA of e. Its key
// exchange is that of the task, or else the first of the entry.
func (x createInitiator) send(now time.Time, r request, e *entry, ps []wire.Payload, out *exchange.Output) {
	s := x.sa
	spi := s.host.NewESPSPI()
	r.seed, r.spi, r.group = secret.New(bytesFrom(s.host.Rand(), seedSize)), uint64(spi), r.task.group
	if r.group == sa.KENone {
		r.group = e.later[0].One(sa.KeyExchange).ID
	}
	r.terms = s.host.Rules().successors(e, r.group)
	ni, err := r.generate()
	if err != nil {
		return
	}
	ps = append(ps, offerChild(r.terms, spi), wire.Nonce{Data: ni})
	if r.key != nil {
		ps = append(ps, wire.KE{Group: r.group, Data: r.key.Public()})
	}
	ps = append(ps, wire.TSi{TS: wire.TS{Selectors: r.local}}, wire.TSr{TS: wire.TS{Selectors: r.remote}})
	s.send(now, r, wire.CreateChildSA, ps, out)
}

// receive takes the answer to startRekey or startNew. The pair
// that was to be replaced may be gone: then the new one stands for itself.
func (x createInitiator) receive(now time.Time, r *request, ps wire.Payloads, out *exchange.Output) {
	s := x.sa
	old, rival := s.children.byID(r.task.child), s.children.rival(r)
	defer func() { // it stays, and lacks the networks that ours was to bring
		if rival != nil && rival.isCurrent() && rival.anew {
			s.enqueue(task{kind: taskRekeyChild, child: rival.ID})
		}
	}()
	if t, ok := x.otherExchange(r, old, ps); ok && rival == nil {
		s.enqueue(t)
		return
	}
	for _, p := range ps {
		if n, ok := p.(wire.Notify); ok && n.Type.IsError() {
			if rival == nil {
				x.declined(now, r, old, n.Type, out)
			}
			return
		}
	}
	c, reason := x.answered(now, r, ps)
	switch {
	case reason != "": // what the peer has made of it goes, the IKE SA is as good as before
		s.refuse("", "peer's answer for a child SA does not do: "+reason, out)
		s.enqueue(task{kind: taskDeleteChild, spi: sa.SPI(r.spi), reason: reason})
		createInitiator{s}.wait(now, old)
	case slices.Contains(r.deleted, c.Out.SPI): // its DELETE was faster than the answer
		s.host.Bury(c.In.EncryptionKey, c.In.IntegrityKey, c.Out.EncryptionKey, c.Out.IntegrityKey)
		createInitiator{s}.wait(now, old)
	case rival != nil:
		x.settle(now, r, c, rival, ps, out)
	default:
		x.adopt(now, r, c, old, out)
	}
}

// adopt installs c, which the request r has asked for, and closes the old one.
func (x createInitiator) adopt(now time.Time, r *request, c, old *child, out *exchange.Output) {
	s := x.sa
	s.addChild(now, c, old, out)
	s.tellNarrowed(c, r.local, r.remote, out)
	if old != nil {
		s.enqueue(task{kind: taskDeleteChild, child: old.ID, reason: "rekeyed"})
	}
	reconsideration{s}.conformNew(r, c, old)
	s.closeSplit()
}

// settle takes c, which came of the answer to startRekey, where rival came of an
// exchange that the peer has begun meanwhile.
func (x createInitiator) settle(now time.Time, r *request, c, rival *child, ps wire.Payloads, out *exchange.Output) {
	s := x.sa
	old := s.children.byID(r.task.child)
	ni, _ := r.generate()
	nr, _ := wire.Find[wire.Nonce](ps)
	if !r.crossed.wins(ni, nr.Data) {
		rival.dismiss(now)
		s.changes = append(s.changes, rival.record(s.spi, sa.Change{Op: sa.OpMove, Child: rival.Child}))
		x.adopt(now, r, c, old, out)
		return
	}
	if old == nil { // the peer has closed it: nobody needs ours
		s.host.Bury(c.In.EncryptionKey, c.In.IntegrityKey, c.Out.EncryptionKey, c.Out.IntegrityKey)
		s.enqueue(task{kind: taskDeleteChild, spi: c.In.SPI, reason: "rekeyed by both ends"})
		return
	}
	c.dismiss(now)
	s.addChild(now, c, old, out)
	s.enqueue(task{kind: taskDeleteChild, child: c.ID, reason: "rekeyed by both ends"})
}

// answered makes the pair of a good answer; the reason says what is wrong
// with it.
func (x createInitiator) answered(now time.Time, r *request, ps wire.Payloads) (*child, string) {
	ni, err := r.generate()
	if err != nil {
		return nil, err.Error()
	}
	nonce, have := wire.Find[wire.Nonce](ps)
	if !have {
		return nil, "it has no nonce"
	}
	shared, err := r.finishKE(ps)
	if err != nil {
		return nil, err.Error()
	}
	defer shared.Clear()
	return x.accept(now, childAnswer{
		ps: ps, terms: r.terms, spi: sa.SPI(r.spi), group: r.group, local: r.local, remote: r.remote,
		keying: childKeying{ni: ni, nr: nonce.Data, shared: shared},
	})
}

// otherExchange returns the same task with the key exchange that the peer insists
// on. A peer that wants something else every time waits, as after any other
// refusal.
func (x createInitiator) otherExchange(r *request, old *child, ps wire.Payloads) (task, bool) {
	s := x.sa
	rules, t := s.host.Rules(), r.task
	e := rules.entry(s.entry, s.local.Addr())
	if t.turns >= maxTurns || e == nil {
		return t, false
	}
	t.turns++
	if n, ok := ps.Notify(wire.InvalidKEPayload); ok && len(n.Data) == 2 {
		t.group = binary.BigEndian.Uint16(n.Data)
		if t.group != r.group && s.host.Rules().successors(e, t.group).hasGroup(t.group) {
			if old != nil {
				old.group = t.group
			}
			return t, true
		}
	}
	if _, ok := ps.Notify(wire.NoProposalChosen); ok && r.group == sa.KENone && len(rules.groups) > 0 {
		t.group = rules.groups[0].ID // perfect forward secrecy may be what the peer misses
		return t, true
	}
	return t, false
}

// declined does what a refusal of a new child SA, or of the successor of old,
// calls for (section 2.25). A peer that no longer has the old one is asked for a
// new one instead; everything else is tried again, after pauses that grow.
func (x createInitiator) declined(now time.Time, r *request, old *child, n wire.NotifyType, out *exchange.Output) {
	s := x.sa
	switch {
	case n == wire.SinglePairRequired && x.split(now, r, old):
	case r.task.kind == taskNewChild:
		s.refuse(n.String(), fmt.Sprintf("peer refuses a child SA for %v: %v", r.task.want, n), out)
	case old == nil: // it was deleted meanwhile
	case n == wire.ChildSANotFound:
		s.removeChild(now, old, "peer no longer has it", out)
		s.enqueue(task{kind: taskNewChild, group: r.group, want: &want{r.local, r.remote}})
	default:
		if tellRefusal(old.refused, n) {
			s.refuse(n.String(), "peer refuses to rekey a child SA: "+n.String(), out)
		}
		e := s.host.Rules().entry(s.entry, s.local.Addr())
		if n != wire.TemporaryFailure && e != nil && !s.allowance().conforms(e, old) {
			s.enqueue(task{kind: taskDeleteChild, child: old.ID, reason: reasonNetworks})
			return
		}
		reconsideration{s}.markAnew(old, false) // the peer does not want them
		createInitiator{s}.wait(now, old)
		if old.soft.After(old.Expires.Add(-renewBefore)) {
			s.host.Renew(now, s, out) // the next attempt would be too late
		}
	}
}

// tellRefusal reports whether a refused rekeying is worth a line: the first of a
// series, and TEMPORARY_FAILURE when it does not pass.
func tellRefusal(before int, n wire.NotifyType) bool {
	if n == wire.TemporaryFailure {
		return before == rekeyPatience
	}
	return before == 0
}

// wait plans the next attempt to rekey old, which may be nil.
func (x createInitiator) wait(now time.Time, old *child) {
	s := x.sa
	if old != nil && old.replaced.IsZero() {
		old.soft = now.Add(s.host.retryAfter(old.refused))
		old.refused++
	}
}

// childAnswer is a response to what we asked for, with all that it is checked
// against.
type childAnswer struct {
	ps            wire.Payloads
	terms         terms
	spi           sa.SPI
	group         uint16 // of the key exchange that was done
	keying        childKeying
	local, remote []sa.Selector // as offered
	own           []sa.Selector // what local is narrowed to; nil: as the peer says
}

// accept makes the pair that the peer answered with; the reason says what
// is wrong with the answer.
func (x createInitiator) accept(now time.Time, a childAnswer) (*child, string) {
	s := x.sa
	for _, p := range a.ps {
		if n, ok := p.(wire.Notify); ok && n.Type.IsError() {
			return nil, "peer makes no child SA: " + n.Type.String()
		}
	}
	if err := formChildAnswer.check(a.ps); err != nil {
		return nil, err.Error()
	}
	r := findChild(a.ps)
	choice, err := suite.CheckAnswer(a.terms.proposals(), wire.ProtocolESP, 4, r.sa)
	if err != nil {
		return nil, err.Error()
	}
	out := sa.SPI(binary.BigEndian.Uint32(choice.SPI))
	if out <= 255 || choice.Group() != a.group {
		return nil, "peer chose a reserved SPI, or another key exchange than was done"
	}
	local := r.tsi
	if a.own != nil {
		local = narrow(local, a.own)
	}
	if !within(local, a.local) || !within(r.tsr, a.remote) || len(local) > maxSelectors || len(r.tsr) > maxSelectors {
		return nil, fmt.Sprintf("peer answered with traffic selectors that were not offered: %v === %v", brief(r.tsi),
			brief(r.tsr))
	}
	if reason := s.allowance().contested(s.host.Rules().entry(s.entry, s.local.Addr()), local, r.tsr); reason != "" {
		return nil, reason
	}
	if reason := s.allowance().unroutable(r.tsr); reason != "" {
		return nil, reason
	}
	toPeer, toUs, err := s.suite.DeriveChild(s.keys.D, &suite.Exchange{Shared: a.keying.shared, Ni: a.keying.ni,
		Nr: a.keying.nr}, choice.Proposal)
	if err != nil {
		return nil, err.Error()
	}
	c := s.newChild(now, a.terms[choice.Policy], choice)
	c.In, c.Out = direction(choice, a.spi, toUs), direction(choice, out, toPeer)
	c.Local, c.Remote = local, r.tsr
	return c, ""
}
