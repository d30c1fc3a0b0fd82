package wire

import "encoding/binary"

// Notify is a notification payload (RFC 7296 section 3.10).
type Notify struct {
	Protocol ProtocolID // ProtocolNone unless SPI is there
	SPI      []byte
	Type     NotifyType
	Data     []byte
}

// PayloadType implements Payload.
func (Notify) PayloadType() PayloadType { return TypeNotify }

// ParseNotify reads the body of an N payload.
func ParseNotify(b []byte) (Notify, error) {
	if len(b) < 4 || len(b)-4 < int(b[1]) {
		return Notify{}, syntax(TypeNotify, "truncated")
	}
	n := Notify{Protocol: ProtocolID(b[0]), Type: NotifyType(binary.BigEndian.Uint16(b[2:]))}
	spi := int(b[1])
	if spi > 0 {
		n.SPI = b[4 : 4+spi : 4+spi]
	}
	if len(b) > 4+spi {
		n.Data = b[4+spi:]
	}
	return n, nil
}

// AppendBody implements Payload.
func (p Notify) AppendBody(b []byte) []byte {
	b = append(b, byte(p.Protocol), byte(len(p.SPI)))
	b = binary.BigEndian.AppendUint16(b, uint16(p.Type))
	return append(append(b, p.SPI...), p.Data...)
}
