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
)

// initiating is what an SA that we have begun needs until it is established.
type initiating struct {
	sa *SA
	transcript
	key      *suite.Initiation
	entry    *entry
	terms    terms // of the IKE SA
	cookie   []byte
	restarts int
	refusal  initRefusal

	auth  *authInitiator // from the IKE_SA_INIT response on
	await await
}

// initRefusal is what an initiator was told instead of a good answer, and the
// reason for the operator. Nobody has authenticated it: the attempt ends for it
// only if no good answer follows (RFC 7296 section 2.21.1).
type initRefusal struct{ notify, reason string }

// distrust keeps the first refusal of an attempt that goes on.
func (i *initiating) distrust(notify, reason string) error {
	if i.refusal.reason == "" {
		i.refusal = initRefusal{notify, reason}
	}
	return nil
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
		host: h, state: Connecting, agreed: newAgreements(),
		names: names{initiator: true, dialled: true, spi: h.NewIKESPI()},
		path:  path{local: netip.AddrPortFrom(e.Local, 500), remote: netip.AddrPortFrom(e.Peer, 500)},
		member: member{profile: p.Name, entry: name, remoteAccess: p.RemoteAccess, dpd: p.DPD,
			localID: p.identityOf(e.Local)},
	}
	s.initiating = &initiating{sa: s, entry: e, terms: h.Rules().ikeTerms(),
		transcript: transcript{ni: bytesFrom(h.Rand(), nonceSize)}}
	if err := s.initiating.send(now, h.Rules().groups[0].ID, out); err != nil {
		return nil, err
	}
	return s, nil
}

// send sends IKE_SA_INIT with a key of group. Each attempt is a request of
// its own, with the nonce and the SPI of the first (RFC 7296 section 2.6).
func (i *initiating) send(now time.Time, group uint16, out *exchange.Output) error {
	s := i.sa
	if i.key == nil || i.key.Group() != group {
		key, err := suite.Begin(group, s.host.Rand())
		if err != nil {
			return err
		}
		i.key = key
	}
	var ps []wire.Payload
	if i.cookie != nil {
		ps = append(ps, wire.Notify{Type: wire.Cookie, Data: i.cookie})
	}
	ps = append(ps, suite.Offer(i.terms.proposals(), wire.ProtocolIKE, nil),
		wire.KE{Group: group, Data: i.key.Public()}, wire.Nonce{Data: i.ni})
	ps = append(ps, s.natPayloads(s.spi, 0, s.host.Rules().ForceUDP)...)
	ps = append(ps, s.agreed.offer(s.host.Rules(), wire.IKESAInit)...)
	if p := s.host.Rules().profileByName(s.profile); p != nil && p.signs() {
		ps = append(ps, signatureHashes())
	}
	hdr := wire.Header{SPIi: s.spi, Version: wire.Version2, Exchange: wire.IKESAInit, Flags: wire.FlagInitiator}
	i.request = wire.AppendMessage(nil, hdr, ps...)
	s.transmit(now, &request{message: datagrams{i.request}, task: task{kind: taskInit}}, out)
	return nil
}

// receive takes the answer to our IKE_SA_INIT.
func (i *initiating) receive(now time.Time, d exchange.Datagram, m *wire.Message, out *exchange.Output) error {
	s := i.sa
	if n, ok := m.Payloads.Notify(wire.Cookie); ok && len(n.Data) >= 1 && len(n.Data) <= 64 {
		i.cookie = bytes.Clone(n.Data)
		return i.restart(now, i.key.Group(), out)
	}
	if n, ok := m.Payloads.Notify(wire.InvalidKEPayload); ok {
		return i.otherGroup(now, n, out)
	}
	for _, p := range m.Payloads {
		if n, ok := p.(wire.Notify); ok && n.Type.IsError() {
			return i.distrust(n.Type.String(), "peer refuses IKE_SA_INIT: "+n.Type.String())
		}
	}
	p, err := findInit(&formInitResponse, m.Payloads)
	if err != nil || m.SPIr == 0 {
		return exchange.ErrMalformed
	}
	choice, err := suite.CheckAnswer(i.terms.proposals(), wire.ProtocolIKE, 0, p.sa)
	if err != nil {
		return i.distrust("", "peer chose an IKE proposal that was not offered")
	}
	if p.ke.Group != i.key.Group() || choice.Group() != p.ke.Group {
		return i.distrust("", "peer chose another key exchange than it answered with")
	}
	st, err := s.host.suiteOf(choice.Proposal)
	if err != nil {
		return err
	}
	shared, err := i.key.Finish(p.ke.Data)
	if err != nil {
		return i.distrust("", "key exchange: "+err.Error())
	}
	s.suite, s.peerSPI = st, m.SPIr
	i.nr, i.response = bytes.Clone(p.nonce.Data), bytes.Clone(d.Payload)
	s.lifetime = i.terms[choice.Policy].lifetime
	if err := s.deriveKeys(shared, &i.transcript); err != nil {
		s.suite, s.peerSPI = nil, 0
		return i.distrust("", "key exchange: "+err.Error())
	}
	i.key.Clear()
	s.detectNAT(m.Payloads, s.spi, m.SPIr, s.host.Rules().ForceUDP)
	s.agreed.learn(s.host.Rules(), wire.IKESAInit, false, m.Payloads)
	_, natt := m.Payloads.Notify(wire.NATDetectionDestinationIP)
	if s.udp || natt && !s.host.Rules().NoMOBIKE { // RFC 4555 section 3.3: whatever comes between later
		s.local = netip.AddrPortFrom(s.local.Addr(), natPort)
		s.remote = netip.AddrPortFrom(s.remote.Addr(), natPort)
	}
	s.answered()
	s.transition(Authenticating)
	i.auth = &authInitiator{initiating: i}
	return i.auth.start(now, out)
}

// otherGroup begins again with the key exchange that the peer wants, if we
// offer it (RFC 7296 section 1.2).
func (i *initiating) otherGroup(now time.Time, n wire.Notify, out *exchange.Output) error {
	if len(n.Data) != 2 {
		return exchange.ErrMalformed
	}
	group := uint16(n.Data[0])<<8 | uint16(n.Data[1])
	if group != i.key.Group() && i.terms.hasGroup(group) {
		return i.restart(now, group, out)
	}
	return i.distrust(wire.InvalidKEPayload.String(), fmt.Sprintf(
		"peer wants key exchange %v, which is not offered", sa.Transform{Type: sa.KeyExchange, ID: group}))
}

// restart repeats IKE_SA_INIT, changed; a bounded number of times, because
// nobody has authenticated the reason.
func (i *initiating) restart(now time.Time, group uint16, out *exchange.Output) error {
	i.restarts++
	if i.restarts > maxRestarts {
		return i.distrust("", "peer keeps asking for another IKE_SA_INIT")
	}
	i.sa.window.next = 0
	return i.send(now, group, out)
}

// clear forgets what is secret.
func (i *initiating) clear() {
	i.await.withdraw(i.sa.host)
	if i.key != nil {
		i.key.Clear()
	}
}

// fail ends an attempt that did not get as far as Established.
func (i *initiating) fail(out *exchange.Output, notify, reason string) error {
	i.sa.failure = reason
	i.sa.refuse(notify, reason, out)
	i.sa.die()
	return nil
}
