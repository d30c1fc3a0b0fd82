package wire

import "encoding/binary"

// fragmentHeaderLen is the size of the fragment number and total that precede
// the initialisation vector of an SKF payload.
const fragmentHeaderLen = 4

// SK is an encrypted and authenticated payload (RFC 7296 section 3.14). It is
// always the last of a message.
type SK struct {
	First  PayloadType // the first payload inside
	Offset int         // of Body within the message; what is before is authenticated only
	Body   []byte      // initialisation vector, ciphertext, integrity checksum
}

// SKF is one fragment of an encrypted message (RFC 7383 section 2.5).
type SKF struct {
	First         PayloadType // in fragment 1 the first payload inside, otherwise none
	Number, Total uint16      // from 1 to Total
	Offset        int         // of Body within the message; what is before is authenticated only
	Body          []byte      // initialisation vector, ciphertext, integrity checksum
}

// PayloadType implements Payload.
func (SK) PayloadType() PayloadType { return TypeSK }

// PayloadType implements Payload.
func (SKF) PayloadType() PayloadType { return TypeSKF }

// ParseSK reads the body of an SK payload. First and Offset are known to the
// parser of the message only.
func ParseSK(b []byte) (SK, error) {
	if len(b) == 0 {
		return SK{}, syntax(TypeSK, "empty")
	}
	return SK{Body: b}, nil
}

// ParseSKF reads the body of an SKF payload. First and Offset are known to the
// parser of the message only.
func ParseSKF(b []byte) (SKF, error) {
	if len(b) <= fragmentHeaderLen {
		return SKF{}, syntax(TypeSKF, "truncated")
	}
	p := SKF{
		Number: binary.BigEndian.Uint16(b),
		Total:  binary.BigEndian.Uint16(b[2:]),
		Body:   b[fragmentHeaderLen:],
	}
	if p.Number == 0 || p.Number > p.Total || p.Total > MaxFragments {
		return SKF{}, syntax(TypeSKF, "fragment number out of range")
	}
	return p, nil
}

// AppendBody implements Payload.
func (p SK) AppendBody(b []byte) []byte { return append(b, p.Body...) }

// AppendBody implements Payload.
func (p SKF) AppendBody(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, p.Number)
	b = binary.BigEndian.AppendUint16(b, p.Total)
	return append(b, p.Body...)
}
