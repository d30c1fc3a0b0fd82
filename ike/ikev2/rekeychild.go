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

// begin draws nonce and key of an exchange that we begin, from its seed.
func (r *request) begin() (nonce []byte, err error) {
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

// startRekeyChild asks for the successor of a pair.
func (s *SA) startRekeyChild(now time.Time, t task, out *exchange.Output) {
	c, e := s.childByID(t.child), s.host.Rules().entry(s.entry, s.local.Addr())
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
	local, remote := s.successorTS(e, c)
	if len(local) == 0 || len(remote) == 0 {
		s.enqueue(task{kind: taskDeleteChild, child: c.ID, reason: reasonNetworks})
		return
	}
	rekey := wire.Notify{Type: wire.RekeySA, Protocol: wire.ProtocolESP, SPI: spiBytes(c.In.SPI)}
	s.askChild(now, request{task: t, local: local, remote: remote}, e, []wire.Payload{rekey}, out)
}

// startNewChild asks for a pair that replaces none.
func (s *SA) startNewChild(now time.Time, t task, out *exchange.Output) {
	e := s.host.Rules().entry(s.entry, s.local.Addr())
	if e == nil || len(e.later) == 0 || s.state != Established || t.want.single() && s.carries(t.want) {
		return
	}
	s.askChild(now, request{task: t, local: t.want.local, remote: t.want.remote}, e, nil, out)
}

// askChild sends the CREATE_CHILD_SA request r for a child SA of e. Its key
// exchange is that of the task, or else the first of the entry.
func (s *SA) askChild(now time.Time, r request, e *entry, ps []wire.Payload, out *exchange.Output) {
	spi := s.host.NewESPSPI()
	r.seed, r.spi, r.group = secret.New(bytesFrom(s.host.Rand(), seedSize)), uint64(spi), r.task.group
	if r.group == sa.KENone {
		r.group = e.later[0].One(sa.KeyExchange).ID
	}
	r.terms = s.successors(e, r.group)
	ni, err := r.begin()
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

// childResponse takes the answer to startRekeyChild or startNewChild. The pair
// that was to be replaced may be gone: then the new one stands for itself.
func (s *SA) childResponse(now time.Time, r *request, ps wire.Payloads, out *exchange.Output) {
	old := s.childByID(r.task.child)
	if t, ok := s.otherExchange(r, old, ps); ok {
		s.enqueue(t)
		return
	}
	for _, p := range ps {
		if n, ok := p.(wire.Notify); ok && n.Type.IsError() {
			s.childRefused(now, r, old, n.Type, out)
			return
		}
	}
	c, reason := s.answeredChild(now, r, ps)
	switch {
	case reason != "": // what the peer has made of it goes, the IKE SA is as good as before
		s.refuse("", "peer's answer for a child SA does not do: "+reason, out)
		s.enqueue(task{kind: taskDeleteChild, spi: sa.SPI(r.spi), reason: reason})
		s.waitChild(now, old)
	case slices.Contains(r.deleted, c.Out.SPI): // its DELETE was faster than the answer
		s.host.Bury(c.In.EncryptionKey, c.In.IntegrityKey, c.Out.EncryptionKey, c.Out.IntegrityKey)
		s.waitChild(now, old)
	default:
		s.addChild(now, c, old, out)
		s.tellNarrowed(c, r.local, r.remote, out)
		if old != nil {
			s.enqueue(task{kind: taskDeleteChild, child: old.ID, reason: "rekeyed"})
		}
		s.reconsiderNew(r, c, old)
	}
}

// answeredChild makes the pair of a good answer; the reason says what is wrong
// with it.
func (s *SA) answeredChild(now time.Time, r *request, ps wire.Payloads) (*child, string) {
	ni, err := r.begin()
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
	return s.takeAnswer(now, childAnswer{
		ps: ps, terms: r.terms, spi: sa.SPI(r.spi), group: r.group, local: r.local, remote: r.remote,
		keying: childKeying{ni: ni, nr: nonce.Data, shared: shared},
	})
}

// otherExchange returns the same task with the key exchange that the peer insists
// on. A peer that wants something else every time waits, as after any other
// refusal.
func (s *SA) otherExchange(r *request, old *child, ps wire.Payloads) (task, bool) {
	rules, t := s.host.Rules(), r.task
	e := rules.entry(s.entry, s.local.Addr())
	if t.turns >= maxTurns || e == nil {
		return t, false
	}
	t.turns++
	if n, ok := ps.Notify(wire.InvalidKEPayload); ok && len(n.Data) == 2 {
		t.group = binary.BigEndian.Uint16(n.Data)
		if t.group != r.group && s.successors(e, t.group).hasGroup(t.group) {
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

// childRefused does what a refusal of a new child SA, or of the successor of old,
// calls for (section 2.25). A peer that no longer has the old one is asked for a
// new one instead; everything else is tried again, after pauses that grow.
func (s *SA) childRefused(now time.Time, r *request, old *child, n wire.NotifyType, out *exchange.Output) {
	switch {
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
		if n != wire.TemporaryFailure && e != nil && !s.conforms(e, old) {
			s.enqueue(task{kind: taskDeleteChild, child: old.ID, reason: reasonNetworks})
			return
		}
		s.markAnew(old, false) // the peer does not want them
		s.waitChild(now, old)
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

// waitChild plans the next attempt to rekey old, which may be nil.
func (s *SA) waitChild(now time.Time, old *child) {
	if old != nil {
		old.soft = now.Add(s.retryAfter(old.refused))
		old.refused++
	}
}

// retryAfter returns the pause after a rekeying that was refused: doubled with
// every refusal before it, jittered.
func (s *SA) retryAfter(before int) time.Duration {
	return s.jittered(rekeyRetry<<min(before, rekeyDoublings), 0.5)
}
