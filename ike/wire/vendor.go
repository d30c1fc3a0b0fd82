package wire

// Vendor is a vendor ID payload (RFC 7296 section 3.12): opaque, and safe to
// ignore.
type Vendor struct{ Data []byte }

// PayloadType implements Payload.
func (Vendor) PayloadType() PayloadType { return TypeVendor }

// ParseVendor reads the body of a V payload; every body is one.
func ParseVendor(b []byte) (Vendor, error) { return Vendor{Data: b}, nil }

// AppendBody implements Payload.
func (p Vendor) AppendBody(b []byte) []byte { return append(b, p.Data...) }
