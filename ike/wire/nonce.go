package wire

// Nonce is a nonce payload, Ni or Nr (RFC 7296 section 3.9).
type Nonce struct{ Data []byte }

// PayloadType implements Payload.
func (Nonce) PayloadType() PayloadType { return TypeNonce }

// ParseNonce reads the body of a nonce payload.
func ParseNonce(b []byte) (Nonce, error) {
	if len(b) < MinNonce || len(b) > MaxNonce {
		return Nonce{}, syntax(TypeNonce, "length outside 16 to 256")
	}
	return Nonce{Data: b}, nil
}

// AppendBody implements Payload.
func (p Nonce) AppendBody(b []byte) []byte { return append(b, p.Data...) }
