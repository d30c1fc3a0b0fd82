package eap

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/warrenvpn/warren/internal/secret"
)

// msCHAP is EAP-MSCHAPv2 (draft-kamath-pppext-eap-mschapv2):
//
//	client                          server
//	        <--------------------  Challenge: challenge, name
//	Response: challenge, proof --->
//	        <--------------------  Success: proof of the server, or Failure
//	Success, or Failure ---------->
//	        <--------------------  EAP Success, or EAP Failure
//
// A password cannot be tried twice in one conversation, and not be changed.
type msCHAP struct {
	server    *Server
	challenge [challengeLen]byte
	verified  bool // the response was looked at
	user      string
	msk       secret.Value
	reason    string // why the client is not let in; "": it is
}

// The operation codes of the draft, section 2.
const (
	opChallenge      = 1
	opResponse       = 2
	opSuccess        = 3
	opFailure        = 4
	opChangePassword = 7
)

// msCHAPHeaderLen is the length of operation code, identifier and length; valueLen is that
// of a response: challenge, reserved, proof, flags.
const (
	msCHAPHeaderLen = 4
	valueLen        = challengeLen + 8 + responseLen + 1
)

func appendMSCHAP(op, identifier byte, parts ...[]byte) []byte {
	b := []byte{op, identifier, 0, 0}
	for _, p := range parts {
		b = append(b, p...)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

// request implements method.
func (m *msCHAP) request(identifier uint8) []byte {
	copy(m.challenge[:], m.server.random(challengeLen))
	return appendMSCHAP(opChallenge, identifier, []byte{challengeLen}, m.challenge[:], []byte(m.server.cfg.Name))
}

// next implements method.
func (m *msCHAP) next(identifier uint8, data []byte) result {
	switch {
	case len(data) == 0:
		return refuse("the client answers MSCHAPv2 with nothing")
	case !m.verified && data[0] == opResponse:
		return m.response(identifier, data)
	case m.verified && m.reason == "" && data[0] == opSuccess:
		return result{user: m.user, msk: m.msk}
	case m.verified && m.reason != "":
		if data[0] == opChangePassword {
			return refuse("%s, and it wants to change the password, which it cannot", m.reason)
		}
		return result{reason: m.reason}
	case m.verified && data[0] == opFailure:
		return refuse("the client does not believe that this gateway knows the password of %s", m.user)
	}
	return refuse("the client answers MSCHAPv2 with operation %d", data[0])
}

// response verifies the proof of the client.
func (m *msCHAP) response(identifier uint8, data []byte) result {
	c, proof, err := parseMSCHAPResponse(data)
	if err != nil || data[1] != identifier {
		return refuse("the client sends a malformed MSCHAPv2 response")
	}
	c.Server = m.challenge
	u := m.server.cfg.Lookup(c.Name)
	knows := u.NTHash.Len() == NTHashLen
	c.NTHash = secret.New(m.server.random(NTHashLen))
	if knows {
		c.NTHash = u.NTHash
	}
	right := c.matches(proof)
	text, msk := c.Authenticator(proof), c.MSK(proof) // made for everybody, so that all takes the same time
	m.verified = true
	if !right || !knows || u.Name == "" {
		msk.Clear()
		m.reason = wrong(&u, c.Name, "MSCHAPv2", knows)
		again := strings.ToUpper(hex.EncodeToString(m.server.random(challengeLen)))
		text = fmt.Sprintf("E=691 R=0 C=%s V=3 M=Authentication failed", again)
		return result{request: appendMSCHAP(opFailure, data[1], []byte(text)), reason: m.reason}
	}
	m.user, m.msk = u.Name, msk
	return result{request: appendMSCHAP(opSuccess, data[1], []byte(text+" M=OK"))}
}

// parseMSCHAPResponse reads a Response packet: the client's challenge and name, and its
// proof.
func parseMSCHAPResponse(b []byte) (c Credentials, proof [responseLen]byte, err error) {
	if len(b) < msCHAPHeaderLen+1+valueLen || b[0] != opResponse || int(binary.BigEndian.Uint16(b[2:])) != len(b) ||
		b[msCHAPHeaderLen] != valueLen {
		return c, proof, ErrPacket
	}
	value := b[msCHAPHeaderLen+1:]
	copy(c.Peer[:], value)
	copy(proof[:], value[challengeLen+8:])
	c.Name, err = parseName(value[valueLen:])
	return c, proof, err
}
