package ikev2

import (
	"bytes"
	"errors"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/ike/wire"
)

// Receive implements exchange.SA.
func (s *SA) Receive(now time.Time, d exchange.Datagram, out *exchange.Output) error {
	parsed, err := wire.ParseMessage(d.Payload)
	if err != nil {
		return err
	}
	m := &parsed
	i, r := s.spis()
	if m.Initiator() == s.initiator || m.SPIi != i || m.SPIr != r && s.state != Connecting {
		return exchange.ErrMalformed
	}
	defer s.finish(now, out)
	if m.Response() {
		return s.receiveResponse(now, d, m, out)
	}
	return s.receiveRequest(now, d, m, out)
}

// receiveRequest serves a request, by state: see forms.
func (s *SA) receiveRequest(now time.Time, d exchange.Datagram, m *wire.Message, out *exchange.Output) error {
	switch {
	case s.state == HalfOpen:
		return s.responding.receive(now, d, m, out)
	case s.state != Rejected && !s.standing():
		return exchange.ErrState
	}
	awaited := s.state != Rejected && s.window.awaits(m.MessageID)
	repeat := m.MessageID+1 == s.window.expect && s.window.response != nil
	switch {
	case awaited && s.standing() && !s.quotas.serves(now, len(d.Payload)):
		s.excess++
		return exchange.ErrExcess
	case repeat && !s.quotas.mayRepeat(now, d.Remote, s.remote):
		return exchange.ErrStale
	}
	ps, err := s.open(d, m, awaited)
	partial := errors.Is(err, errPartial)
	if err != nil && !partial && !authentic(err) {
		s.countForged(err, out)
		return err
	}
	if awaited {
		s.quotas.served(now, len(d.Payload))
	}
	if partial {
		return nil
	}
	if err == nil {
		if is, err := s.sync().request(now, d, m, ps, out); is {
			return err
		}
	}
	if repeat {
		s.quotas.repeated(now, d.Remote, s.remote)
		s.window.response.send(d, out)
		return nil
	}
	if !awaited {
		if s.sync().missed(m.MessageID) {
			return nil
		}
		if err == nil {
			s.sync().elsewhere(now, d, m.MessageID, out)
		}
		return exchange.ErrStale
	}
	if s.state == Contending && err == nil && !deletesIKE(ps) {
		(&rekeying{sa: s}).prevail(now, out)
	}
	s.heard = now
	s.updateAddress(d.Local, d.Remote, out)
	s.asker = &exchange.Datagram{Local: d.Local, Remote: d.Remote}
	defer func() { s.asker = nil }()
	if err != nil {
		n := errorNotify(err)
		s.respond(m.Exchange, m.MessageID, []wire.Payload{n}, out)
		if n.Type == wire.InvalidSyntax {
			s.down(now, "peer sent a malformed message: "+err.Error(), out) // section 2.21.3
		}
		return nil
	}
	switch {
	case !s.state.serves(m.Exchange):
		s.respond(m.Exchange, m.MessageID, []wire.Payload{wire.Notify{Type: wire.InvalidSyntax}}, out)
	case m.Exchange == wire.CreateChildSA:
		createResponder{s}.serve(now, m.MessageID, ps, out)
	default:
		informational{s}.serve(now, m.MessageID, ps, out)
	}
	return nil
}

// exchanges are the exchange types of our requests.
var exchanges = map[taskKind]wire.ExchangeType{
	taskInit: wire.IKESAInit, taskAuth: wire.IKEAuth, taskLiveness: wire.Informational,
	taskDeleteIKE: wire.Informational, taskDeleteChild: wire.Informational,
	taskRekeyChild: wire.CreateChildSA, taskRekeyIKE: wire.CreateChildSA, taskNewChild: wire.CreateChildSA,
	taskSync: wire.Informational,
}

