package ikev2

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/secret"
)

// childRequest is what a peer asks for with SA, TSi and TSr.
type childRequest struct {
	sa       wire.SA
	tsi, tsr []sa.Selector
}

// takeChild finds the payloads; that they are there has been checked.
func takeChild(ps wire.Payloads) childRequest {
	var r childRequest
	r.sa, _ = wire.Find[wire.SA](ps)
	tsi, _ := wire.Find[wire.TSi](ps)
	tsr, _ := wire.Find[wire.TSr](ps)
	r.tsi, r.tsr = tsi.Selectors, tsr.Selectors
	return r
}

// childKeying is what the keys of a child SA are made of.
type childKeying struct {
	ni, nr []byte
	shared secret.Value // empty: no key exchange of its own
}

// negotiated is the outcome for a child SA that a peer asked for.
type negotiated struct {
	choice        suite.Choice
	term          term
	out           sa.SPI
	local, remote []sa.Selector
	lost          []sa.Selector // what there is no room for
}

// selectors returns what an initiator asks for.
func (e *entry) selectors() (local, remote []sa.Selector) {
	local, remote = e.LocalTS, e.RemoteTS
	if len(remote) == 0 {
		remote = anywhere[:1]
	}
	if e.RequestAddress {
		local = nil
		for _, any := range anywhere {
			for _, r := range remote {
				if r.Start.BitLen() == any.Start.BitLen() {
					local = append(local, any)
					break
				}
			}
		}
	}
	if len(local) == 0 {
		local = anywhere[:1]
	}
	return local, remote
}

// own returns what our side of a child SA of e is at most, where a gateway gives
// us addresses; nil: it gives none.
func (s *SA) own(e *entry) []sa.Selector {
	if !e.RequestAddress {
		return nil
	}
	return append([]sa.Selector{}, hosts(s.session.Addresses)...)
}

// allowed returns the selectors that this SA may get at most. A remote-access
// client is its leased addresses, and without one nothing, and sees the split
// networks; we, as a client, are what we were given; a site on a dynamic
// entry is what its profile lets it bring.
func (s *SA) allowed(e *entry) (local, remote []sa.Selector) { return s.allowedBy(s.host.Rules(), e) }

// allowedBy is allowed by the Rules that e belongs to.
func (s *SA) allowedBy(r *Rules, e *entry) (local, remote []sa.Selector) {
	switch {
	case e.RequestAddress:
		_, remote = e.selectors()
		return hosts(s.session.Addresses), remote
	case s.remoteAccess:
		if local = networks(s.session.Split); len(local) == 0 {
			local = anywhere
		}
		return local, hosts(s.session.Addresses)
	case e.Dynamic:
		if p := r.profileByName(s.profile); p != nil {
			remote = p.RemoteNetworks
		}
		return anywhere, remote
	}
	return e.LocalTS, e.RemoteTS
}

// negotiate decides about a child SA that the peer asked for. A refusal is the
// notification and the reason for the operator.
func (s *SA) negotiate(r *childRequest, first bool) (n negotiated, refusal wire.Notify, reason string) {
	e := s.host.Rules().entry(s.entry, s.local.Addr())
	if e == nil {
		return n, wire.Notify{Type: wire.TSUnacceptable}, fmt.Sprintf("no crypto map entry serves the peer on %v", s.local.Addr())
	}
	if many := len(s.children); many >= s.childLimit() {
		return n, wire.Notify{Type: wire.NoAdditionalSAs}, fmt.Sprintf("peer has %d child SAs already", many)
	}
	if many := s.host.PeerChildren(s); many >= maxPeerChildren {
		return n, wire.Notify{Type: wire.NoAdditionalSAs}, fmt.Sprintf("peer has %d child SAs in all already", many)
	}
	var ok bool
	if n.choice, ok = s.chooseChild(e, r.sa.Proposals, first); ok {
		n.term = e.on(e.later)[n.choice.Policy]
		n.out = sa.SPI(binary.BigEndian.Uint32(n.choice.SPI))
	}
	if !ok || n.out <= 255 {
		return n, wire.Notify{Type: wire.NoProposalChosen}, fmt.Sprintf("no common IPsec proposal: peer offers %s, we accept %s",
			clip(suite.Describe(r.sa.Proposals)), clip(describe(e.later)))
	}
	local, remote := s.allowed(e)
	n.local, n.remote = narrow(r.tsr, local), narrow(r.tsi, remote)
	n.lost = append(cutOff(r.tsr, local, n.local), cutOff(r.tsi, remote, n.remote)...)
	if s.remoteAccess && len(remote) == 0 {
		return n, wire.Notify{Type: wire.FailedCPRequired}, "peer has no address of the tunnel group"
	}
	if e.Dynamic && !s.remoteAccess && len(remote) == 0 {
		return n, wire.Notify{Type: wire.TSUnacceptable}, fmt.Sprintf("tunnel group %s has no remote_networks: "+
			"a site at an address that is not known beforehand may bring nothing; it offers %v", s.profile, brief(r.tsi))
	}
	if len(n.local) == 0 || len(n.remote) == 0 {
		return n, wire.Notify{Type: wire.TSUnacceptable}, fmt.Sprintf("no common traffic selectors: peer offers %v === %v, we accept %v === %v",
			brief(r.tsi), brief(r.tsr), brief(remote), brief(local))
	}
	if reason := s.contested(e, n.local, n.remote); reason != "" {
		return n, wire.Notify{Type: wire.TSUnacceptable}, reason
	}
	if reason := s.unroutable(n.remote); reason != "" {
		return n, wire.Notify{Type: wire.TSUnacceptable}, reason
	}
	return n, wire.Notify{}, ""
}

