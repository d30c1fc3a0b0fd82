package wire

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/crypto/cryptobyte"

	"github.com/warrenvpn/warren/esp/sa"
)

// The traffic selector types that are understood (RFC 7296 section 3.13.1), and
// the bytes of a selector before its addresses.
const (
	tsIPv4      = 7
	tsIPv6      = 8
	tsHeaderLen = 8
)

// TS is the content of the TSi and TSr payloads (RFC 7296 section 3.13).
type TS struct {
	// Selectors are those for IPv4 and IPv6. A range may be empty or, as
	// OPAQUE ports are, reversed: such a one covers nothing.
	Selectors []sa.Selector
	// Others are selectors of types that are not understood, and so not
	// accepted: their type and what follows their length.
	Others []OtherSelector
}

// OtherSelector is a traffic selector of an unknown type.
type OtherSelector struct {
	Type uint8
	Body []byte // from the protocol byte on
}

// TSi are the selectors of the initiator's side.
type TSi struct{ TS }

// TSr are the selectors of the responder's side.
type TSr struct{ TS }

// PayloadType implements Payload.
func (TSi) PayloadType() PayloadType { return TypeTSi }

// PayloadType implements Payload.
func (TSr) PayloadType() PayloadType { return TypeTSr }

// ParseTS reads the body of a TSi or TSr payload.
func ParseTS(b []byte) (TS, error) {
	if len(b) < 4 {
		return TS{}, syntax(TypeTSi, "truncated")
	}
	count := int(b[0])
	if count == 0 || count > MaxSelectors {
		return TS{}, syntax(TypeTSi, "no selectors or too many")
	}
	var ts TS
	s := cryptobyte.String(b[4:])
	for range count {
		if err := ts.parseSelector(&s); err != nil {
			return TS{}, err
		}
	}
	if !s.Empty() {
		return TS{}, syntax(TypeTSi, "bytes after the last selector")
	}
	return ts, nil
}

// parseSelector reads the next selector.
func (ts *TS) parseSelector(s *cryptobyte.String) error {
	var kind, protocol uint8
	var length uint16
	var body []byte
	if !s.ReadUint8(&kind) || !s.ReadUint8(&protocol) || !s.ReadUint16(&length) || length < 4 ||
		!s.ReadBytes(&body, int(length)-4) {
		return syntax(TypeTSi, "selector truncated")
	}
	addrLen := 4
	switch kind {
	case tsIPv6:
		addrLen = 16
	case tsIPv4:
	default:
		ts.Others = append(ts.Others, OtherSelector{kind, append([]byte{protocol}, body...)})
		return nil
	}
	if int(length) != tsHeaderLen+2*addrLen {
		return syntax(TypeTSi, "selector of a wrong length")
	}
	sel := sa.Selector{
		Protocol:  protocol,
		StartPort: binary.BigEndian.Uint16(body),
		EndPort:   binary.BigEndian.Uint16(body[2:]),
	}
	sel.Start, _ = netip.AddrFromSlice(body[4 : 4+addrLen])
	sel.End, _ = netip.AddrFromSlice(body[4+addrLen:])
	ts.Selectors = append(ts.Selectors, sel)
	return nil
}

// AppendBody implements Payload.
func (ts TS) AppendBody(b []byte) []byte {
	b = append(b, byte(len(ts.Selectors)+len(ts.Others)), 0, 0, 0)
	for _, s := range ts.Selectors {
		kind := byte(tsIPv4)
		if s.Start.BitLen() == 128 {
			kind = tsIPv6
		}
		b = append(b, kind, s.Protocol)
		b = binary.BigEndian.AppendUint16(b, uint16(tsHeaderLen+s.Start.BitLen()/4))
		b = binary.BigEndian.AppendUint16(b, s.StartPort)
		b = binary.BigEndian.AppendUint16(b, s.EndPort)
		b = append(append(b, s.Start.AsSlice()...), s.End.AsSlice()...)
	}
	for _, o := range ts.Others {
		b = append(b, o.Type, o.Body[0])
		b = binary.BigEndian.AppendUint16(b, uint16(3+len(o.Body)))
		b = append(b, o.Body[1:]...)
	}
	return b
}
