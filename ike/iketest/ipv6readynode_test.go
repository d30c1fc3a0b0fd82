package iketest

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/auth"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/secret"
)

// The network of TestIPv6Ready, with the names that the specification has: NUT is the
// gateway that is tested, TN1 its peer; behind each is a network.
var (
	nutAddr = netip.MustParseAddr("2001:db8:1::1")
	tnAddr  = netip.MustParseAddr("2001:db8:2::1")
	nutSide = selectorsOf("2001:db8:a::/64")
	tnSide  = selectorsOf("2001:db8:b::/64")
)

// readyKey is the pre-shared key of NUT and TN1.
const readyKey = "IKETEST12345678!"

// The transforms of TestIPv6Ready beside those of suites_test.go.
var (
	cbc128    = sa.Transform{Type: sa.Encryption, ID: sa.EncrAESCBC, KeyBits: 128}
	cbc256    = sa.Transform{Type: sa.Encryption, ID: sa.EncrAESCBC, KeyBits: 256}
	tripleDES = sa.Transform{Type: sa.Encryption, ID: sa.Encr3DES}
	prf1      = sa.Transform{Type: sa.PRF, ID: sa.PRFHMACSHA1}
	prf512    = sa.Transform{Type: sa.PRF, ID: sa.PRFHMACSHA512}
	hmac1     = sa.Transform{Type: sa.Integrity, ID: sa.IntegSHA1_96}
	hmac256   = sa.Transform{Type: sa.Integrity, ID: sa.IntegSHA256128}
	hmac384   = sa.Transform{Type: sa.Integrity, ID: sa.IntegSHA384192}
	hmac512   = sa.Transform{Type: sa.Integrity, ID: sa.IntegSHA512256}
	modp2048  = sa.Transform{Type: sa.KeyExchange, ID: sa.KEModp2048}
	seq32     = sa.Transform{Type: sa.Sequence, ID: sa.SeqShort}
	seq64     = sa.Transform{Type: sa.Sequence, ID: sa.SeqExtended}
)

// What NUT and TN1 have where a test says nothing else.
var (
	readyIKE = sa.Proposal{cbc128, prf256, hmac256, x25519}
	readyESP = sa.Proposal{cbc128, hmac256, seq32}
)

// readyConfig is that of NUT: a gateway that waits for TN1.
func readyConfig() exchange.Config {
	key := exchange.PSK{Key: secret.Copy([]byte(readyKey))}
	return exchange.Config{
		Policies: []exchange.Policy{{Name: "10", Proposal: readyIKE, Lifetime: 24 * time.Hour}},
		Profiles: []exchange.Profile{{
			Name: "TN1", RemoteIdentities: patterns(tnAddr.String()), Local: key, Remote: key,
		}},
		Entries: []exchange.Entry{{
			Name: "TN1", Local: nutAddr, Peer: tnAddr, Profile: "TN1", LocalTS: nutSide, RemoteTS: tnSide,
			Proposals: []exchange.ChildProposal{{Name: "10", Proposal: readyESP, Lifetime: 8 * time.Hour}},
		}},
	}
}

// readyNode is TN1, whose messages a test makes, and NUT, which it sends them to.
type readyNode struct {
	*Foreign
	t   *testing.T
	lab *Lab
	nut *Node
	id  wire.IDi // of TN1
	spi sa.SPI   // the last one that TN1 has chosen for a child SA
}

// ready returns both before they have said anything. tune, which may be nil, changes the
// configuration of NUT.
func ready(t *testing.T, tune func(*exchange.Config)) *readyNode {
	t.Helper()
	l := New(61, Faults{})
	cfg := readyConfig()
	if tune != nil {
		tune(&cfg)
	}
	nut := l.Add("NUT", nutAddr, cfg)
	nut.Authorise = func(q exchange.AskSession) exchange.AnswerSession {
		return exchange.AnswerSession{Question: q.Question}
	}
	s := NewStranger(nut, netip.AddrPortFrom(tnAddr, 500))
	s.ni = bytes.Repeat([]byte{7}, 32)
	s.IKE = []sa.Proposal{readyIKE}
	t.Cleanup(func() {
		nut.CheckSnapshot()
		noTrouble(t, l)
	})
	return &readyNode{Foreign: newForeign(s), t: t, lab: l, nut: nut,
		id: wire.IDi{ID: identity.FromAddr(tnAddr).Wire()}, spi: 0x1000}
}

// readyUp is ready with an IKE SA, and the child SA that came of it as TN1 sees it.
func readyUp(t *testing.T, tune func(*exchange.Config)) (*readyNode, sa.Child) {
	t.Helper()
	x := ready(t, tune)
	x.init()
	return x, x.auth(x.wish())
}

