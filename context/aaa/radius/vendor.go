package radius

import (
	"encoding/binary"
	"iter"
)

// vendorAttribute is one of a vendor (RFC 2865 section 5.26).
type vendorAttribute struct {
	Vendor uint32
	Type   uint8
	Value  []byte
}

// vendor yields the attributes of vendors that have the form which RFC 2865 recommends,
// several of them in one Vendor-Specific too; what has another form is passed over.
func (a Attributes) vendor() iter.Seq[vendorAttribute] {
	return func(yield func(vendorAttribute) bool) {
		for t, v := range a.All() {
			if t != TypeVendorSpecific || len(v) < 4 || !wellFormed(v[4:]) {
				continue
			}
			number := binary.BigEndian.Uint32(v)
			for rest := v[4:]; len(rest) > 0; rest = rest[rest[1]:] {
				if !yield(vendorAttribute{number, rest[0], rest[2:rest[1]:rest[1]]}) {
					return
				}
			}
		}
	}
}

// wellFormed says whether b is attributes, each with its type and length.
func wellFormed(b []byte) bool {
	for len(b) > 0 {
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			return false
		}
		b = b[b[1]:]
	}
	return true
}

// findVendor returns the value of the first attribute of a vendor and type.
func (a Attributes) findVendor(vendor uint32, t uint8) (value []byte, ok bool) {
	for v := range a.vendor() {
		if v.Vendor == vendor && v.Type == t {
			return v.Value, true
		}
	}
	return nil, false
}

// addVendor appends an attribute of a vendor, one in each Vendor-Specific.
func (a *Attributes) addVendor(vendor uint32, t uint8, value []byte) error {
	if len(value) > MaxValue-6 {
		return errValue
	}
	b := binary.BigEndian.AppendUint32(make([]byte, 0, MaxValue), vendor)
	b = append(b, t, byte(2+len(value)))
	return a.Add(TypeVendorSpecific, append(b, value...))
}
