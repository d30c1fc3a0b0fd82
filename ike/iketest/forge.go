package iketest

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

// forgeries are the messages that no engine sends: "forge NAME to NODE" has one
// arrive from the address of the peer of n.
var forgeries = map[string]func(s *Scenario, n *Node) ([]byte, error){
	// The first message of a version of IKE that is yet to come.
	"version-3": func(s *Scenario, n *Node) ([]byte, error) {
		return first(0x30, wire.Nonce{Data: make([]byte, 32)}), nil
	},
	// IKE_SA_INIT with a payload that nobody knows, and that must be understood.
	"critical-payload": func(s *Scenario, n *Node) ([]byte, error) {
		return first(wire.Version2, wire.Unknown{Number: 200, Critical: true}), nil
	},
	// IKE_SA_INIT whose SA payload ends too early.
	"short-payload": func(s *Scenario, n *Node) ([]byte, error) {
		return first(wire.Version2, wire.Unknown{Number: wire.TypeSA, Body: []byte{0}}), nil
	},
	// A request for an IKE SA that never was.
	"unknown-spi": func(s *Scenario, n *Node) ([]byte, error) {
		h := wire.Header{SPIi: 7, SPIr: 8, Version: wire.Version2, Exchange: wire.Informational,
			Flags: wire.FlagInitiator}
		return wire.AppendMessage(nil, h, wire.SK{Body: make([]byte, 32)}), nil
	},
	// The newest message of the peer, with one bit that has changed on the way.
	"damaged": func(s *Scenario, n *Node) ([]byte, error) {
		b := slices.Clone(s.last[s.transcript.other(n).Name].Payload)
		if len(b) == 0 {
			return nil, errors.New("the peer has sent nothing")
		}
		b[len(b)-1] ^= 1
		return b, nil
	},
	// The next request of the peer, as it should be, but for what it says.
	"critical-payload-inside": func(s *Scenario, n *Node) ([]byte, error) {
		return s.seal(n, wire.Informational, wire.Unknown{Number: 200, Critical: true})
	},
	"unknown-payload-inside": func(s *Scenario, n *Node) ([]byte, error) {
		return s.seal(n, wire.Informational, wire.Unknown{Number: 200})
	},
	"short-payload-inside": func(s *Scenario, n *Node) ([]byte, error) {
		return s.seal(n, wire.CreateChildSA, wire.Unknown{Number: wire.TypeSA, Body: []byte{0}})
	},
	"unknown-exchange": func(s *Scenario, n *Node) ([]byte, error) { return s.seal(n, 240) },
}

// first is the first message of an IKE SA. What is answered unprotected is never
// larger than what was asked, so it has some length.
func first(v wire.Version, p wire.Payload) []byte {
	h := wire.Header{SPIi: 7, Version: v, Exchange: wire.IKESAInit, Flags: wire.FlagInitiator}
	return wire.AppendMessage(nil, h, p, wire.Vendor{Data: make([]byte, 32)})
}

// forgedIV is far from what engines count in a scenario.
const forgedIV = 1 << 40

// seal protects the next request to n with the keys of its peer.
func (s *Scenario) seal(n *Node, x wire.ExchangeType, ps ...wire.Payload) ([]byte, error) {
	up := n.Established()
	if len(up) == 0 {
		return nil, errors.New("it has no established IKE SA")
	}
	p := pairOf(&up[len(up)-1])
	h := wire.Header{SPIi: p.i, SPIr: p.r, Version: wire.Version2, Exchange: x}
	sealer := s.transcript.keys.ciphers[p].responder
	if !up[len(up)-1].Initiator {
		h.Flags, sealer = wire.FlagInitiator, s.transcript.keys.ciphers[p].initiator
	}
	h.MessageID = s.next[s.transcript.other(n).Name]
	s.next[s.transcript.other(n).Name]++
	return sealer.Seal(nil, h, forgedIV+uint64(h.MessageID), n.Config.Rand, ps...)
}

func (s *Scenario) forge(args []string) error {
	n, err := s.node(args[1])
	if err != nil {
		return err
	}
	message, ok := forgeries[args[0]]
	if !ok {
		return fmt.Errorf("messages are %v", slices.Sorted(maps.Keys(forgeries)))
	}
	b, err := message(s, n)
	if err != nil {
		return err
	}
	s.inject(exchange.Datagram{
		Local:  netip.AddrPortFrom(s.transcript.other(n).Addr, 500),
		Remote: netip.AddrPortFrom(n.Addr, 500), Payload: b,
	})
	return nil
}
