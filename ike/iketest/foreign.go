package iketest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/ike/wire"
)

// Foreign is a Stranger that was let in, and that answers the node's requests,
// too: with whatever the test says, and only when it says so.
type Foreign struct {
	*Stranger
	Requests []exchange.Datagram // of the node inside this IKE SA, repeats as well

	// OldPRF makes it derive the keys of a rekeyed IKE SA as some peers do:
	// all of them with the PRF of the SA that is replaced.
	OldPRF bool

	// Octet is what its nonces consist of: 0 makes them the lowest.
	Octet byte
}

// nonce returns one.
func (f *Foreign) nonce() []byte { return bytes.Repeat([]byte{f.Octet}, 32) }

// Establish connects a stranger to n.
func Establish(n *Node, s *Stranger) (*Foreign, error) {
	if !s.Connect() {
		return nil, fmt.Errorf("iketest: stranger was not let in: %v", n.Errors)
	}
	return newForeign(s), nil
}

func newForeign(s *Stranger) *Foreign {
	f := &Foreign{Stranger: s}
	l := s.to.lab
	old := l.Spy
	l.Spy = func(from *Node, d exchange.Datagram) {
		if h, err := wire.ParseHeader(d.Payload); err == nil && !h.Response() &&
			(h.SPIi == f.Peer || h.SPIr == f.Peer) {
			f.Requests = append(f.Requests, d)
		}
		if old != nil {
			old(from, d)
		}
	}
	return f
}

// Ask does one exchange with the node and returns its answer; nil: there is none. What
// the node had no time for is to be asked again, under the same message ID.
func (f *Foreign) Ask(x wire.ExchangeType, ps ...wire.Payload) wire.Payloads {
	id := f.next
	f.next++
	for _, b := range f.Send(f.Seal(x, id, ps...)) {
		if h, err := wire.ParseHeader(b); err == nil && h.Response() && h.MessageID == id {
			return f.Open(b)
		}
	}
	if e := f.to.Errors; len(e) > 0 && errors.Is(e[len(e)-1], exchange.ErrExcess) {
		f.next = id
	}
	return nil
}

// Last returns the newest request of the node.
func (f *Foreign) Last() (wire.Message, wire.Payloads) {
	if len(f.Requests) == 0 {
		return wire.Message{}, nil
	}
	d := f.Requests[len(f.Requests)-1]
	m, _ := wire.ParseMessage(d.Payload)
	return m, f.Open(d.Payload)
}

// Answer gives the node a response to its newest request.
func (f *Foreign) Answer(ps ...wire.Payload) {
	m, _ := f.Last()
	h := f.Header(m.Exchange, m.MessageID)
	h.Flags |= wire.FlagResponse
	f.iv++
	b, err := f.sealer.Seal(nil, h, f.iv, f.to.Config.Rand, ps...)
	if err != nil {
		panic("iketest: " + err.Error())
	}
	f.Send(b)
}

// Refuse answers the node's newest request with an error.
func (f *Foreign) Refuse(t wire.NotifyType, data ...byte) { f.Answer(wire.Notify{Type: t, Data: data}) }

// AcceptChild answers the node's CREATE_CHILD_SA for a child SA as usual, with
// the SPI spi.
func (f *Foreign) AcceptChild(spi sa.SPI) {
	_, ps := f.Last()
	offer, _ := wire.Find[wire.SA](ps)
	ke, have := wire.Find[wire.KE](ps)
	policy := suite.Without(ESPProposal, sa.KeyExchange)
	if have {
		policy = append(policy, sa.Transform{Type: sa.KeyExchange, ID: ke.Group})
	}
	c, ok := suite.Choose([]sa.Proposal{policy}, wire.ProtocolESP, 4, offer.Proposals)
	if !ok {
		panic(fmt.Sprintf("iketest: the node offers %v", offer))
	}
	tsi, _ := wire.Find[wire.TSi](ps)
	tsr, _ := wire.Find[wire.TSr](ps)
	answer := []wire.Payload{c.Answer(binary.BigEndian.AppendUint32(nil, uint32(spi))),
		wire.Nonce{Data: f.nonce()}, tsi, tsr}
	if have {
		key, err := suite.Respond(ke.Group, f.to.Config.Rand, ke.Data)
		if err != nil {
			panic("iketest: " + err.Error())
		}
		answer = append(answer, wire.KE{Group: ke.Group, Data: key.Public()})
	}
	f.Answer(answer...)
}

