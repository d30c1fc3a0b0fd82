package iketest

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/secret"
)

// pair names an IKE SA by both SPIs, those of its initiator and its responder.
type pair struct{ i, r uint64 }

// pairOf returns the pair of an SA.
func pairOf(s *exchange.Status) pair {
	if s.Initiator {
		return pair{s.Peer.SPI, s.PeerSPI}
	}
	return pair{s.PeerSPI, s.Peer.SPI}
}

// ciphers open what the initiator and the responder of an IKE SA have sent.
type ciphers struct{ initiator, responder *suite.Cipher }

// keyring opens the messages of a Lab, as Wireshark does: with the lines that
// engines export.
type keyring struct {
	ciphers map[pair]ciphers
	parts   map[wire.Header][][]byte // the plaintexts of the fragments of a message, by that without its length
}

func newKeyring() keyring {
	return keyring{map[pair]ciphers{}, map[wire.Header][][]byte{}}
}

// learn notes the keys of the SAs that n has.
func (k keyring) learn(n *Node) {
	lines, _ := n.Engine.ExportKeys()
	for _, s := range n.Engine.Status() {
		p := pairOf(&s)
		if _, known := k.ciphers[p]; known || len(s.Suite) == 0 {
			continue
		}
		prefix := fmt.Sprintf("%016x,%016x,", p.i, p.r)
		for _, line := range lines {
			if rest, ok := strings.CutPrefix(line, prefix); ok {
				k.ciphers[p] = open(s.Suite, strings.Split(rest, ","))
			}
		}
	}
}

// open makes the ciphers of an SA whose keys are the first two columns. All suites
// of the lab are AEADs, which have no others.
func open(p sa.Proposal, columns []string) ciphers {
	x, err := suite.New(p)
	if err != nil {
		panic("iketest: " + err.Error())
	}
	var out [2]*suite.Cipher
	for i := range out {
		key, err := hex.DecodeString(columns[i])
		if err == nil {
			out[i], err = x.NewCipher(secret.Copy(key), secret.Value{})
		}
		if err != nil {
			panic("iketest: " + err.Error())
		}
	}
	return ciphers{out[0], out[1]}
}

// payloads returns those of a message; with inside they were protected. Those of a
// message in fragments come with the last one.
func (k keyring) payloads(b []byte) (ps wire.Payloads, inside bool, err error) {
	m, err := wire.ParseMessage(b)
	if err != nil {
		return nil, false, err
	}
	sk, whole := wire.Find[wire.SK](m.Payloads)
	f, part := wire.Find[wire.SKF](m.Payloads)
	if !whole && !part {
		return m.Payloads, false, nil
	}
	c := k.ciphers[pair{m.SPIi, m.SPIr}]
	opener := c.responder
	if m.Initiator() {
		opener = c.initiator
	}
	if opener == nil {
		return nil, true, errors.New("no keys")
	}
	plain, err := opener.Open(nil, b, sk.Offset+f.Offset) // one of them is zero
	if err != nil {
		return nil, true, err
	}
	if part {
		return k.gather(m.Header, f, plain)
	}
	ps, err = wire.ParsePayloads(sk.First, plain)
	return ps, true, err
}

// gather takes one fragment, and returns the payloads of the message with the one that
// makes it complete.
func (k keyring) gather(h wire.Header, f wire.SKF, plain []byte) (ps wire.Payloads, inside bool, err error) {
	h.Length = 0
	parts := k.parts[h]
	if len(parts) != int(f.Total) {
		parts = make([][]byte, f.Total)
	}
	parts[f.Number-1] = append([]byte{byte(f.First)}, plain...)
	k.parts[h] = parts
	var text []byte
	for _, p := range parts {
		if p == nil {
			return nil, false, nil
		}
		text = append(text, p[1:]...)
	}
	ps, err = wire.ParsePayloads(wire.PayloadType(parts[0][0]), text)
	return ps, true, err
}
