package ikev2

import (
	"encoding/binary"
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

// findChild finds the payloads; that they are there has been checked.
func findChild(ps wire.Payloads) childRequest {
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

// brief keeps the first few selectors for a log line.
func brief(list []sa.Selector) []sa.Selector { return list[:min(len(list), 4)] }

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
// go on with the old one (RFC 7296 section 2.8). One that is surplus is never used,
// unless the peer does.
func (c *child) succession() sa.Op {
	if c.follows || c.surplus {
		return sa.OpFollow
	}
	return sa.OpRekey
}

// dismiss notes that c is surplus: whoever began the exchange that it came of
// closes it.
func (c *child) dismiss(now time.Time) {
	c.surplus, c.soft = true, time.Time{}
	if c.replaced.IsZero() {
		c.replaced = now
	}
}

// record is the record of a change that installs or moves c.
func (c *child) record(spi uint64, change sa.Change) exchange.Record {
	r := exchange.Record{
		Kind: exchange.RecordChild, SPI: spi, Child: &change, Soft: c.soft, Group: c.group, Anew: c.anew,
		Surplus: c.surplus,
	}
	if c.unknown != nil {
		r.Unknown = *c.unknown
	}
	return r
}

// bury forgets the keys of the pair, and what else may be one.
func (c *child) bury(h exchange.Host) {
	h.Bury(c.In.EncryptionKey, c.In.IntegrityKey, c.Out.EncryptionKey, c.Out.IntegrityKey)
	if c.unknown != nil {
		h.Bury(c.unknown.Secrets()...)
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
	c.bury(s.host)
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
