package wire

import (
	"encoding/binary"

	"github.com/warrenvpn/warren/esp/sa"
)

// Delete is a delete payload (RFC 7296 section 3.11). SPIs are those that the
// sender of the message receives with; for ProtocolIKE there are none: the IKE
// SA of the message itself is meant.
type Delete struct {
	Protocol ProtocolID
	SPIs     []sa.SPI
}

// PayloadType implements Payload.
func (Delete) PayloadType() PayloadType { return TypeDelete }

// ParseDelete reads the body of a D payload.
func ParseDelete(b []byte) (Delete, error) {
	if len(b) < 4 {
		return Delete{}, syntax(TypeDelete, "truncated")
	}
	d := Delete{Protocol: ProtocolID(b[0])}
	size, count := int(b[1]), int(binary.BigEndian.Uint16(b[2:]))
	b = b[4:]
	switch {
	case d.Protocol == ProtocolIKE && (size != 0 || count != 0), d.Protocol != ProtocolIKE && size != 4:
		return Delete{}, syntax(TypeDelete, "SPIs of a wrong size")
	case count > MaxDeletes:
		return Delete{}, syntax(TypeDelete, "too many SPIs")
	case size*count != len(b):
		return Delete{}, syntax(TypeDelete, "length differs from the number of SPIs")
	}
	if count > 0 {
		d.SPIs = make([]sa.SPI, count)
	}
	for i := range d.SPIs {
		d.SPIs[i] = sa.SPI(binary.BigEndian.Uint32(b[4*i:]))
	}
	return d, nil
}

// AppendBody implements Payload.
func (p Delete) AppendBody(b []byte) []byte {
	size := byte(4)
	if p.Protocol == ProtocolIKE {
		size = 0
	}
	b = append(b, byte(p.Protocol), size)
	b = binary.BigEndian.AppendUint16(b, uint16(len(p.SPIs)))
	for _, spi := range p.SPIs {
		b = binary.BigEndian.AppendUint32(b, uint32(spi))
	}
	return b
}
