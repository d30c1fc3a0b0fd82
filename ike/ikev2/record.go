package ikev2

type ikeState struct{}
type windowState struct{}

// Append appends the record as a journal or the wire to a standby carries it.
func (r Record) Append(b []byte) []byte { return b }

// ParseRecord reads what Append wrote.
func ParseRecord(b []byte) (Record, error) { return Record{}, nil }
