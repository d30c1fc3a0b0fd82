package iketest

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/ike/wire"
)

// successor is an IKE SA in the place of one that TN1 has.
type successor struct {
	offer []sa.Proposal
	spi   uint64
	ni    []byte
	key   *suite.Initiation
}

// successor returns that of an IKE SA to be, with one key exchange.
func (x *readyNode) successor(group uint16, offer ...sa.Proposal) *successor {
	x.t.Helper()
	key, err := suite.Begin(group, x.nut.Config.Rand)
	if err != nil {
		x.t.Fatal(err)
	}
	return &successor{offer: offer, spi: x.SPI + 1, ni: bytes.Repeat([]byte{3}, 32), key: key}
}

// payloads are those of its CREATE_CHILD_SA (RFC 7296 section 1.3.2).
func (s *successor) payloads() wire.Payloads {
	return wire.Payloads{
		suite.Offer(s.offer, wire.ProtocolIKE, binary.BigEndian.AppendUint64(nil, s.spi)),
		wire.Nonce{Data: s.ni}, wire.KE{Group: s.key.Group(), Data: s.key.Public()},
	}
}

// rekey does CREATE_CHILD_SA with s, and returns TN1 with the new IKE SA. The answer is
// SK {SA, Nr, KEr}, with the number of the proposal that was accepted, want, and an SPI of
// eight octets (RFC 7296 sections 1.3.2, 2.18 and 3.3.1).
func (x *readyNode) rekey(s *successor, number int) *readyNode {
	x.t.Helper()
	ps := x.ask(wire.CreateChildSA, s.payloads()...)
	answer, _ := wire.Find[wire.SA](ps)
	nonce, _ := wire.Find[wire.Nonce](ps)
	ke, _ := wire.Find[wire.KE](ps)
	choice, err := suite.CheckAnswer(s.offer, wire.ProtocolIKE, 8, answer)
	if err != nil || len(ps) != 3 || int(choice.Number) != number || ke.Group != choice.Group() ||
		len(nonce.Data) < 16 || len(nonce.Data) > 256 {
		x.t.Fatalf("answered with %v: %v", ps, err)
	}
	n := &Stranger{Addr: x.Addr, to: x.nut, SPI: s.spi, Peer: binary.BigEndian.Uint64(choice.SPI), IKE: x.IKE}
	if n.Peer == 0 || n.Peer == x.Peer {
		x.t.Fatalf("SPI of the new IKE SA is %x", n.Peer)
	}
	keys := suite.Exchange{Ni: s.ni, Nr: nonce.Data}
	if keys.Shared, err = s.key.Finish(ke.Data); err != nil {
		x.t.Fatal(err)
	}
	y := *x
	if y.Foreign, err = x.Foreign.succeed(n, choice, &keys); err != nil {
		x.t.Fatal(err)
	}
	return &y
}

// inherits checks that an IKE SA has the child SA, and the name of its predecessor
// (RFC 7296 section 2.18).
func (x *readyNode) inherits(c sa.Child) {
	x.t.Helper()
	x.has(c)
	for _, s := range x.nut.Established() {
		if s.Peer.SPI == x.Peer && s.PeerSPI == x.SPI && len(s.Children) == 1 {
			return
		}
	}
	x.t.Errorf("NUT has %v", x.nut.Engine.Status())
}

// rekeyIKE: CREATE_CHILD_SA for the IKE SA itself is answered by SK {SA, Nr, KEr}, and
// the new one, with the keys of section 2.18, has the child SAs of the old one (RFC 7296
// sections 1.3.2 and 2.18).
func rekeyIKE(t *testing.T) {
	x, c := readyUp(t, nil)
	y := x.rekey(x.successor(sa.KEX25519, readyIKE), 1)
	y.alive()
	y.inherits(c)
	if n := tally[exchange.IKERekeyed](x.nut.Events); n != 1 {
		t.Errorf("told %d times", n)
	}
}

// validOnOld: until it is deleted the old IKE SA serves: its messages are answered under
// its keys and message IDs (RFC 7296 sections 2.2, 2.8 and 2.25).
func validOnOld(t *testing.T) {
	x, c := readyUp(t, nil)
	y := x.rekey(x.successor(sa.KEX25519, readyIKE), 1)
	x.alive()
	y.alive()
	x.alive()
	y.inherits(c)
}

// validOnNew: on the new IKE SA message IDs begin with 0 (RFC 7296 section 2.18), and
// all of its exchanges work.
func validOnNew(t *testing.T) {
	x, c := readyUp(t, nil)
	y := x.rekey(x.successor(sa.KEX25519, readyIKE), 1)
	if y.next != 0 {
		t.Fatalf("first message ID of TN1 is %d", y.next)
	}
	y.alive()
	second := y.create(y.rekeying(c))
	y.deleted(c)
	y.inherits(second)
	z := y.rekey(y.successor(sa.KEX25519, readyIKE), 1)
	z.inherits(second)
	z.alive()
}

// closeReplacedIKE: the DELETE of the old IKE SA, which NUT leaves to TN1, is answered
// without payloads and ends that one alone (RFC 7296 sections 1.4.1 and 2.8).
func closeReplacedIKE(t *testing.T) {
	x, c := readyUp(t, nil)
	y := x.rekey(x.successor(sa.KEX25519, readyIKE), 1)
	if len(x.Requests)+len(y.Requests) != 0 {
		t.Errorf("NUT begins something: %v %v", x.Requests, y.Requests)
	}
	if ps := x.ask(wire.Informational, wire.Delete{Protocol: wire.ProtocolIKE}); len(ps) != 0 {
		t.Errorf("answered with %v", ps)
	}
	x.gone()
	y.inherits(c)
	y.alive()
	y.carry(c).both(c)
}

