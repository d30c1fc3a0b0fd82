// Package eaptest is the client's side of EAP for tests: it knows a password, and does what
// real clients do with it.
package eaptest

import (
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/warrenvpn/warren/ike/eap"
)

// Peer is the client in one conversation.
type Peer struct {
	Identity string
	Name     string // in MSCHAPv2; "": Identity
	Password string
	Method   eap.Type // that it wants; others it refuses
	NTHash   []byte   // in place of Password, for MSCHAPv2

	// Heard are the requests, and MSK is there after a Success of a method that has one.
	Heard []eap.Packet
	MSK   []byte

	credentials eap.Credentials
	proof       [24]byte
}

// Next answers a request. Done reports that the server has said Success.
func (p *Peer) Next(message []byte) (response []byte, done bool, err error) {
	q, err := eap.ParsePacket(message)
	if err != nil {
		return nil, false, err
	}
	p.Heard = append(p.Heard, q)
	answer := eap.Packet{Code: eap.Response, Identifier: q.Identifier, Type: q.Type}
	switch {
	case q.Code == eap.Success:
		return nil, true, nil
	case q.Code == eap.Failure:
		return nil, false, fmt.Errorf("eaptest: the server says Failure")
	case q.Type == eap.TypeIdentity:
		answer.Data = []byte(p.Identity)
	case q.Type != p.Method:
		answer.Type, answer.Data = eap.TypeNak, []byte{byte(p.Method)}
	case q.Type == eap.TypeMSCHAPv2:
		answer.Data, err = p.msCHAP(q)
	case q.Type == eap.TypeGTC:
		answer.Data = []byte(p.Password)
	case q.Type == eap.TypeMD5:
		h := md5.New()
		h.Write([]byte{q.Identifier})
		h.Write([]byte(p.Password))
		h.Write(q.Data[1 : 1+q.Data[0]])
		answer.Data = append(append([]byte{md5.Size}, h.Sum(nil)...), p.Identity...)
	}
	return answer.AppendTo(nil), false, err
}

// msCHAP answers a request of MSCHAPv2.
func (p *Peer) msCHAP(q eap.Packet) ([]byte, error) {
	c := &p.credentials
	switch q.Data[0] {
	case 1: // Challenge
		copy(c.Server[:], q.Data[5:])
		copy(c.Peer[:], "the client's own challenge")
		c.Name, c.NTHash = p.Name, eap.NTHash(p.Password)
		if c.Name == "" {
			c.Name = p.Identity
		}
		if p.NTHash != nil {
			copy(c.NTHash.Reveal(), p.NTHash)
		}
		p.proof = c.Response()
		b := append([]byte{2, q.Data[1], 0, 0, 49}, c.Peer[:]...)
		b = append(append(append(b, make([]byte, 8)...), p.proof[:]...), 0)
		b = append(b, c.Name...)
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		return b, nil
	case 3: // Success
		if text, want := string(q.Data[4:]), c.Authenticator(p.proof); !strings.HasPrefix(text, want) {
			return nil, fmt.Errorf("eaptest: the server says %q instead of %q", text, want)
		}
		p.MSK = append([]byte(nil), c.MSK(p.proof).Reveal()...)
		return []byte{3}, nil
	case 4: // Failure
		return []byte{4}, nil
	}
	return nil, fmt.Errorf("eaptest: operation %d", q.Data[0])
}
