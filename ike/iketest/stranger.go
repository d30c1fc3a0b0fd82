package iketest

import (
	"cmp"
	"net/netip"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/auth"
	"github.com/warrenvpn/warren/ike/eap/eaptest"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/secret"
)

// Stranger is an initiator whose messages a test makes by hand, to say what no
// engine would. It speaks to one node, without the wire.
type Stranger struct {
	Addr netip.AddrPort
	SPI  uint64
	Peer uint64 // the node's SPI

	to       *Node
	key      *suite.Initiation
	ni, nr   []byte
	request  []byte
	response []byte
	suite    *suite.Suite
	keys     suite.Keys
	sealer   *suite.Cipher
	opener   *suite.Cipher
	iv       uint64
	next     uint32

	// To is the address of the node that it sends to; zero: its first one, port 500.
	To netip.AddrPort

	// Fragments has it say that it takes fragments.
	Fragments bool

	// IKE and ESP are what it offers, and Group is that of its first KE payload; nil
	// and 0: IKEProposal, ESPProposal and x25519.
	IKE, ESP []sa.Proposal
	Group    uint16

	responder bool // of this IKE SA: the node has rekeyed it
}

// NewStranger returns a stranger to n.
func NewStranger(n *Node, addr netip.AddrPort) *Stranger {
	return &Stranger{Addr: addr, SPI: n.lab.rng.Uint64() | 1, to: n, ni: make([]byte, 32)}
}

// Send gives the node a datagram and returns what it sends in answer.
func (s *Stranger) Send(b []byte) [][]byte {
	var sent [][]byte
	l := s.to.lab
	old := l.Spy
	l.Spy = func(n *Node, d exchange.Datagram) {
		sent = append(sent, d.Payload)
		if old != nil {
			old(n, d)
		}
	}
	defer func() { l.Spy = old }()
	d := exchange.Datagram{Local: netip.AddrPortFrom(s.to.Addr, 500), Remote: s.Addr, Payload: b}
	if s.To.IsValid() {
		d.Local = s.To
	}
	s.to.Do(func(out *exchange.Output) error { return s.to.Engine.Receive(l.Now, d, out) })
	return sent
}

// InitPayloads are those of a good IKE_SA_INIT request.
func (s *Stranger) InitPayloads() wire.Payloads {
	group := cmp.Or(s.Group, sa.KEX25519)
	if s.key == nil || s.key.Group() != group {
		s.key, _ = suite.Begin(group, s.to.Config.Rand)
	}
	ps := wire.Payloads{
		suite.Offer(s.ike(), wire.ProtocolIKE, nil),
		wire.KE{Group: group, Data: s.key.Public()}, wire.Nonce{Data: s.ni},
	}
	if s.Fragments {
		ps = append(ps, wire.Notify{Type: wire.FragmentationSupported})
	}
	return ps
}

func (s *Stranger) ike() []sa.Proposal {
	if s.IKE == nil {
		return []sa.Proposal{IKEProposal}
	}
	return s.IKE
}

func (s *Stranger) esp() []sa.Proposal {
	if s.ESP == nil {
		return []sa.Proposal{ESPProposal}
	}
	return s.ESP
}

// Header returns the header of a request.
func (s *Stranger) Header(x wire.ExchangeType, id uint32) wire.Header {
	if s.responder {
		return wire.Header{SPIi: s.Peer, SPIr: s.SPI, Version: wire.Version2, Exchange: x, MessageID: id}
	}
	return wire.Header{SPIi: s.SPI, SPIr: s.Peer, Version: wire.Version2, Exchange: x, Flags: wire.FlagInitiator,
		MessageID: id}
}

// Init does IKE_SA_INIT, and reports whether the node took part.
func (s *Stranger) Init() bool {
	s.request = wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0), s.InitPayloads()...)
	sent := s.Send(s.request)
	return len(sent) == 1 && s.ReceiveInit(sent[0])
}

// InitWithCookie does IKE_SA_INIT, with a cookie where one is asked for, and reports
// whether the node took part.
func (s *Stranger) InitWithCookie() bool {
	ps := s.InitPayloads()
	for range 2 {
		s.request = wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0), ps...)
		sent := s.Send(s.request)
		if len(sent) != 1 {
			return false
		}
		if s.ReceiveInit(sent[0]) {
			return true
		}
		m, _ := wire.ParseMessage(sent[0])
		if n, ok := m.Payloads.Notify(wire.Cookie); ok {
			ps = append(wire.Payloads{n}, s.InitPayloads()...)
		}
	}
	return false
}

// ReceiveInit reads the response to IKE_SA_INIT, and reports whether it is a good
// one.
func (s *Stranger) ReceiveInit(response []byte) bool {
	s.response = response
	m, err := wire.ParseMessage(s.response)
	ke, ok := wire.Find[wire.KE](m.Payloads)
	nonce, _ := wire.Find[wire.Nonce](m.Payloads)
	if err != nil || !ok {
		return false
	}
	s.Peer, s.nr = m.SPIr, nonce.Data
	answer, _ := wire.Find[wire.SA](m.Payloads)
	choice, err := suite.CheckAnswer(s.ike(), wire.ProtocolIKE, 0, answer)
	if err != nil {
		return false
	}
	shared, err := s.key.Finish(ke.Data)
	if err != nil {
		return false
	}
	s.suite, _ = suite.New(choice.Proposal)
	s.keys = s.suite.DeriveKeys(&suite.Exchange{Shared: shared, Ni: s.ni, Nr: s.nr, SPIi: s.SPI, SPIr: s.Peer})
	s.sealer, _ = s.suite.NewCipher(s.keys.Ei, s.keys.Ai)
	s.opener, _ = s.suite.NewCipher(s.keys.Er, s.keys.Ar)
	s.next = 1
	return true
}

