package ikev2

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/secret"
)

// handshake is what is needed until the SA is established.
type handshake struct {
	request, response []byte // IKE_SA_INIT as they were sent: AUTH covers them
	ni, nr            []byte
	key               *suite.Initiation // of an initiator
	answer            *suite.Response   // of a responder
	choice            suite.Choice

	// Of a responder: what it was made from, whether that is on record, and
	// when it is given up.
	seed     secret.Value
	from     exchange.Datagram
	recorded bool
	until    time.Time
	// Of a responder: the IKE_AUTH request that waits for its Answer.
	auth     *authRequest
	question exchange.QuestionID

	// Of an initiator.
	entry    *entry
	terms    terms // of the IKE SA
	first    terms // of its first child
	cookie   []byte
	restarts int
	spi      sa.SPI // of the first child
	refusal  initRefusal
	repeats  int // of a responder: repeats of the request that were answered
}

// initRefusal is what an initiator was told instead of a good answer, and the
// reason for the operator. Nobody has authenticated it: the attempt ends for it
// only if no good answer follows (RFC 7296 section 2.21.1).
type initRefusal struct{ notify, reason string }

// distrust keeps the first refusal of an attempt that goes on.
func (s *SA) distrust(notify, reason string) error {
	if s.handshake.refusal.reason == "" {
		s.handshake.refusal = initRefusal{notify, reason}
	}
	return nil
}

// initError is an IKE_SA_INIT request that is refused: with what, and why.
type initError struct {
	notify wire.Notify
	reason string
}

// Error implements error.
func (e *initError) Error() string { return "ikev2: " + e.reason }

// ClearResponse returns the unprotected answer to h that holds only n.
func ClearResponse(h *wire.Header, n wire.Notify) []byte {
	r := wire.Header{
		SPIi: h.SPIi, SPIr: h.SPIr, Version: wire.Version2, Exchange: h.Exchange,
		Flags: wire.FlagResponse, MessageID: h.MessageID,
	}
	if !h.Initiator() {
		r.Flags |= wire.FlagInitiator
	}
	return wire.AppendMessage(nil, r, n)
}

// initPayloads are what both IKE_SA_INIT messages must hold.
type initPayloads struct {
	sa    wire.SA
	ke    wire.KE
	nonce wire.Nonce
}

// takeInit finds the required payloads, each exactly once.
func takeInit(ps wire.Payloads) (p initPayloads, err error) {
	if err := exactly(ps, wire.TypeSA, wire.TypeKE, wire.TypeNonce); err != nil {
		return p, err
	}
	p.sa, _ = wire.Find[wire.SA](ps)
	p.ke, _ = wire.Find[wire.KE](ps)
	p.nonce, _ = wire.Find[wire.Nonce](ps)
	return p, nil
}

// exactly checks that each of types occurs once.
func exactly(ps wire.Payloads, types ...wire.PayloadType) error {
	for _, t := range types {
		if n := ps.Count(t); n != 1 {
			return fmt.Errorf("ikev2: %d %v payloads instead of one", n, t)
		}
	}
	return nil
}

// newResponder answers an IKE_SA_INIT request (RFC 7296 section 1.2). With an
// error there is no SA.
//
// With record the handshake survives us: out.Changes says so.
func newResponder(h *Version, now time.Time, d exchange.Datagram, m *wire.Message, record bool, out *exchange.Output) (*SA, error) {
	s, err := respondTo(h, now, d, m, h.NewIKESPI(), secret.New(bytesFrom(h.Rand(), seedSize)), out)
	if err == nil && record {
		s.handshake.recorded = true
		r, _ := s.halfOpenRecord()
		out.Changes = append(out.Changes, r)
	}
	return s, err
}