// reply is an answer of NUT.
type reply struct {
	wire.Message
	raw []byte
}

// one sends NUT a datagram and returns the one answer that there must be, of which it
// checks the header (RFC 7296 section 3.1): a response of version 2.0 under the SPIs,
// the exchange and the message ID of the request, and no flag that the sender of a
// response must not set.
func (x *readyNode) one(request []byte) reply {
	x.t.Helper()
	sent := x.Send(request)
	if len(sent) != 1 {
		x.t.Fatalf("%d answers instead of one; NUT says %v", len(sent), x.nut.Errors)
	}
	m, err := wire.ParseMessage(sent[0])
	if err != nil {
		x.t.Fatalf("answer: %v", err)
	}
	h, err := wire.ParseHeader(request)
	if err != nil {
		x.t.Fatal(err)
	}
	if m.SPIi != h.SPIi || h.SPIr != 0 && m.SPIr != h.SPIr || m.Version != wire.Version2 || m.Exchange != h.Exchange ||
		m.Flags != wire.FlagResponse || m.MessageID != h.MessageID || int(m.Length) != len(sent[0]) {
		x.t.Fatalf("header of the answer: %+v, to %+v", m.Header, h)
	}
	return reply{m, sent[0]}
}

// silent sends NUT a datagram that must get no answer, and change nothing.
func (x *readyNode) silent(what string, request []byte) {
	x.t.Helper()
	before, sas := len(x.nut.Journal), len(x.nut.Engine.Status())
	if sent := x.Send(request); len(sent) != 0 {
		x.t.Errorf("%s: answered with %x", what, sent)
	}
	if len(x.nut.Journal) != before || len(x.nut.Engine.Status()) != sas {
		x.t.Errorf("%s: NUT has changed: %v", what, x.nut.Engine.Status())
	}
}

// initRequest is an IKE_SA_INIT request with these payloads, which TN1 signs in
// IKE_AUTH.
func (x *readyNode) initRequest(ps ...wire.Payload) []byte {
	x.request = wire.AppendMessage(nil, x.Header(wire.IKESAInit, 0), ps...)
	return x.request
}

// init does IKE_SA_INIT.
func (x *readyNode) init() reply {
	x.t.Helper()
	return x.initWith(x.initRequest(x.InitPayloads()...))
}

// initWith does IKE_SA_INIT with this request.
func (x *readyNode) initWith(request []byte) reply {
	x.t.Helper()
	r := x.one(request)
	if x.request = request; !x.ReceiveInit(r.raw) {
		x.t.Fatalf("IKE_SA_INIT is refused: %v", r.Payloads)
	}
	return r
}

// refusedInit does an IKE_SA_INIT that must be refused in clear with one notification
// and nothing else, after which NUT has no SA; it returns the notification.
func (x *readyNode) refusedInit(want wire.NotifyType, ps ...wire.Payload) wire.Notify {
	x.t.Helper()
	m := x.one(x.initRequest(ps...))
	n, ok := m.Payloads.Notify(want)
	if !ok || len(m.Payloads) != 1 || m.SPIr != 0 || len(x.nut.Engine.Status()) != 0 {
		x.t.Fatalf("got %v with SPI %x, want %v alone; NUT has %v", m.Payloads, m.SPIr, want, x.nut.Engine.Status())
	}
	return n
}

// ask does one exchange inside the IKE SA: one answer, protected and with the right
// header. It returns what is in it.
func (x *readyNode) ask(kind wire.ExchangeType, ps ...wire.Payload) wire.Payloads {
	x.t.Helper()
	out := x.open(x.one(x.Seal(kind, x.next, ps...)))
	x.next++
	return out
}

// open returns the payloads of a protected message.
func (x *readyNode) open(r reply) wire.Payloads {
	x.t.Helper()
	ps := x.Open(r.raw)
	if ps == nil {
		x.t.Fatalf("%v is not protected with the keys of the IKE SA: %v", r.Exchange, r.Payloads)
	}
	return ps
}

// alive checks that the IKE SA serves, with an empty INFORMATIONAL.
func (x *readyNode) alive() {
	x.t.Helper()
	if ps := x.ask(wire.Informational); len(ps) != 0 {
		x.t.Errorf("liveness is answered with %v", ps)
	}
}

// gone checks that NUT knows nothing of the IKE SA any more: a request under its keys
// gets no protected answer.
func (x *readyNode) gone() {
	x.t.Helper()
	for _, b := range x.Send(x.Seal(wire.Informational, x.next)) {
		if x.Open(b) != nil {
			x.t.Error("the IKE SA still serves")
		}
	}
	if slices.ContainsFunc(x.nut.Engine.Status(), func(s exchange.Status) bool { return s.Peer.SPI == x.Peer }) {
		x.t.Errorf("NUT still has the IKE SA: %v", x.nut.Engine.Status())
	}
}

