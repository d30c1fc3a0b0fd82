package identity

import (
	"encoding/hex"

	"github.com/warrenvpn/warren/ike/wire"
)

// The text forms carry identities and patterns that were parsed from one process to
// another, byte by byte as they are.

// maxText bounds the text of an identity: two digits for each byte of the longest.
const maxText = 4 * maxIdentity

// MarshalText implements encoding.TextMarshaler: the notation of Parse, "" for
// none. A distinguished name is its DER, since one name has many encodings.
func (id Identity) MarshalText() ([]byte, error) {
	if id.Type == wire.IDDN {
		return []byte(dnPrefix + hexPrefix + hex.EncodeToString([]byte(id.Data))), nil
	}
	return []byte(id.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (id *Identity) UnmarshalText(text []byte) (err error) {
	*id = Identity{}
	if len(text) > maxText {
		return errTooLong
	}
	if len(text) > 0 {
		*id, err = parse(string(text))
	}
	return err
}

// MustParse is Parse of a text that the program knows; it panics where
// that is none.
func MustParse(text string) Identity {
	id, err := Parse(text)
	if err != nil {
		panic("identity: internal error: " + err.Error())
	}
	return id
}

// MustParsePattern is ParsePattern of a text that the program knows; it panics where
// that is none.
func MustParsePattern(text string) Pattern {
	p, err := ParsePattern(text)
	if err != nil {
		panic("identity: internal error: " + err.Error())
	}
	return p
}

// String returns the notation of ParsePattern that the pattern was read from; "" for
// the zero Pattern.
func (p Pattern) String() string { return p.text }

// MarshalText implements encoding.TextMarshaler: what String returns.
func (p Pattern) MarshalText() ([]byte, error) { return []byte(p.text), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Pattern) UnmarshalText(text []byte) (err error) {
	*p = Pattern{}
	if len(text) > 0 {
		*p, err = ParsePattern(string(text))
	}
	return err
}

// Equal reports whether both were read from the same text.
func (p Pattern) Equal(o Pattern) bool { return p.text == o.text }