// Seal protects a request.
func (s *Stranger) Seal(x wire.ExchangeType, id uint32, ps ...wire.Payload) []byte {
	s.iv++
	b, err := s.sealer.Seal(nil, s.Header(x, id), s.iv, s.to.Config.Rand, ps...)
	if err != nil {
		panic("iketest: " + err.Error())
	}
	return b
}

// Fragment protects a part of a request whose payloads begin with one of type first.
func (s *Stranger) Fragment(x wire.ExchangeType, id uint32, first wire.PayloadType, number, total int,
	text []byte) []byte {
	s.iv++
	f := wire.SKF{Number: uint16(number), Total: uint16(total)}
	if number == 1 {
		f.First = first
	}
	b, err := s.sealer.SealFragment(nil, s.Header(x, id), f, s.iv, s.to.Config.Rand, text)
	if err != nil {
		panic("iketest: " + err.Error())
	}
	return b
}

// FragmentAll protects a request in fragments of at most size bytes of text.
func (s *Stranger) FragmentAll(x wire.ExchangeType, id uint32, size int, ps ...wire.Payload) (out [][]byte) {
	text := wire.AppendPayloads(nil, ps...)
	total := (len(text) + size - 1) / size
	for n := range total {
		out = append(out, s.Fragment(x, id, wire.FirstType(ps), n+1, total, text[n*size:min((n+1)*size, len(text))]))
	}
	return out
}

// Request does one exchange, and returns the payloads of the response; nil
// where there is none.
func (s *Stranger) Request(x wire.ExchangeType, ps ...wire.Payload) wire.Payloads {
	sent := s.Send(s.Seal(x, s.next, ps...))
	s.next++
	if len(sent) == 0 {
		return nil
	}
	return s.Open(sent[0])
}

// Open reads a protected message of the node; nil where it is none.
func (s *Stranger) Open(b []byte) wire.Payloads {
	m, err := wire.ParseMessage(b)
	sk, ok := wire.Find[wire.SK](m.Payloads)
	if err != nil || !ok {
		return nil
	}
	plain, err := s.opener.Open(nil, b, sk.Offset)
	if err != nil {
		return nil
	}
	ps, err := wire.ParsePayloads(sk.First, plain)
	if err != nil {
		return nil
	}
	if ps == nil {
		ps = wire.Payloads{}
	}
	return ps
}

// AuthPayloads are those of a good IKE_AUTH request of identity id with key psk.
func (s *Stranger) AuthPayloads(id identity.Identity, psk string) wire.Payloads {
	idi := wire.IDi{ID: id.Wire()}
	any := wire.TS{Selectors: []sa.Selector{sa.SelectorOf(netip.MustParsePrefix("0.0.0.0/0"))}}
	return wire.Payloads{
		idi, s.proof(idi, psk),
		wire.CP{Type: wire.CPRequest, Attributes: []wire.Attribute{{Type: wire.InternalIP4Address}}},
		suite.Offer(s.esp(), wire.ProtocolESP, []byte{0, 1, 2, byte(s.iv)}),
		wire.TSi{TS: any}, wire.TSr{TS: any},
	}
}

// proof is the AUTH payload of identity id with key psk, which is not empty.
func (s *Stranger) proof(id wire.IDi, psk string) wire.Auth {
	octets := auth.InitiatorSignedOctets(s.suite.PRF(), s.request, s.nr, s.keys.Pi, id)
	proof, err := auth.PSK{Key: secret.Copy([]byte(psk))}.Prove(s.suite.PRF(), octets)
	if err != nil {
		panic("iketest: " + err.Error())
	}
	return proof
}

// Connect does IKE_SA_INIT and IKE_AUTH, and reports whether a child is up.
func (s *Stranger) Connect() bool {
	if !s.Init() {
		return false
	}
	id, _ := identity.Parse("client@example")
	return s.Request(wire.IKEAuth, s.AuthPayloads(id, "key of the client")...).Count(wire.TypeSA) == 1
}

// LogIn goes on with EAP after an answer of the node, as p does, and then proves that it has
// the key of that, as id. It returns the last response.
func (s *Stranger) LogIn(answer wire.Payloads, p *eaptest.Peer, id identity.Identity) wire.Payloads {
	for {
		m, ok := wire.Find[wire.EAP](answer)
		if !ok {
			return answer
		}
		response, done, err := p.Next(m.Message)
		switch {
		case err != nil:
			return answer
		case done:
			key := secret.Copy(p.MSK)
			if len(p.MSK) == 0 {
				key = s.keys.Pi
			}
			octets := auth.InitiatorSignedOctets(s.suite.PRF(), s.request, s.nr, s.keys.Pi, wire.IDi{ID: id.Wire()})
			proof, err := auth.PSK{Key: key}.Prove(s.suite.PRF(), octets)
			if err != nil {
				panic("iketest: " + err.Error())
			}
			return s.Request(wire.IKEAuth, proof)
		}
		answer = s.Request(wire.IKEAuth, wire.EAP{Message: response})
	}
}