// wish is a child SA that TN1 asks for.
type wish struct {
	old      sa.SPI // is rekeyed: the one that TN1 receives with; 0: none
	offer    []sa.Proposal
	tsi, tsr []sa.Selector

	spi sa.SPI
	ni  []byte
	key *suite.Initiation // of a key exchange; nil: none
}

// wish returns that of a child SA between both networks, with an SPI and a nonce of its
// own.
func (x *readyNode) wish() *wish {
	x.spi++
	return &wish{offer: []sa.Proposal{readyESP}, tsi: tnSide, tsr: nutSide, spi: x.spi,
		ni: bytes.Repeat([]byte{byte(x.spi)}, 32)}
}

// rekeying returns that of a successor of a child SA.
func (x *readyNode) rekeying(old sa.Child) *wish {
	w := x.wish()
	w.old = old.In.SPI
	return w
}

// secure gives the wish a key exchange, and returns it.
func (w *wish) secure(x *readyNode, group uint16) *wish {
	x.t.Helper()
	var err error
	if w.key, err = suite.Begin(group, x.nut.Config.Rand); err != nil {
		x.t.Fatal(err)
	}
	return w
}

// sa returns the SA payload.
func (w *wish) sa() wire.SA {
	return suite.Offer(w.offer, wire.ProtocolESP, binary.BigEndian.AppendUint32(nil, uint32(w.spi)))
}

// payloads are those of CREATE_CHILD_SA (RFC 7296 sections 1.3.1 and 1.3.3).
func (w *wish) payloads() []wire.Payload {
	var ps []wire.Payload
	if w.old != 0 {
		ps = append(ps, wire.Notify{Type: wire.RekeySA, Protocol: wire.ProtocolESP,
			SPI: binary.BigEndian.AppendUint32(nil, uint32(w.old))})
	}
	ps = append(ps, w.sa(), wire.Nonce{Data: w.ni})
	if w.key != nil {
		ps = append(ps, wire.KE{Group: w.key.Group(), Data: w.key.Public()})
	}
	return append(ps, wire.TSi{TS: wire.TS{Selectors: w.tsi}}, wire.TSr{TS: wire.TS{Selectors: w.tsr}})
}

// authPayloads are those of a good IKE_AUTH request that asks for w.
func (x *readyNode) authPayloads(w *wish) wire.Payloads {
	return wire.Payloads{x.id, x.proof(x.id, readyKey), w.sa(),
		wire.TSi{TS: wire.TS{Selectors: w.tsi}}, wire.TSr{TS: wire.TS{Selectors: w.tsr}}}
}

// auth does IKE_AUTH with w, and returns the child SA.
func (x *readyNode) auth(w *wish) sa.Child {
	x.t.Helper()
	ps := x.ask(wire.IKEAuth, x.authPayloads(w)...)
	x.authentic(ps)
	return x.child(w, ps)
}

// authentic checks who the response to IKE_AUTH says that NUT is, and the proof of it
// (RFC 7296 section 2.15).
func (x *readyNode) authentic(ps wire.Payloads) {
	x.t.Helper()
	idr, ok := wire.Find[wire.IDr](ps)
	proof, _ := wire.Find[wire.Auth](ps)
	octets := auth.ResponderSignedOctets(x.suite.PRF(), x.response, x.ni, x.keys.Pr, idr)
	err := auth.PSK{Key: secret.Copy([]byte(readyKey))}.Verify(x.suite.PRF(), octets, proof)
	if !ok || identity.FromWire(idr.ID) != identity.FromAddr(nutAddr) || err != nil {
		x.t.Fatalf("NUT is not authentic: %v, %v; %s", idr, err, errorOf(ps))
	}
}

// create does CREATE_CHILD_SA with w, and returns the child SA.
func (x *readyNode) create(w *wish) sa.Child {
	x.t.Helper()
	return x.child(w, x.ask(wire.CreateChildSA, w.payloads()...))
}