// severalTransformsForIKE: of several transforms of a type for the new IKE SA one is
// accepted, and what follows is protected by it (RFC 7296 sections 2.7 and 3.3).
func severalTransformsForIKE(t *testing.T) {
	x, c := readyUp(t, manySuites)
	offer := sa.Proposal{aesCTR, cbc256, prfXCBC, prf384, xcbc, hmac384, group24, ecp256}
	y := x.rekey(x.successor(sa.KEECP256, offer), 1)
	if got, want := y.suite.Proposal(), (sa.Proposal{cbc256, prf384, hmac384, ecp256}); !slices.Equal(got, want) {
		t.Errorf("the suite is %v, want %v", got, want)
	}
	y.inherits(c)
	y.alive()
}

// severalProposalsForIKE: of several proposals one is accepted, and the answer has its
// number (RFC 7296 sections 2.7 and 3.3).
func severalProposalsForIKE(t *testing.T) {
	x, c := readyUp(t, nil)
	y := x.rekey(x.successor(sa.KEX25519, sa.Proposal{tripleDES, prf256, hmac256, x25519},
		sa.Proposal{cbc128, prf1, hmac1, x25519}, readyIKE), 3)
	y.inherits(c)
	y.alive()
}

// otherPRF: SKEYSEED of an IKE SA with another PRF comes of that of the old one, all that
// is expanded from it of the new one (RFC 7296 section 2.18).
func otherPRF(t *testing.T) {
	x, c := readyUp(t, manySuites)
	for _, prf := range []sa.Transform{prf512, prf1} {
		y := x.rekey(x.successor(sa.KEX25519, sa.Proposal{cbc128, prf, hmac256, x25519}), 1)
		if y.suite.Proposal().One(sa.PRF) != prf {
			t.Errorf("PRF is %v", y.suite.Proposal())
		}
		y.alive()
		second := y.create(y.rekeying(c)) // its keys come of SK_d
		y.deleted(c)
		y.inherits(second)
		x.ask(wire.Informational, wire.Delete{Protocol: wire.ProtocolIKE})
		x, c = y, second
	}
}

// noGroup: the IKE SA is rekeyed with a key exchange. A proposal whose key exchange is
// NONE is passed over, a request without KEi is malformed; what stands goes on (RFC 7296
// sections 1.3.2, 2.18 and 3.3.3).
func noGroup(t *testing.T) {
	x, c := readyUp(t, nil)
	none := sa.Transform{Type: sa.KeyExchange, ID: sa.KENone}
	s := x.successor(sa.KEX25519, sa.Proposal{cbc128, prf256, hmac256, none})
	x.refused(wire.CreateChildSA, wire.NoProposalChosen, s.payloads()...)
	x.refused(wire.CreateChildSA, wire.InvalidSyntax, without(s.payloads(), wire.TypeKE)...)
	x.inherits(c)
	x.alive()
	y := x.rekey(x.successor(sa.KEX25519, s.offer[0], sa.Proposal{cbc128, prf256, hmac256, none, x25519}), 2)
	y.inherits(c)
	y.alive()
}

// rekeyIKEFails: a rekeying that NUT cannot agree to is refused with NO_PROPOSAL_CHOSEN,
// and the IKE SA goes on with its child SAs (RFC 7296 sections 1.3.2 and 2.7).
func rekeyIKEFails(t *testing.T) {
	x, c := readyUp(t, nil)
	x.refused(wire.CreateChildSA, wire.NoProposalChosen,
		x.successor(sa.KEX25519, sa.Proposal{tripleDES, prf1, hmac1, x25519}).payloads()...)
	x.inherits(c)
	x.alive()
	y := x.rekey(x.successor(sa.KEX25519, readyIKE), 1)
	y.inherits(c)
}

// informationalResponse: the response to an INFORMATIONAL request, with payloads or
// without, is one message under the SPIs and the message ID of the request, with an SK
// payload and nothing beside it (RFC 7296 sections 1.4, 2.2, 3.1 and 3.14).
func informationalResponse(t *testing.T) {
	x, c := readyUp(t, nil)
	for id, ps := range [][]wire.Payload{{}, {wire.Notify{Type: wire.SetWindowSize, Data: []byte{0, 0, 0, 1}}},
		{deleteESP(c.In.SPI)}} {
		r := x.one(x.Seal(wire.Informational, x.next, ps...))
		x.next++
		if len(r.Payloads) != 1 || r.Payloads[0].PayloadType() != wire.TypeSK || r.SPIr != x.Peer ||
			int(r.MessageID) != 2+id {
			t.Errorf("answered with %+v", r.Message)
		}
		if got := x.open(r); len(got) != id/2 {
			t.Errorf("SK holds %v", got)
		}
	}
}

// informationalAgain: a repeated INFORMATIONAL request gets the same response once more,
// bit for bit, and is not done a second time (RFC 7296 section 2.1).
func informationalAgain(t *testing.T) {
	x, c := readyUp(t, nil)
	second := x.create(x.wish())
	request := x.Seal(wire.Informational, x.next, deleteESP(c.In.SPI))
	x.next++
	first := x.one(request)
	again := x.one(request)
	if !bytes.Equal(first.raw, again.raw) {
		t.Error("the repeat is answered otherwise")
	}
	if d, _ := wire.Find[wire.Delete](x.open(again)); len(d.SPIs) != 1 || d.SPIs[0] != c.Out.SPI {
		t.Errorf("DELETE is answered with %v", d)
	}
	x.has(second)
	x.alive()
}