// RekeyIKE rekeys the IKE SA with what proposal offers, and returns the new one;
// the error names what the node refused with.
func (f *Foreign) RekeyIKE(proposal sa.Proposal) (*Foreign, error) {
	group := proposal.One(sa.KeyExchange).ID
	key, err := suite.Begin(group, f.to.Config.Rand)
	if err != nil {
		return nil, err
	}
	n := &Stranger{Addr: f.Addr, SPI: f.to.lab.rng.Uint64() | 1, to: f.to}
	x := suite.Exchange{Ni: f.nonce()}
	ps := f.Ask(wire.CreateChildSA,
		suite.Offer([]sa.Proposal{proposal}, wire.ProtocolIKE, binary.BigEndian.AppendUint64(nil, n.SPI)),
		wire.Nonce{Data: x.Ni}, wire.KE{Group: group, Data: key.Public()})
	answer, ok := wire.Find[wire.SA](ps)
	if !ok {
		for _, p := range ps {
			if e, is := p.(wire.Notify); is {
				return nil, fmt.Errorf("iketest: refused with %v", e.Type)
			}
		}
		return nil, fmt.Errorf("iketest: no answer")
	}
	choice, err := suite.CheckAnswer([]sa.Proposal{proposal}, wire.ProtocolIKE, 8, answer)
	if err != nil {
		return nil, err
	}
	ke, _ := wire.Find[wire.KE](ps)
	nr, _ := wire.Find[wire.Nonce](ps)
	x.Nr, n.Peer = nr.Data, binary.BigEndian.Uint64(choice.SPI)
	if x.Shared, err = key.Finish(ke.Data); err != nil {
		return nil, err
	}
	return f.succeed(n, choice, &x)
}

// AcceptIKE answers the node's rekeying of the IKE SA with what policy chooses
// from its offer, and returns the new one.
func (f *Foreign) AcceptIKE(policy sa.Proposal) (*Foreign, error) {
	_, ps := f.Last()
	offer, _ := wire.Find[wire.SA](ps)
	ke, _ := wire.Find[wire.KE](ps)
	ni, _ := wire.Find[wire.Nonce](ps)
	choice, ok := suite.Choose([]sa.Proposal{policy}, wire.ProtocolIKE, 8, offer.Proposals)
	if !ok || choice.Group() != ke.Group {
		return nil, fmt.Errorf("iketest: the node offers %s with key exchange %d", suite.Describe(offer.Proposals),
			ke.Group)
	}
	key, err := suite.Respond(ke.Group, f.to.Config.Rand, ke.Data)
	if err != nil {
		return nil, err
	}
	x := suite.Exchange{Ni: ni.Data, Nr: f.nonce()}
	if x.Shared, err = key.Secret(); err != nil {
		return nil, err
	}
	n := &Stranger{Addr: f.Addr, SPI: f.to.lab.rng.Uint64() | 1, Peer: binary.BigEndian.Uint64(choice.SPI), to: f.to,
		responder: true}
	next, err := f.succeed(n, choice, &x)
	if err != nil {
		return nil, err
	}
	f.Answer(choice.Answer(binary.BigEndian.AppendUint64(nil, n.SPI)), wire.Nonce{Data: x.Nr},
		wire.KE{Group: ke.Group, Data: key.Public()})
	return next, nil
}

// succeed gives n the keys that follow those of f (RFC 7296 section 2.18).
func (f *Foreign) succeed(n *Stranger, choice suite.Choice, x *suite.Exchange) (*Foreign, error) {
	var err error
	if n.suite, err = suite.New(choice.Proposal); err != nil {
		return nil, err
	}
	x.SPIi, x.SPIr = n.SPI, n.Peer
	if n.responder {
		x.SPIi, x.SPIr = n.Peer, n.SPI
	}
	with := n.suite
	if f.OldPRF {
		mixed := append(suite.Without(choice.Proposal, sa.PRF), f.suite.Proposal().One(sa.PRF))
		if with, err = suite.New(mixed); err != nil {
			return nil, err
		}
	}
	n.keys = with.RekeyKeys(f.suite.PRF(), f.keys.D, x)
	ours, theirs := n.keys.Ei, n.keys.Er
	if n.responder {
		ours, theirs = theirs, ours
	}
	if n.sealer, err = n.suite.NewCipher(ours, n.keys.Ai); err != nil {
		return nil, err
	}
	if n.opener, err = n.suite.NewCipher(theirs, n.keys.Ar); err != nil {
		return nil, err
	}
	next := newForeign(n)
	next.OldPRF = f.OldPRF
	return next, nil
}