// child makes the child SA of an answer to w, and checks that NUT has the other end of
// it: with the SPIs of both, the same keys (RFC 7296 section 2.17) and the selectors
// that were agreed on.
func (x *readyNode) child(w *wish, answer wire.Payloads) sa.Child {
	x.t.Helper()
	p, _ := wire.Find[wire.SA](answer)
	choice, err := suite.CheckAnswer(w.offer, wire.ProtocolESP, 4, p)
	if err != nil {
		x.t.Fatalf("child SA: %v; %s", err, errorOf(answer))
	}
	for _, kind := range []wire.PayloadType{wire.TypeSA, wire.TypeTSi, wire.TypeTSr} {
		if n := answer.Count(kind); n != 1 {
			x.t.Fatalf("answer has %d %v payloads", n, kind)
		}
	}
	tsi, _ := wire.Find[wire.TSi](answer)
	tsr, _ := wire.Find[wire.TSr](answer)
	toR, toI, err := x.suite.DeriveChild(x.keys.D, x.keying(w, answer), choice.Proposal)
	if err != nil {
		x.t.Fatal(err)
	}
	half := func(spi sa.SPI, k suite.ChildKeys) sa.SA {
		return sa.SA{
			SPI: spi, EncryptionKey: k.Encryption, IntegrityKey: k.Integrity,
			Encryption: choice.Proposal.One(sa.Encryption), Integrity: choice.Proposal.One(sa.Integrity),
			ESN: choice.Proposal.One(sa.Sequence) == seq64,
		}
	}
	c := sa.Child{
		ID: uint64(w.spi), In: half(w.spi, toI), Out: half(sa.SPI(binary.BigEndian.Uint32(choice.SPI)), toR),
		Local: tsi.Selectors, Remote: tsr.Selectors, ReplayWindow: 64,
		LocalAddr: netip.AddrPortFrom(tnAddr, 0), RemoteAddr: netip.AddrPortFrom(nutAddr, 0),
	}
	other, ok := x.at(c)
	if !ok || other.Out.SPI != c.In.SPI || !sameKeys(other.In, c.Out) || !sameKeys(other.Out, c.In) ||
		!slices.Equal(other.Local, c.Remote) || !slices.Equal(other.Remote, c.Local) || c.Out.SPI <= 255 {
		x.t.Fatalf("NUT has %+v, TN1 %+v", x.nut.Plane, c)
	}
	return c
}

// keying is what the keys of the child SA of an answer to w are made of.
func (x *readyNode) keying(w *wish, answer wire.Payloads) *suite.Exchange {
	x.t.Helper()
	nonce, ok := wire.Find[wire.Nonce](answer)
	if !ok { // IKE_AUTH
		return &suite.Exchange{Ni: x.ni, Nr: x.nr}
	}
	if len(nonce.Data) < 16 || len(nonce.Data) > 256 || bytes.Equal(nonce.Data, w.ni) {
		x.t.Fatalf("nonce of NUT: %x", nonce.Data)
	}
	k := &suite.Exchange{Ni: w.ni, Nr: nonce.Data}
	ke, ok := wire.Find[wire.KE](answer)
	if ok != (w.key != nil) {
		x.t.Fatalf("KE payload in the answer: %v", ok)
	}
	if ok {
		var err error
		if k.Shared, err = w.key.Finish(ke.Data); err != nil || ke.Group != w.key.Group() {
			x.t.Fatalf("key exchange %d of NUT: %v", ke.Group, err)
		}
	}
	return k
}

// at returns the other end of a child SA of TN1.
func (x *readyNode) at(c sa.Child) (sa.Child, bool) {
	for _, o := range x.nut.Plane {
		if o.In.SPI == c.Out.SPI {
			return o, true
		}
	}
	return sa.Child{}, false
}

// has checks that NUT has the other ends of these child SAs, and no others.
func (x *readyNode) has(children ...sa.Child) {
	x.t.Helper()
	n := 0
	for _, c := range children {
		if _, ok := x.at(c); ok {
			n++
		}
	}
	if n != len(children) || len(x.nut.Plane) != n {
		x.t.Errorf("NUT has %d child SAs, %d of those %d that it must have", len(x.nut.Plane), n, len(children))
	}
}

// sameKeys reports whether two halves of a child SA have the same algorithms and keys.
func sameKeys(a, b sa.SA) bool {
	return a.Encryption == b.Encryption && a.Integrity == b.Integrity && a.ESN == b.ESN &&
		a.EncryptionKey.Equal(b.EncryptionKey) && a.IntegrityKey.Equal(b.IntegrityKey)
}

// refused does an exchange inside the IKE SA that must be answered with one error
// notification and nothing else, and returns that.
func (x *readyNode) refused(kind wire.ExchangeType, want wire.NotifyType, ps ...wire.Payload) wire.Notify {
	x.t.Helper()
	answer := x.ask(kind, ps...)
	n, ok := answer.Notify(want)
	if !ok || len(answer) != 1 {
		x.t.Fatalf("answered with %v, want %v alone", answer, want)
	}
	return n
}
