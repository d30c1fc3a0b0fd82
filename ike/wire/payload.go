package wire

import (
	"encoding/binary"
	"fmt"
)

// payloadHeaderLen is the size of the generic payload header (RFC 7296 section
// 3.2), and criticalBit its flag.
const (
	payloadHeaderLen = 4
	criticalBit      = 0x80
)

// Payload is one payload of a message: SA, KE, IDi, IDr, Cert, CertReq, Auth,
// Nonce, Notify, Delete, Vendor, TSi, TSr, SK, SKF, CP, EAP or Unknown, each as
// a value, not a pointer.
type Payload interface {
	// PayloadType returns the number that the payload before it carries.
	PayloadType() PayloadType
	// AppendBody appends what follows the generic payload header.
	AppendBody(b []byte) []byte
}

// Payloads is a chain of payloads, in the order of the message.
type Payloads []Payload

// Find returns the first payload of type T.
func Find[T Payload](ps Payloads) (T, bool) {
	for _, p := range ps {
		if v, ok := p.(T); ok {
			return v, true
		}
	}
	var none T
	return none, false
}

// Count returns how many payloads of type t there are.
func (ps Payloads) Count(t PayloadType) int {
	n := 0
	for _, p := range ps {
		if p.PayloadType() == t {
			n++
		}
	}
	return n
}

// Notify returns the first notification of type t.
func (ps Payloads) Notify(t NotifyType) (Notify, bool) {
	for _, p := range ps {
		if n, ok := p.(Notify); ok && n.Type == t {
			return n, true
		}
	}
	return Notify{}, false
}

// Notifies returns all notifications of type t.
func (ps Payloads) Notifies(t NotifyType) []Notify {
	var out []Notify
	for _, p := range ps {
		if n, ok := p.(Notify); ok && n.Type == t {
			out = append(out, n)
		}
	}
	return out
}

// FirstType returns the "next payload" value that leads to ps.
func FirstType(ps []Payload) PayloadType {
	if len(ps) == 0 {
		return NoNextPayload
	}
	return ps[0].PayloadType()
}

// AppendPayloads appends the chain ps, generic headers included: the plaintext
// of an SK payload, or all that follows the header of a clear message.
func AppendPayloads(b []byte, ps ...Payload) []byte {
	for i, p := range ps {
		start := len(b)
		b = append(b, byte(nextType(p, ps[i+1:])), 0, 0, 0)
		if u, ok := p.(Unknown); ok && u.Critical {
			b[start+1] = criticalBit
		}
		b = p.AppendBody(b)
		n := len(b) - start
		if n > MaxMessage {
			panic(fmt.Sprintf("wire: internal error: %v payload of %d bytes", p.PayloadType(), n))
		}
		binary.BigEndian.PutUint16(b[start+2:], uint16(n))
	}
	return b
}

// nextType returns the "next payload" value that p carries. That of an
// encrypted payload names the first payload inside it.
func nextType(p Payload, rest []Payload) PayloadType {
	switch p := p.(type) {
	case SK:
		return p.First
	case SKF:
		return p.First
	}
	return FirstType(rest)
}

// ParsePayloads reads the chain b whose first payload is of type first: the
// plaintext of an SK payload. Payloads inside may not be encrypted again.
func ParsePayloads(first PayloadType, b []byte) (Payloads, error) {
	ps, err := parseChain(first, b, 0)
	if err != nil {
		return nil, err
	}
	for _, p := range ps {
		switch p.PayloadType() {
		case TypeSK, TypeSKF:
			return nil, syntax(p.PayloadType(), "inside another encrypted payload")
		}
	}
	return ps, nil
}

// parseChain reads the payloads of b from offset on.
func parseChain(first PayloadType, b []byte, offset int) (Payloads, error) {
	ps := make(Payloads, 0, 8)
	for next := first; next != NoNextPayload; {
		if len(ps) == MaxPayloads {
			return nil, syntax(NoNextPayload, "too many payloads")
		}
		if len(b)-offset < payloadHeaderLen {
			return nil, syntax(next, "header truncated")
		}
		length := int(binary.BigEndian.Uint16(b[offset+2:]))
		if length < payloadHeaderLen || length > len(b)-offset {
			return nil, syntax(next, "length outside the message")
		}
		following, critical := PayloadType(b[offset]), b[offset+1]&criticalBit != 0
		body := b[offset+payloadHeaderLen : offset+length : offset+length]
		p, err := parsePayload(next, body)
		if err != nil {
			return nil, err
		}
		switch v := p.(type) {
		case SK:
			v.First, v.Offset = following, offset+payloadHeaderLen
			p, following = v, NoNextPayload
		case SKF:
			v.First, v.Offset = following, offset+payloadHeaderLen+fragmentHeaderLen
			p, following = v, NoNextPayload
		case Unknown:
			if critical {
				return nil, &Error{Notify: UnsupportedCriticalPayload, Payload: next,
					Text: "critical and not supported"}
			}
		}
		ps = append(ps, p)
		next, offset = following, offset+length
	}
	if offset != len(b) {
		return nil, syntax(NoNextPayload, "bytes after the last payload")
	}
	return ps, nil
}

// parsers read the body of a payload of each known type.
var parsers = [...]func(body []byte) (Payload, error){
	TypeSA:      parser(ParseSA),
	TypeKE:      parser(ParseKE),
	TypeIDi:     parser(func(b []byte) (IDi, error) { id, err := ParseID(b); return IDi{id}, at(TypeIDi, err) }),
	TypeIDr:     parser(func(b []byte) (IDr, error) { id, err := ParseID(b); return IDr{id}, at(TypeIDr, err) }),
	TypeCert:    parser(ParseCert),
	TypeCertReq: parser(ParseCertReq),
	TypeAuth:    parser(ParseAuth),
	TypeNonce:   parser(ParseNonce),
	TypeNotify:  parser(ParseNotify),
	TypeDelete:  parser(ParseDelete),
	TypeVendor:  parser(ParseVendor),
	TypeTSi:     parser(func(b []byte) (TSi, error) { ts, err := ParseTS(b); return TSi{ts}, at(TypeTSi, err) }),
	TypeTSr:     parser(func(b []byte) (TSr, error) { ts, err := ParseTS(b); return TSr{ts}, at(TypeTSr, err) }),
	TypeSK:      parser(ParseSK),
	TypeSKF:     parser(ParseSKF),
	TypeCP:      parser(ParseCP),
	TypeEAP:     parser(ParseEAP),
}

// parser makes the parser of one payload one of the interface type.
func parser[T Payload](parse func([]byte) (T, error)) func([]byte) (Payload, error) {
	return func(b []byte) (Payload, error) { return parse(b) }
}

// at names the payload type in an error of a parser that serves two types.
func at(t PayloadType, err error) error {
	if e, ok := err.(*Error); ok {
		e.Payload = t
	}
	return err
}

// parsePayload reads the body of a payload of type t.
func parsePayload(t PayloadType, body []byte) (Payload, error) {
	if int(t) < len(parsers) && parsers[t] != nil {
		return parsers[t](body)
	}
	return Unknown{Number: t, Body: body}, nil
}
