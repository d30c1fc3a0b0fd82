package wire

// Auth is an authentication payload (RFC 7296 section 3.8).
type Auth struct {
	Method AuthMethod
	Data   []byte
}

// PayloadType implements Payload.
func (Auth) PayloadType() PayloadType { return TypeAuth }

// ParseAuth reads the body of an AUTH payload.
func ParseAuth(b []byte) (Auth, error) {
	if len(b) <= 4 {
		return Auth{}, syntax(TypeAuth, "no authentication data")
	}
	return Auth{Method: AuthMethod(b[0]), Data: b[4:]}, nil
}

// AppendBody implements Payload.
func (p Auth) AppendBody(b []byte) []byte {
	return append(append(b, byte(p.Method), 0, 0, 0), p.Data...)
}
