package ikev2

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/record"
	"github.com/warrenvpn/warren/internal/secret"
)

// responding is what an SA that a peer has begun needs until it is established.
type responding struct {
	sa *SA
	transcript
	key     *suite.Response
	repeats int // of the first request that were answered

	// What it was made from, whether that is on record, and when it is given up.
	seed     secret.Value
	from     exchange.Datagram
	recorded bool
	until    time.Time
	// conversing: more was said to the initiator than the response to IKE_SA_INIT, with IVs up to
	// lastIV or ivSkip beyond it; lost: by somebody before us, who alone knew what comes next.
	conversing bool
	lastIV     uint64
	lost       bool
	unknown    record.Unknown // what a newer version wrote into its record beyond it
	envelope   record.Unknown // and what it wrote beside that; no keys

	auth  *authResponder // from the first IKE_AUTH request on
	await await
}

// newResponder answers an IKE_SA_INIT request (RFC 7296 section 1.2). With an
// error there is no SA.
//
// With record the handshake survives us: out.Changes says so.
func newResponder(h *Version, now time.Time, d exchange.Datagram, m *wire.Message, record bool,
	out *exchange.Output) (*SA, error) {
	s, err := respondTo(h, now, d, m, h.NewIKESPI(), secret.New(bytesFrom(h.Rand(), seedSize)), out)
	if err == nil && record {
		s.responding.recorded = true
		r, _ := s.responding.record()
		out.Changes = append(out.Changes, r)
	}
	return s, err
}

// respondTo does what newResponder says with a given SPI and seed.
func respondTo(h *Version, now time.Time, d exchange.Datagram, m *wire.Message, spi uint64, seed secret.Value,
	out *exchange.Output) (*SA, error) {
	p, err := findInit(&formInitRequest, m.Payloads)
	if err != nil {
		return nil, err
	}
	s := &SA{
		host: h, state: HalfOpen, agreed: newAgreements(),
		names: names{spi: spi, peerSPI: m.SPIi}, path: path{local: d.Local, remote: d.Remote},
	}
	rules := h.Rules()
	choice, err := chooseIKE(rules, 0, p.sa)
	if err != nil {
		return nil, err
	}
	if n, wrong := choice.WrongGroup(p.ke, true); wrong {
		return nil,
			&initError{n, fmt.Sprintf("peer guessed another key exchange than %v", choice.Proposal.One(sa.KeyExchange))}
	}
	st, err := h.suiteOf(choice.Proposal)
	if err != nil {
		return nil, err
	}
	random := seeded(seed)
	nr := bytesFrom(random, nonceSize)
	key, err := suite.Respond(choice.Group(), random, bytes.Clone(p.ke.Data))
	if errors.Is(err, suite.ErrPublicValue) {
		return nil, &initError{wire.Notify{Type: wire.InvalidSyntax}, "public value of the peer has a wrong length"}
	}
	if err != nil {
		return nil, err
	}
	s.suite = st
	r := &responding{
		sa: s, transcript: transcript{request: bytes.Clone(d.Payload), ni: bytes.Clone(p.nonce.Data), nr: nr},
		key: key, seed: seed, from: exchange.Datagram{Local: d.Local, Remote: d.Remote},
	}
	s.responding = r
	s.lifetime = rules.Policies[choice.Policy].Lifetime
	s.detectNAT(m.Payloads, s.peerSPI, 0, rules.ForceUDP)

	hdr := wire.Header{SPIi: s.peerSPI, SPIr: s.spi, Version: wire.Version2, Exchange: wire.IKESAInit,
		Flags: wire.FlagResponse}
	ps := []wire.Payload{choice.Answer(nil), wire.KE{Group: choice.Group(), Data: key.Public()}, wire.Nonce{Data: r.nr}}
	ps = append(ps, s.natPayloads(s.peerSPI, s.spi, rules.ForceUDP)...)
	ps = append(ps, s.agreed.learn(rules, wire.IKESAInit, true, m.Payloads)...)
	ps = append(ps, rules.certificateTerms(m.Payloads)...)
	r.response = wire.AppendMessage(nil, hdr, ps...)
	s.window.expect = m.MessageID + 1
	s.endAt, s.endReason = now.Add(h.HalfOpenLife()), "peer did not go on with IKE_AUTH"
	r.until = s.endAt
	s.post(datagrams{r.response}, out)
	return s, nil
}

// RepeatFirst implements exchange.SA.
func (s *SA) RepeatFirst(d exchange.Datagram, out *exchange.Output) bool {
	r := s.responding
	if r == nil || !bytes.Equal(r.request, d.Payload) {
		return false
	}
	if r.repeats++; r.repeats > maxInitRepeats {
		return true
	}
	out.Send = append(out.Send, exchange.Datagram{Local: d.Local, Remote: d.Remote, Payload: r.response})
	return true
}

// clear forgets what is secret.
func (r *responding) clear() {
	r.sa.host.Bury(r.seed, r.unknown.Secret())
	r.key.Clear()
	r.await.withdraw(r.sa.host)
	if r.auth != nil {
		r.sa.host.Withdraw(r.auth.question)
		if r.auth.eap != nil {
			r.auth.eap.clear()
		}
	}
}