// respondTo does what newResponder says with a given SPI and seed.
func respondTo(h *Version, now time.Time, d exchange.Datagram, m *wire.Message, spi uint64, seed secret.Value, out *exchange.Output) (*SA, error) {
	p, err := takeInit(m.Payloads)
	if err != nil {
		return nil, err
	}
	s := &SA{
		host: h, state: HalfOpen, spi: spi, peerSPI: m.SPIi,
		local: d.Local, remote: d.Remote, agreed: newAgreements(),
	}
	rules := h.Rules()
	choice, err := chooseIKE(rules, 0, p.sa)
	if err != nil {
		return nil, err
	}
	if n, wrong := choice.WrongGroup(p.ke, true); wrong {
		return nil, &initError{n, fmt.Sprintf("peer guessed another key exchange than %v", choice.Proposal.One(sa.KeyExchange))}
	}
	st, err := suite.New(choice.Proposal)
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
	s.handshake = &handshake{
		request: bytes.Clone(d.Payload), ni: bytes.Clone(p.nonce.Data), nr: nr,
		answer: key, choice: choice, seed: seed, from: exchange.Datagram{Local: d.Local, Remote: d.Remote},
	}
	s.lifetime = rules.Policies[choice.Policy].Lifetime
	s.detectNAT(m.Payloads, 0)

	hdr := wire.Header{SPIi: s.peerSPI, SPIr: s.spi, Version: wire.Version2, Exchange: wire.IKESAInit, Flags: wire.FlagResponse}
	ps := []wire.Payload{choice.Answer(nil), wire.KE{Group: choice.Group(), Data: key.Public()}, wire.Nonce{Data: s.handshake.nr}}
	ps = append(ps, s.natPayloads(s.spi)...)
	ps = append(ps, s.agreed.learn(wire.IKESAInit, true, m.Payloads)...)
	s.handshake.response = wire.AppendMessage(nil, hdr, ps...)
	s.window.expect = 1
	s.endAt, s.endReason = now.Add(h.HalfOpenLife()), "peer did not go on with IKE_AUTH"
	s.handshake.until = s.endAt
	s.post(datagrams{s.handshake.response}, out)
	return s, nil
}

// chooseIKE selects the IKE proposal, with an error that names both sides.
func chooseIKE(rules *Rules, spiLen int, offered wire.SA) (suite.Choice, error) {
	choice, ok := suite.Choose(rules.policies, wire.ProtocolIKE, spiLen, offered.Proposals)
	if !ok {
		return choice, &initError{wire.Notify{Type: wire.NoProposalChosen}, fmt.Sprintf(
			"no common IKE proposal: peer offers %s, we accept %s",
			clip(suite.Describe(offered.Proposals)), clip(describe(rules.policies)))}
	}
	return choice, nil
}

// RepeatFirst implements exchange.SA.
func (s *SA) RepeatFirst(d exchange.Datagram, out *exchange.Output) bool {
	if s.handshake == nil || s.initiator || !bytes.Equal(s.handshake.request, d.Payload) {
		return false
	}
	if s.handshake.repeats++; s.handshake.repeats > maxInitRepeats {
		return true
	}
	out.Send = append(out.Send, exchange.Datagram{Local: d.Local, Remote: d.Remote, Payload: s.handshake.response})
	return true
}

// deriveKeys makes the keys of the SA from the secret of the key exchange (RFC 7296
// section 2.14), and clears it.
func (s *SA) deriveKeys(shared secret.Value) error {
	defer shared.Clear()
	h := s.handshake
	spiI, spiR := s.spis()
	keys := s.suite.DeriveKeys(&suite.Exchange{Shared: shared, Ni: h.ni, Nr: h.nr, SPIi: spiI, SPIr: spiR})
	return s.install(s.suite, keys)
}

// newInitiator begins to bring up the static entry called name, from local to
// the peer's port 500.
func newInitiator(h *Version, now time.Time, name string, out *exchange.Output) (*SA, error) {
	static, ok := h.Rules().Static(name)
	if !ok {
		return nil, fmt.Errorf("ikev2: there is no static entry %q", name)
	}
	e := h.Rules().entry(name, static.Local)
	if len(h.Rules().groups) == 0 {
		return nil, errors.New("ikev2: there is no IKE policy to propose")
	}
	p := h.Rules().profileByName(e.Profile)
	s := &SA{
		host: h, state: Connecting, initiator: true, dialled: true, spi: h.NewIKESPI(), entry: name,
		local: netip.AddrPortFrom(e.Local, 500), remote: netip.AddrPortFrom(e.Peer, 500),
		profile: p.Name, remoteAccess: p.RemoteAccess, dpd: p.DPD, localID: p.identityOf(e.Local), agreed: newAgreements(),
		handshake: &handshake{entry: e, terms: h.Rules().ikeTerms(), ni: bytesFrom(h.Rand(), nonceSize)},
	}
	if err := s.sendInit(now, h.Rules().groups[0].ID, out); err != nil {
		return nil, err
	}
	return s, nil
}