// unroutable returns why the data plane would have no room for these remote
// selectors of one more child SA, for the operator; "": it has.
func (s *SA) unroutable(remote []sa.Selector) string {
	n := sa.CountPrefixes(remote)
	switch {
	case n > sa.MaxPrefixes:
		return fmt.Sprintf("networks of the peer consist of more than %d prefixes: %v", sa.MaxPrefixes, brief(remote))
	case s.host.Prefixes()+n > sa.MaxTenantPrefixes:
		return fmt.Sprintf("networks of all peers consist of %d prefixes already", s.host.Prefixes())
	}
	return ""
}

// childLimit is how many child SAs the SA may have.
func (s *SA) childLimit() int {
	if s.remoteAccess {
		return maxClientChildren
	}
	return maxChildren
}

// brief keeps the first few selectors for a log line.
func brief(list []sa.Selector) []sa.Selector { return list[:min(len(list), 4)] }

// chooseChild selects the proposal. Where an entry has no key exchange, one
// that the peer insists on is accepted if an IKE policy has it: perfect forward
// secrecy costs us nothing but the arithmetic.
func (s *SA) chooseChild(e *entry, offered []wire.Proposal, first bool) (suite.Choice, bool) {
	if first {
		return suite.Choose(e.first, wire.ProtocolESP, 4, suite.WithoutExchange(offered))
	}
	if c, ok := suite.Choose(e.later, wire.ProtocolESP, 4, offered); ok {
		return c, true
	}
	return suite.Choose(s.extended(e), wire.ProtocolESP, 4, offered)
}

// extended returns the proposals of e, each with the key exchanges of the IKE
// policies where it has none of its own.
func (s *SA) extended(e *entry) []sa.Proposal {
	var out []sa.Proposal
	for _, p := range e.later {
		if len(p.OfType(sa.KeyExchange)) == 0 {
			p = append(p[:len(p):len(p)], s.host.Rules().groups...)
		}
		out = append(out, p)
	}
	return out
}

// successors returns what is offered for the successor of a pair with a key
// exchange of group.
func (s *SA) successors(e *entry, group uint16) terms {
	if group == sa.KENone {
		return e.on(e.later)
	}
	return e.on(s.extended(e))
}

// acceptChild does all for a child SA that the peer asked for, but install it.
// The payloads are the answer: with a refusal one notification, and why.
func (s *SA) acceptChild(now time.Time, r *childRequest, k childKeying, first bool) (*child, []wire.Payload, string) {
	n, refusal, reason := s.negotiate(r, first)
	if reason != "" {
		return nil, []wire.Payload{refusal}, reason
	}
	c, ps, err := s.buildChild(now, n, k)
	if err != nil {
		return nil, []wire.Payload{wire.Notify{Type: wire.NoProposalChosen}}, err.Error()
	}
	return c, ps, ""
}