// receiveResponse ends our outstanding exchange, by state: see forms.
func (s *SA) receiveResponse(now time.Time, d exchange.Datagram, m *wire.Message, out *exchange.Output) error {
	r := s.window.request
	if r == nil || m.MessageID != r.id || m.Exchange != exchanges[r.task.kind] || !s.state.accepts(m.Exchange, true) {
		return exchange.ErrStale
	}
	if r.task.kind == taskInit {
		return s.initiating.receive(now, d, m, out)
	}
	ps, err := s.open(d, m, true)
	switch {
	case errors.Is(err, errPartial):
		return nil
	case err != nil && !authentic(err):
		s.countForged(err, out)
		return err
	}
	if r.task.kind == taskSync {
		if err != nil {
			return err
		}
		return s.sync().response(now, r, ps, out)
	}
	s.heard = now
	s.sync().unproven = false
	s.updateAddress(d.Local, d.Remote, out)
	moving{s}.reached(now, d.Local, d.Remote, out)
	if r.task.kind == taskAuth {
		if err != nil {
			return s.initiating.fail(out, "", "peer sent a malformed message: "+err.Error())
		}
		return s.initiating.auth.receive(now, ps, out)
	}
	var cookie []byte
	if r.task.kind == taskLiveness {
		cookie = bytes.Clone(r.seed.Reveal())
	}
	s.answered()
	if err != nil {
		s.down(now, "peer sent a malformed message: "+err.Error(), out)
		return nil
	}
	switch r.task.kind {
	case taskInit, taskAuth, taskSync:
	case taskLiveness:
		moving{s}.answered(now, r, cookie, ps)
	case taskDeleteIKE:
		s.down(now, r.task.reason, out)
	case taskDeleteChild:
		if c := s.children.byID(r.task.child); c != nil {
			s.removeChild(now, c, r.task.reason, out)
		}
	case taskRekeyChild, taskNewChild:
		createInitiator{s}.receive(now, r, ps, out)
	case taskRekeyIKE:
		(&rekeying{sa: s}).receive(now, r, ps, out)
	}
	return nil
}

// open authenticates and decrypts a message, or a fragment of one: see fragments.open.
// An error that is not authentic says that the message is nobody's. With awaited,
// it is the next one of its kind.
func (s *SA) open(d exchange.Datagram, m *wire.Message, awaited bool) (wire.Payloads, error) {
	if f, ok := wire.Find[wire.SKF](m.Payloads); ok {
		return fragments{s}.open(d, m, f, awaited)
	}
	sk, ok := wire.Find[wire.SK](m.Payloads)
	if !ok {
		return nil, exchange.ErrMalformed
	}
	plain, err := s.unseal(s.opener, d, sk.Offset)
	if err != nil {
		return nil, err
	}
	if awaited {
		fragments{s}.drop(m.Response())
	}
	return wire.ParsePayloads(sk.First, plain)
}

// reception is what an SA keeps of messages of the peer that it has not served.
type reception struct {
	proven  bool        // an authentic message has shown that the peer has the same keys
	garbled int         // messages that were not, before
	forged  uint64      // messages that were not, in all
	excess  uint64      // requests that were dropped because there were too many: see quota
	partial [2]*partial // of the request and the response that we wait for, while it is not complete
}

// unseal returns the plaintext of a datagram whose encrypted payload has the given
// offset.
func (r *reception) unseal(c *suite.Cipher, d exchange.Datagram, offset int) ([]byte, error) {
	plain, err := c.Open(nil, d.Payload, offset)
	if errors.Is(err, suite.ErrIntegrity) {
		return nil, exchange.ErrForged
	}
	r.proven = true
	if err != nil {
		return nil, &wire.Error{Notify: wire.InvalidSyntax, Payload: wire.TypeSK, Text: err.Error()}
	}
	return plain, nil
}

// partialOf returns the place of the request, or of the response, that comes in parts.
func (r *reception) partialOf(response bool) **partial {
	if response {
		return &r.partial[1]
	}
	return &r.partial[0]
}

// countForged counts what is not authentic on an SA whose keys the peer has not yet
// shown to have, and asks the peer before it is too late: traffic in the child
// SAs, which have keys of their own, would hide that nobody understands the other.
func (s *SA) countForged(err error, out *exchange.Output) {
	if errors.Is(err, exchange.ErrForged) {
		s.forged++
	}
	if !errors.Is(err, exchange.ErrForged) || s.proven || s.state != Established {
		return
	}
	if s.garbled++; s.garbled == garbledLimit {
		out.Events = append(out.Events, exchange.Garbled{Peer: s.Peer(), Messages: s.garbled})
		s.enqueue(task{kind: taskLiveness})
	}
}

// authentic reports whether err of open is about a message that the peer has
// really sent.
func authentic(err error) bool {
	var e *wire.Error
	return errors.As(err, &e)
}

// finish completes an Output: what waits is begun, and every step is recorded.
func (s *SA) finish(now time.Time, out *exchange.Output) {
	s.pump(now, out)
	s.watchIV(now, out)
	if s.fresh && s.state != Dead {
		out.Changes = append(out.Changes, s.record())
		s.fresh, s.dirty, s.recorded, s.replaces = false, false, true, 0
	}
	out.Changes = append(out.Changes, s.changes...)
	s.changes = nil
	switch {
	case !s.recorded:
	case s.state == Dead:
		out.Changes = append(out.Changes, exchange.Record{Kind: exchange.RecordIKEDown, SPI: s.spi})
		s.recorded = false
	case s.dirty:
		out.Changes = append(out.Changes, s.windowRecord())
	}
	s.dirty = false
	if s.standing() {
		s.rest()
	}
}
