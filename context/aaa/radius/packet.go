package radius

import (
	"encoding/binary"
	"errors"
	"iter"
)

// Packet is a packet of any code (RFC 2865 section 3).
type Packet struct {
	Code          Code
	Identifier    uint8
	Authenticator [authenticatorSize]byte
	Attributes    Attributes
}

// Why octets are no packet.
var (
	errShort     = errors.New("radius: packet is truncated")
	errLong      = errors.New("radius: packet is longer than 4096 octets")
	errAttribute = errors.New("radius: attribute with a wrong length")
)

// ParsePacket reads a packet, of which the attributes are copied. What follows it in b is
// padding and left alone (RFC 2865 section 3). Nothing says yet who has sent it:
// Request.Verify does.
func ParsePacket(b []byte) (Packet, error) {
	b, err := trim(b)
	if err != nil {
		return Packet{}, err
	}
	p := Packet{Code: Code(b[0]), Identifier: b[1]}
	copy(p.Authenticator[:], b[4:])
	p.Attributes, err = ParseAttributes(b[headerSize:])
	return p, err
}

// trim returns the packet at the beginning of b.
func trim(b []byte) ([]byte, error) {
	if len(b) < headerSize {
		return nil, errShort
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	switch {
	case n > MaxPacket:
		return nil, errLong
	case n < headerSize || n > len(b):
		return nil, errShort
	}
	return b[:n], nil
}

// Append appends the packet to b.
func (p *Packet) Append(b []byte) []byte {
	b = append(b, byte(p.Code), p.Identifier)
	b = binary.BigEndian.AppendUint16(b, uint16(headerSize+len(p.Attributes.raw)))
	b = append(b, p.Authenticator[:]...)
	return append(b, p.Attributes.raw...)
}

// Attributes are those of a packet, in their order. The zero value has none.
type Attributes struct {
	raw []byte // well-formed, at most MaxPacket-headerSize octets
}

// ParseAttributes reads the attributes of a packet, all of b, and copies them.
func ParseAttributes(b []byte) (Attributes, error) {
	if len(b) > MaxPacket-headerSize {
		return Attributes{}, errLong
	}
	if !wellFormed(b) {
		return Attributes{}, errAttribute
	}
	return Attributes{raw: append([]byte(nil), b...)}, nil
}

// All yields the attributes. The values are those in the packet: the caller must not
// change them.
func (a Attributes) All() iter.Seq2[Type, []byte] {
	return func(yield func(Type, []byte) bool) {
		for rest := a.raw; len(rest) > 0; rest = rest[rest[1]:] {
			if !yield(Type(rest[0]), rest[2:rest[1]:rest[1]]) {
				return
			}
		}
	}
}

// Find returns the value of the first attribute of type t.
func (a Attributes) Find(t Type) (value []byte, ok bool) {
	for got, v := range a.All() {
		if got == t {
			return v, true
		}
	}
	return nil, false
}

// Join returns the values of all attributes of type t, one behind the other: how an EAP
// packet is carried (RFC 3579 section 3.1). ok says whether there is one.
func (a Attributes) Join(t Type) (value []byte, ok bool) {
	for got, v := range a.All() {
		if got == t {
			value, ok = append(value, v...), true
		}
	}
	return value, ok
}

// Why an attribute cannot be added.
var (
	errValue = errors.New("radius: a value is longer than 253 octets")
	errFull  = errors.New("radius: the attributes are more than a packet holds")
)

// Add appends an attribute. One without a value is not sent (RFC 2865 section 5), and
// nothing is added.
func (a *Attributes) Add(t Type, value []byte) error {
	switch {
	case len(value) == 0:
		return nil
	case len(value) > MaxValue:
		return errValue
	case headerSize+len(a.raw)+2+len(value) > MaxPacket:
		return errFull
	}
	a.raw = append(append(a.raw, byte(t), byte(2+len(value))), value...)
	return nil
}

// Split appends as many attributes of type t as value needs (RFC 3579 section 3.1).
func (a *Attributes) Split(t Type, value []byte) error {
	for len(value) > 0 {
		n := min(len(value), MaxValue)
		if err := a.Add(t, value[:n]); err != nil {
			return err
		}
		value = value[n:]
	}
	return nil
}

// addUint32 appends an attribute that is a number.
func (a *Attributes) addUint32(t Type, v uint32) error {
	return a.Add(t, binary.BigEndian.AppendUint32(nil, v))
}
