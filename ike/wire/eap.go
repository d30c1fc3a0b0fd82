package wire

import "encoding/binary"

// EAP is an EAP payload (RFC 7296 section 3.16): one EAP message, opaque here
// but for its own length.
type EAP struct{ Message []byte }

// PayloadType implements Payload.
func (EAP) PayloadType() PayloadType { return TypeEAP }

// ParseEAP reads the body of an EAP payload.
func ParseEAP(b []byte) (EAP, error) {
	if len(b) < 4 || int(binary.BigEndian.Uint16(b[2:])) != len(b) {
		return EAP{}, syntax(TypeEAP, "length differs from the message inside")
	}
	return EAP{Message: b}, nil
}

// AppendBody implements Payload.
func (p EAP) AppendBody(b []byte) []byte { return append(b, p.Message...) }
