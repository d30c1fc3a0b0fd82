package wire

import "encoding/binary"

// KE is a key exchange payload: the group, a transform ID of type 4, and the
// public value (RFC 7296 section 3.4).
type KE struct {
	Group uint16
	Data  []byte
}

// PayloadType implements Payload.
func (KE) PayloadType() PayloadType { return TypeKE }

// ParseKE reads the body of a KE payload.
func ParseKE(b []byte) (KE, error) {
	if len(b) <= 4 {
		return KE{}, syntax(TypeKE, "no public value")
	}
	return KE{Group: binary.BigEndian.Uint16(b), Data: b[4:]}, nil
}

// AppendBody implements Payload.
func (p KE) AppendBody(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, p.Group)
	return append(append(b, 0, 0), p.Data...)
}
