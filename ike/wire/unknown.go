package wire

// Unknown is a payload of a type that this package does not know. Those that
// were parsed are not critical: they count among the payloads and are otherwise
// ignored (RFC 7296 section 2.5).
type Unknown struct {
	Number   PayloadType
	Critical bool
	Body     []byte
}

// PayloadType implements Payload.
func (p Unknown) PayloadType() PayloadType { return p.Number }

// AppendBody implements Payload.
func (p Unknown) AppendBody(b []byte) []byte { return append(b, p.Body...) }