// receive serves a request before the SA is established: nothing but the next
// message of IKE_AUTH, so that nothing else, CREATE_CHILD_SA least of all, can go
// around authentication.
func (r *responding) receive(now time.Time, d exchange.Datagram, m *wire.Message, out *exchange.Output) error {
	s := r.sa
	expect := s.window.expect
	if r.lost && m.MessageID > expect && m.MessageID <= maxAuthRounds+1 {
		expect = m.MessageID // see disown
	}
	repeat := m.MessageID+1 == expect && s.window.response != nil
	if !s.state.serves(m.Exchange) || m.MessageID != expect && !repeat ||
		m.Exchange == wire.Informational && !r.inConversation() {
		return exchange.ErrState
	}
	if s.opener == nil {
		if err := r.derive(); err != nil {
			s.refuse("", "key exchange: "+err.Error(), out)
			s.die()
			return nil
		}
	}
	ps, err := s.open(d, m, !repeat)
	switch {
	case errors.Is(err, errPartial):
		return nil
	case err != nil && !authentic(err):
		return err
	case repeat && !s.quotas.mayRepeat(now, d.Remote, s.remote):
		return exchange.ErrStale
	case repeat:
		s.quotas.repeated(now, d.Remote, s.remote)
		s.window.response.send(d, out)
		return nil
	}
	s.local, s.remote = d.Local, d.Remote // a NAT made the initiator use port 4500
	s.window.expect = expect
	switch {
	case err != nil:
		return r.reject(now, outcome{notify: errorNotify(err), reason: err.Error()}, out)
	case m.Exchange == wire.Informational:
		return r.abandoned(now, ps, out)
	case r.lost && expect > 1:
		return r.disown(now, out)
	}
	return r.proceed(now, r.step(ps), out)
}

// proceed does what a step has come to.
func (r *responding) proceed(now time.Time, o outcome, out *exchange.Output) error {
	s := r.sa
	switch {
	case o.reason != "":
		return r.reject(now, o, out)
	case o.work != nil:
		s.transition(Proving)
		r.await.begin(s.host.Ask(s), s.Peer(), o.work, out)
	case o.consult != nil:
		r.consult(now, *o.consult, out)
	case o.proven:
		r.auth.ask(out)
	default:
		r.converse(out)
		if s.state == Proving {
			s.transition(HalfOpen)
		}
		s.respond(wire.IKEAuth, s.window.expect, o.more, out)
		if o.doubt != "" && !r.auth.eap.told {
			r.auth.eap.told = true
			s.refuse(wire.AuthenticationFailed.String(), o.doubt, out)
		}
	}
	return nil
}

// derive does the half of the key exchange that costs, now that the initiator has
// gone on.
func (r *responding) derive() error {
	shared, err := r.key.Secret()
	if err != nil {
		return err
	}
	defer r.key.Clear()
	return r.sa.deriveKeys(shared, &r.transcript)
}

// step takes the next message of the conversation.
func (r *responding) step(ps wire.Payloads) outcome {
	if r.auth != nil {
		return r.auth.next(ps)
	}
	a, err := newAuthResponder(r, ps)
	if err != nil {
		return refused(wire.InvalidSyntax, err.Error())
	}
	r.auth = a
	return a.first(ps)
}

// inConversation reports whether the peer has been told more than the response to its first
// message.
func (r *responding) inConversation() bool { return r.conversing || r.lost }

// converse notes on record that more is said to the peer than any successor can go on with.
func (r *responding) converse(out *exchange.Output) {
	if r.conversing {
		return
	}
	r.conversing, r.lost, r.lastIV = true, false, r.sa.window.iv
	if rec, ok := r.record(); ok {
		out.Changes = append(out.Changes, rec)
	}
}

// disown tells the peer that the conversation is lost: nobody here knows what it was asked.
func (r *responding) disown(now time.Time, out *exchange.Output) error {
	const reason = "its login was not complete when another worker or unit took over: it has to begin anew"
	return r.reject(now, denied(reason), out)
}

// reject answers IKE_AUTH with nothing but what the outcome o says, and keeps the SA only to
// answer repeats (RFC 7296 section 2.21.2).
func (r *responding) reject(now time.Time, o outcome, out *exchange.Output) error {
	ps := o.more
	if ps == nil {
		ps = []wire.Payload{o.notify}
	}
	told := r.auth != nil && r.auth.isTold()
	r.end(now, wire.IKEAuth, ps, out)
	if told {
		return nil
	}
	r.sa.refuse(o.notify.Type.String(), o.reason, out)
	return nil
}

// end answers the request that is being served and ends the handshake.
func (r *responding) end(now time.Time, x wire.ExchangeType, ps []wire.Payload, out *exchange.Output) {
	s := r.sa
	r.unrecord(out)
	s.respond(x, s.window.expect, ps, out)
	s.transition(Rejected)
	s.endAt = now.Add(s.host.HalfOpenLife())
	if r.auth != nil && r.auth.eap != nil {
		r.auth.eap.clear()
	}
	r.auth = nil
}

// unrecord strikes a handshake out of the record, which cannot bring it to where it
// stands: who comes after us would answer the same request otherwise,
// with the same keys and the same initialisation vector.
func (r *responding) unrecord(out *exchange.Output) {
	if r.recorded {
		r.recorded = false
		out.Changes = append(out.Changes, exchange.Record{Kind: exchange.RecordIKEDown, SPI: r.sa.spi})
	}
}
