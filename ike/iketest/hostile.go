package iketest

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/ike/wire"
)

// Hostile is a client that has credentials and means harm: it floods with
// rekeyings, asks for odd selectors, deletes what it has and what it has not,
// refuses or garbles what the node asks for, and repeats itself. All of it comes
// from one source of randomness.
type Hostile struct {
	node *Node
	addr netip.AddrPort
	rng  *rand.Rand
	peer *Foreign // nil: not connected
	spi  sa.SPI   // the last one that it made up
	last []byte   // the last request
}

// NewHostile returns a hostile client of n.
func NewHostile(n *Node, addr netip.AddrPort, seed uint64) *Hostile {
	return &Hostile{node: n, addr: addr, rng: rand.New(rand.NewPCG(seed, 77)), spi: 0x1000}
}

// Act does one thing, without letting time pass.
func (h *Hostile) Act() {
	if h.peer == nil {
		h.connect()
		return
	}
	acts := []func(){
		h.rekeyIKE, h.rekeyIKE, h.newChild, h.newChild, h.rekeyChild, h.delete, h.answer, h.answer,
		h.repeat, h.garbage, h.outOfOrder, h.leave, h.flood, h.fragments, h.move,
	}
	acts[h.rng.IntN(len(acts))]()
}

// connect does IKE_SA_INIT and IKE_AUTH under a name of its own.
func (h *Hostile) connect() {
	s := NewStranger(h.node, h.addr)
	s.iv, s.Fragments = h.rng.Uint64()>>8, true
	id, _ := identity.Parse("mallory@example")
	if s.Init() && s.Request(wire.IKEAuth, append(s.AuthPayloads(id, "key of the client"),
		wire.Notify{Type: wire.MOBIKESupported})...) != nil {
		h.peer = newForeign(s)
	}
}

// some returns one of list.
func some[T any](h *Hostile, list ...T) T { return list[h.rng.IntN(len(list))] }

// ask sends a request, good or not, and remembers it.
func (h *Hostile) ask(x wire.ExchangeType, ps ...wire.Payload) {
	h.last = h.peer.Seal(x, h.peer.next, ps...)
	h.peer.next++
	h.peer.Send(h.last)
}

func (h *Hostile) rekeyIKE() {
	encryption := sa.Transform{Type: sa.Encryption, ID: sa.EncrAESGCM16, KeyBits: some[uint16](h, 128, 256)}
	prf := sa.Transform{Type: sa.PRF, ID: some(h, sa.PRFHMACSHA256, sa.PRFHMACSHA384, sa.PRFHMACSHA512)}
	group := sa.Transform{Type: sa.KeyExchange, ID: some(h, sa.KEX25519, sa.KEECP256)}
	next, err := h.peer.RekeyIKE(sa.Proposal{encryption, prf, group})
	if err != nil {
		return
	}
	if h.rng.IntN(3) == 0 { // the other two thirds leave it to the node
		h.ask(wire.Informational, wire.Delete{Protocol: wire.ProtocolIKE})
	}
	h.peer = next
}

// selectors are some that nobody would ask for.
func (h *Hostile) selectors() wire.TS {
	var ts wire.TS
	for range some(h, 1, 1, 2, 17, 255) {
		from := netip.AddrFrom4([4]byte{10, byte(h.rng.IntN(256)), byte(h.rng.IntN(256)), byte(h.rng.IntN(256))})
		to := netip.AddrFrom4([4]byte{some[byte](h, 10, 11, 255), 255, byte(h.rng.IntN(256)), 255})
		s := sa.Selector{Start: from, End: to, EndPort: 0xffff}
		if h.rng.IntN(3) == 0 {
			s.Protocol, s.StartPort, s.EndPort = some[uint8](h, 1, 6, 17), some[uint16](h, 0, 80, 0xffff),
				some[uint16](h, 0, 443, 0xffff)
		}
		if s.IsValid() {
			ts.Selectors = append(ts.Selectors, s)
		}
	}
	if len(ts.Selectors) == 0 || h.rng.IntN(2) == 0 {
		ts.Selectors = append(ts.Selectors, sa.SelectorOf(netip.MustParsePrefix("0.0.0.0/0")))
	}
	return ts
}

// child are the payloads that ask for a child SA.
func (h *Hostile) child() []wire.Payload {
	h.spi += sa.SPI(h.rng.IntN(2)) // sometimes one that it has already
	return []wire.Payload{
		suite.Offer([]sa.Proposal{ESPProposal}, wire.ProtocolESP, binary.BigEndian.AppendUint32(nil, uint32(h.spi))),
		wire.Nonce{Data: make([]byte, 32)}, wire.TSi{TS: h.selectors()}, wire.TSr{TS: h.selectors()},
	}
}

