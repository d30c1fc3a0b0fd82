package eap

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Code is the code of a packet (RFC 3748 section 4).
type Code uint8

// The codes.
const (
	Request  Code = 1
	Response Code = 2
	Success  Code = 3
	Failure  Code = 4
)

// String returns the name of the code.
func (c Code) String() string {
	switch c {
	case Request:
		return "Request"
	case Response:
		return "Response"
	case Success:
		return "Success"
	case Failure:
		return "Failure"
	}
	return fmt.Sprintf("code %d", uint8(c))
}

// Type is the type of a request or response (RFC 3748 section 5).
type Type uint8

// The types that this package knows by name.
const (
	TypeIdentity     Type = 1
	TypeNotification Type = 2
	TypeNak          Type = 3
	TypeMD5          Type = 4
	TypeGTC          Type = 6
	TypeTLS          Type = 13
	TypeTTLS         Type = 21
	TypePEAP         Type = 25
	TypeMSCHAPv2     Type = 26
	TypeExpanded     Type = 254
)

var typeNames = map[Type]string{
	TypeIdentity: "Identity", TypeNotification: "Notification", TypeNak: "Nak", TypeMD5: "MD5", TypeGTC: "GTC",
	TypeTLS: "TLS", TypeTTLS: "TTLS", TypePEAP: "PEAP", TypeMSCHAPv2: "MSCHAPv2", TypeExpanded: "expanded",
}

// String returns the name of the type.
func (t Type) String() string {
	if n, ok := typeNames[t]; ok {
		return n
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// Packet is one EAP packet. Type and Data are those of a Request or Response.
type Packet struct {
	Code       Code
	Identifier uint8
	Type       Type
	Data       []byte
}

// headerLen is the length of what all packets have, and MaxPacket that of the longest
// one.
const (
	headerLen = 4
	MaxPacket = 1<<16 - 1
)

// ErrPacket is a packet that is none.
var ErrPacket = errors.New("eap: malformed packet")

// ParsePacket reads a packet that fills b. Data stays in its memory.
func ParsePacket(b []byte) (Packet, error) {
	if len(b) < headerLen || int(binary.BigEndian.Uint16(b[2:])) != len(b) {
		return Packet{}, ErrPacket
	}
	p := Packet{Code: Code(b[0]), Identifier: b[1]}
	switch p.Code {
	case Request, Response:
		if len(b) == headerLen {
			return Packet{}, ErrPacket
		}
		p.Type, p.Data = Type(b[headerLen]), b[headerLen+1:]
		return p, nil
	case Success, Failure:
		if len(b) == headerLen {
			return p, nil
		}
	}
	return Packet{}, ErrPacket
}

// AppendTo appends the packet, which is not longer than MaxPacket.
func (p Packet) AppendTo(b []byte) []byte {
	n := headerLen
	if p.Code == Request || p.Code == Response {
		n += 1 + len(p.Data)
	}
	b = append(b, byte(p.Code), p.Identifier)
	b = binary.BigEndian.AppendUint16(b, uint16(n))
	if n == headerLen {
		return b
	}
	return append(append(b, byte(p.Type)), p.Data...)
}

// IdentityRequest returns the packet that asks a client what it is called, which is the
// first one of a conversation.
func IdentityRequest(identifier uint8) []byte {
	return Packet{Code: Request, Identifier: identifier, Type: TypeIdentity}.AppendTo(nil)
}

// IdentityResponse returns the answer to that.
func IdentityResponse(identifier uint8, name string) []byte {
	return Packet{Code: Response, Identifier: identifier, Type: TypeIdentity, Data: []byte(name)}.AppendTo(nil)
}

// FailureAfter returns the Failure that ends a conversation whose last packet was b.
func FailureAfter(b []byte) []byte {
	p := Packet{Code: Failure}
	if len(b) > 1 {
		p.Identifier = b[1]
	}
	return p.AppendTo(nil)
}