// buildChild makes the pair that was negotiated, and the answer.
func (s *SA) buildChild(now time.Time, n negotiated, k childKeying) (*child, []wire.Payload, error) {
	spi := s.host.NewESPSPI()
	toUs, toPeer, err := s.suite.DeriveChild(s.keys.D, &suite.Exchange{Shared: k.shared, Ni: k.ni, Nr: k.nr}, n.choice.Proposal)
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

// direction makes one SA of a pair.
func direction(c suite.Choice, spi sa.SPI, keys suite.ChildKeys) sa.SA {
	return sa.SA{
		SPI: spi, Encryption: c.Proposal.One(sa.Encryption), Integrity: c.Proposal.One(sa.Integrity),
		ESN:           c.Proposal.One(sa.Sequence).ID == sa.SeqExtended,
		EncryptionKey: keys.Encryption, IntegrityKey: keys.Integrity,
	}
}

func spiBytes(spi sa.SPI) []byte { return binary.BigEndian.AppendUint32(nil, uint32(spi)) }

// newChild makes what both roles share of a new pair.
func (s *SA) newChild(now time.Time, t term, choice suite.Choice) *child {
	life := t.lifetime
	if life <= 0 {
		life = DefaultChildLifetime
	}
	return &child{
		Child: sa.Child{
			ID: s.host.NewChildID(now), Owner: s.spi,
			LocalAddr: s.local, RemoteAddr: s.remote, Encap: s.encap(),
			ReplayWindow: s.host.Rules().ReplayWindow,
			Expires:      now.Add(life), BytesLimit: t.bytes,
		},
		soft:  now.Add(s.softAfter(life)),
		group: choice.Group(),
	}
}

// offerChild returns the SA payload for a child SA that we ask for.
func offerChild(t terms, spi sa.SPI) wire.Payload {
	return suite.Offer(t.proposals(), wire.ProtocolESP, spiBytes(spi))
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

// takeAnswer makes the pair that the peer answered with; the reason says what
// is wrong with the answer.
func (s *SA) takeAnswer(now time.Time, a childAnswer) (*child, string) {
	for _, p := range a.ps {
		if n, ok := p.(wire.Notify); ok && n.Type.IsError() {
			return nil, "peer makes no child SA: " + n.Type.String()
		}
	}
	if err := formChildAnswer.check(a.ps); err != nil {
		return nil, err.Error()
	}
	r := takeChild(a.ps)
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
		return nil, fmt.Sprintf("peer answered with traffic selectors that were not offered: %v === %v", brief(r.tsi), brief(r.tsr))
	}
	if reason := s.contested(s.host.Rules().entry(s.entry, s.local.Addr()), local, r.tsr); reason != "" {
		return nil, reason
	}
	if reason := s.unroutable(r.tsr); reason != "" {
		return nil, reason
	}
	toPeer, toUs, err := s.suite.DeriveChild(s.keys.D, &suite.Exchange{Shared: a.keying.shared, Ni: a.keying.ni, Nr: a.keying.nr}, choice.Proposal)
	if err != nil {
		return nil, err.Error()
	}
	c := s.newChild(now, a.terms[choice.Policy], choice)
	c.In, c.Out = direction(choice, a.spi, toUs), direction(choice, out, toPeer)
	c.Local, c.Remote = local, r.tsr
	return c, ""
}

// addChild installs a new pair, in the place of old where that is not nil.
func (s *SA) addChild(now time.Time, c, old *child, out *exchange.Output) {
	s.served = true
	s.children = append(s.children, c)
	s.host.BindChild(&c.Child, s)
	change := sa.Change{Op: sa.OpAdd, Child: c.Child}
	if old != nil {
		change.Op, change.Replaces = c.succession(), old.ID
		c.replaces = old.ID
		old.replaced, old.soft = now, time.Time{}
	}
	s.changes = append(s.changes, c.record(s.spi, change))
	s.checkChildless(now)
	out.Events = append(out.Events, exchange.ChildUp{Peer: s.Peer(), Child: c.Child})
	if len(c.lost) > 0 {
		out.Events = append(out.Events, exchange.Cut{Peer: s.Peer(), ID: c.ID, Lost: c.lost})
		c.lost = nil
	}
}

// succession is how the pair follows the one that it replaces. Where the peer
// asked for it, it can receive with the new pair only when it has our answer,
// which may be lost, and which waits for the standby: until we hear it there we
// go on with the old one (RFC 7296 section 2.8).
func (c *child) succession() sa.Op {
	if c.follows {
		return sa.OpFollow
	}
	return sa.OpRekey
}

// record is the record of a change that installs or moves c.
func (c *child) record(spi uint64, change sa.Change) exchange.Record {
	return exchange.Record{
		Kind: exchange.RecordChild, SPI: spi, Child: &change, Soft: c.soft, Group: c.group, Anew: c.anew, Unknown: c.unknown,
	}
}

// childRecord wraps a change.
func (s *SA) childRecord(c sa.Change) exchange.Record {
	return exchange.Record{Kind: exchange.RecordChild, SPI: s.spi, Child: &c}
}

// removeChild takes a pair out of service.
func (s *SA) removeChild(now time.Time, c *child, reason string, out *exchange.Output) {
	for i := range s.children {
		if s.children[i] == c {
			s.children = append(s.children[:i:i], s.children[i+1:]...)
			break
		}
	}
	s.host.UnbindChild(&c.Child)
	s.host.Bury(c.In.EncryptionKey, c.In.IntegrityKey, c.Out.EncryptionKey, c.Out.IntegrityKey, c.unknown.Secret())
	s.changes = append(s.changes, s.childRecord(sa.Change{Op: sa.OpDelete, Child: sa.Child{
		ID: c.ID, Owner: c.Owner, In: sa.SA{SPI: c.In.SPI}, Out: sa.SA{SPI: c.Out.SPI},
	}}))
	s.checkChildless(now)
	out.Events = append(out.Events, exchange.ChildDown{Peer: s.Peer(), ID: c.ID, Reason: reason})
}

// checkChildless arms or disarms the end of an SA that serves nobody: a
// remote-access session, or our own entry, without a child.
func (s *SA) checkChildless(now time.Time) {
	switch {
	case s.state != Established:
	case len(s.children) > 0:
		s.endAt, s.endReason = time.Time{}, ""
	case s.remoteAccess || s.dialled:
		s.endAt, s.endReason = now.Add(childlessTimeout), "no child SA"
	}
}