// flood does the same many times in a row.
func (h *Hostile) flood() {
	act := some(h, h.rekeyIKE, h.newChild, h.delete, h.repeat)
	for range 30 {
		act()
	}
}

func (h *Hostile) newChild() { h.ask(wire.CreateChildSA, h.child()...) }

func (h *Hostile) rekeyChild() {
	old := h.spi - sa.SPI(h.rng.IntN(4))
	n := wire.Notify{Type: wire.RekeySA, Protocol: wire.ProtocolESP,
		SPI: binary.BigEndian.AppendUint32(nil, uint32(old))}
	h.ask(wire.CreateChildSA, append([]wire.Payload{n}, h.child()...)...)
}

func (h *Hostile) delete() {
	d := wire.Delete{Protocol: wire.ProtocolESP}
	for range some(h, 1, 1, 3, 40) {
		d.SPIs = append(d.SPIs, h.spi-sa.SPI(h.rng.IntN(8)))
	}
	h.ask(wire.Informational, d)
}

// answer says something to what the node asks.
func (h *Hostile) answer() {
	m, ps := h.peer.Last()
	if ps == nil {
		return
	}
	switch h.rng.IntN(6) {
	case 0:
		h.peer.Answer()
	case 1:
		h.peer.Refuse(some(h, wire.TemporaryFailure, wire.NoAdditionalSAs, wire.ChildSANotFound, wire.NoProposalChosen,
			12345))
	case 2:
		h.peer.Refuse(wire.InvalidKEPayload, 0, some(h, byte(sa.KEX25519), byte(sa.KEECP256), 99))
	case 3:
		h.peer.Answer(wire.Nonce{Data: make([]byte, 32)}, wire.TSi{TS: h.selectors()}, wire.TSr{TS: h.selectors()})
	case 4:
		if next, err := h.peer.AcceptIKE(IKEProposal); err == nil && m.Exchange == wire.CreateChildSA {
			h.peer = next
		}
	case 5:
		offer, ok := wire.Find[wire.SA](ps)
		if ok && m.Exchange == wire.CreateChildSA && len(offer.Proposals) > 0 &&
			offer.Proposals[0].Protocol == wire.ProtocolESP {
			h.spi++
			h.peer.AcceptChild(h.spi)
		}
	}
}

func (h *Hostile) repeat() {
	if h.last != nil {
		h.peer.Send(h.last)
	}
}

func (h *Hostile) garbage() {
	body := make([]byte, h.rng.IntN(64))
	for i := range body {
		body[i] = byte(h.rng.Uint32())
	}
	kind := wire.PayloadType(some[uint8](h, 33, 34, 40, 41, 42, 44, 45, 46, 47, 49, 200))
	h.ask(some(h, wire.CreateChildSA, wire.Informational, wire.IKEAuth, 99), wire.Unknown{Number: kind, Body: body})
}

// move says that it is elsewhere, or where nobody can be.
func (h *Hostile) move() {
	for range some(h, 1, 1, 30) {
		at := netip.AddrFrom4([4]byte{some[byte](h, 192, 224), 0, 2, byte(h.rng.IntN(256))})
		h.peer.Addr = netip.AddrPortFrom(at, 4500)
		h.ask(wire.Informational, wire.Notify{Type: wire.UpdateSAAddresses},
			wire.Notify{Data: make([]byte, some(h, 0, 4, 12, 20)), Type: some(h, wire.Cookie2,
				wire.NATDetectionSourceIP, wire.NoNATsAllowed, wire.AdditionalIP4Address)})
	}
}

// fragments leaves a request half-sent, or sends it in an order of its own, in some of
// several totals.
func (h *Hostile) fragments() {
	text := wire.AppendPayloads(nil, h.child()...)
	for range some(h, 1, 2, 40) {
		total := some(h, 1, 2, 3, 200)
		n := h.rng.IntN(total)
		from, to := n*len(text)/total, (n+1)*len(text)/total
		h.peer.Send(h.peer.Fragment(wire.CreateChildSA, h.peer.next, wire.TypeSA, n+1, total, text[from:to]))
	}
	if h.rng.IntN(2) == 0 {
		h.peer.next++
	}
}

func (h *Hostile) outOfOrder() {
	h.peer.Send(h.peer.Seal(wire.Informational, h.peer.next+uint32(1+h.rng.IntN(5))))
}

// leave ends the SA, or forgets it without a word.
func (h *Hostile) leave() {
	if h.rng.IntN(4) == 0 {
		h.ask(wire.Informational, wire.Delete{Protocol: wire.ProtocolIKE})
		h.peer = nil
	} else if h.rng.IntN(8) == 0 {
		h.peer = nil
	}
}
