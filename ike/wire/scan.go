package wire

import "encoding/binary"

// Scan calls f with the type and the body of each payload of the clear message b,
// in order, until f returns false. It does not look into the bodies and keeps and
// allocates nothing: what is made of them costs what f does. It reports false for
// a chain that is not well formed, as far as it has gone.
func Scan(b []byte, f func(t PayloadType, body []byte) bool) bool {
	if len(b) < HeaderLen {
		return false
	}
	next := PayloadType(b[16])
	b = b[HeaderLen:]
	for n := 0; next != NoNextPayload; n++ {
		if n == MaxPayloads || len(b) < payloadHeaderLen {
			return false
		}
		length := int(binary.BigEndian.Uint16(b[2:]))
		if length < payloadHeaderLen || length > len(b) {
			return false
		}
		if !f(next, b[payloadHeaderLen:length:length]) {
			return true
		}
		next, b = PayloadType(b[0]), b[length:]
	}
	return len(b) == 0
}