// sendInit sends IKE_SA_INIT with a key of group. Each attempt is a request of
// its own, with the nonce and the SPI of the first (RFC 7296 section 2.6).
func (s *SA) sendInit(now time.Time, group uint16, out *exchange.Output) error {
	h := s.handshake
	if h.key == nil || h.key.Group() != group {
		key, err := suite.Begin(group, s.host.Rand())
		if err != nil {
			return err
		}
		h.key = key
	}
	var ps []wire.Payload
	if h.cookie != nil {
		ps = append(ps, wire.Notify{Type: wire.Cookie, Data: h.cookie})
	}
	ps = append(ps, suite.Offer(h.terms.proposals(), wire.ProtocolIKE, nil),
		wire.KE{Group: group, Data: h.key.Public()}, wire.Nonce{Data: h.ni})
	ps = append(ps, s.natPayloads(0)...)
	ps = append(ps, s.agreed.offer(wire.IKESAInit)...)
	hdr := wire.Header{SPIi: s.spi, Version: wire.Version2, Exchange: wire.IKESAInit, Flags: wire.FlagInitiator}
	h.request = wire.AppendMessage(nil, hdr, ps...)
	s.transmit(now, &request{message: datagrams{h.request}, task: task{kind: taskInit}}, out)
	return nil
}

// initResponse takes the answer to our IKE_SA_INIT.
func (s *SA) initResponse(now time.Time, d exchange.Datagram, m *wire.Message, out *exchange.Output) error {
	if s.state != Connecting {
		return exchange.ErrStale
	}
	if n, ok := m.Payloads.Notify(wire.Cookie); ok && len(n.Data) >= 1 && len(n.Data) <= 64 {
		s.handshake.cookie = bytes.Clone(n.Data)
		return s.restart(now, s.handshake.key.Group(), out)
	}
	if n, ok := m.Payloads.Notify(wire.InvalidKEPayload); ok {
		return s.otherGroup(now, n, out)
	}
	for _, p := range m.Payloads {
		if n, ok := p.(wire.Notify); ok && n.Type.IsError() {
			return s.distrust(n.Type.String(), "peer refuses IKE_SA_INIT: "+n.Type.String())
		}
	}
	p, err := takeInit(m.Payloads)
	if err != nil || m.SPIr == 0 {
		return exchange.ErrMalformed
	}
	choice, err := suite.CheckAnswer(s.handshake.terms.proposals(), wire.ProtocolIKE, 0, p.sa)
	if err != nil {
		return s.distrust("", "peer chose an IKE proposal that was not offered")
	}
	if p.ke.Group != s.handshake.key.Group() || choice.Group() != p.ke.Group {
		return s.distrust("", "peer chose another key exchange than it answered with")
	}
	st, err := suite.New(choice.Proposal)
	if err != nil {
		return err
	}
	h := s.handshake
	shared, err := h.key.Finish(p.ke.Data)
	if err != nil {
		return s.distrust("", "key exchange: "+err.Error())
	}
	s.suite, s.peerSPI = st, m.SPIr
	h.choice, h.nr, h.response = choice, bytes.Clone(p.nonce.Data), bytes.Clone(d.Payload)
	s.lifetime = h.terms[choice.Policy].lifetime
	if err := s.deriveKeys(shared); err != nil {
		s.suite, s.peerSPI = nil, 0
		return s.distrust("", "key exchange: "+err.Error())
	}
	h.key.Clear()
	s.detectNAT(m.Payloads, m.SPIr)
	s.agreed.learn(wire.IKESAInit, false, m.Payloads)
	if s.udp {
		s.local = netip.AddrPortFrom(s.local.Addr(), natPort)
		s.remote = netip.AddrPortFrom(s.remote.Addr(), natPort)
	}
	s.settled()
	s.transition(Authenticating)
	return s.startAuth(now, out)
}

// otherGroup begins again with the key exchange that the peer wants, if we
// offer it (RFC 7296 section 1.2).
func (s *SA) otherGroup(now time.Time, n wire.Notify, out *exchange.Output) error {
	if len(n.Data) != 2 {
		return exchange.ErrMalformed
	}
	group := uint16(n.Data[0])<<8 | uint16(n.Data[1])
	if group != s.handshake.key.Group() && s.handshake.terms.hasGroup(group) {
		return s.restart(now, group, out)
	}
	return s.distrust(wire.InvalidKEPayload.String(), fmt.Sprintf(
		"peer wants key exchange %v, which is not offered", sa.Transform{Type: sa.KeyExchange, ID: group}))
}

// restart repeats IKE_SA_INIT, changed; a bounded number of times, because
// nobody has authenticated the reason.
func (s *SA) restart(now time.Time, group uint16, out *exchange.Output) error {
	s.handshake.restarts++
	if s.handshake.restarts > maxRestarts {
		return s.distrust("", "peer keeps asking for another IKE_SA_INIT")
	}
	s.window.next = 0
	return s.sendInit(now, group, out)
}

// describe returns policies for the operator.
func describe(policies []sa.Proposal) string {
	var b bytes.Buffer
	for i, p := range policies {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(p.String())
	}
	return b.String()
}

// clip shortens text that a peer may have made long.
func clip(text string) string {
	if len(text) > maxReason {
		return text[:maxReason] + "..."
	}
	return text
}
