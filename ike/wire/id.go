package wire

// ID is the content of the IDi and IDr payloads (RFC 7296 section 3.5). What it
// means is the business of package auth.
type ID struct {
	Type IDType
	// Reserved is zero when sent and has no meaning, but AUTH covers it as it
	// was sent (section 2.15).
	Reserved [3]byte
	Data     []byte
}

// IDi names the initiator.
type IDi struct{ ID }

// IDr names the responder, or whom the initiator wants to talk to.
type IDr struct{ ID }

// PayloadType implements Payload.
func (IDi) PayloadType() PayloadType { return TypeIDi }

// PayloadType implements Payload.
func (IDr) PayloadType() PayloadType { return TypeIDr }

// ParseID reads the body of an IDi or IDr payload.
func ParseID(b []byte) (ID, error) {
	if len(b) < 4 {
		return ID{}, syntax(TypeIDi, "truncated")
	}
	id := ID{Type: IDType(b[0]), Reserved: [3]byte(b[1:4]), Data: b[4:]}
	switch {
	case id.Type == IDIPv4 && len(id.Data) != 4, id.Type == IDIPv6 && len(id.Data) != 16:
		return ID{}, syntax(TypeIDi, "address of a wrong length")
	case id.Type == IDNull && len(id.Data) != 0, id.Type != IDNull && len(id.Data) == 0:
		return ID{}, syntax(TypeIDi, "wrong length for its type")
	}
	return id, nil
}

// AppendBody implements Payload; its result is also what AUTH covers.
func (id ID) AppendBody(b []byte) []byte {
	b = append(b, byte(id.Type))
	return append(append(b, id.Reserved[:]...), id.Data...)
}
