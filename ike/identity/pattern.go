package identity

import (
	"fmt"
	"strings"

	"github.com/warrenvpn/warren/ike/wire"
)

// Pattern says which identities are acceptable. The zero Pattern matches none.
type Pattern struct {
	text   string // that it was read from
	any    bool
	exact  Identity
	kind   wire.IDType // of a wildcard
	suffix string      // of a wildcard: "@example.com" or ".example.com", in lower case
	dn     *dnPattern  // of distinguished names; nil: none
}

// ParsePattern reads "*" (everybody), "*@example.com" (every mail address of
// that very domain), "*.example.com" (every domain name below it), a
// distinguished name with "*" as the value of each RDN that is free, such as
// "asn1dn:CN=*,OU=laptops,O=Example", or one identity in the notation of
// Parse. A star that is meant literally is written "\*" in a
// distinguished name.
func ParsePattern(text string) (Pattern, error) {
	if text == "*" {
		return Pattern{text: text, any: true}, nil
	}
	if rest, ok := strings.CutPrefix(text, dnPrefix); ok && len(text) <= maxIdentity {
		if dn, err := parseDNPattern(rest); dn != nil || err != nil {
			return Pattern{text: text, dn: dn}, err
		}
	}
	rest, wild := strings.CutPrefix(text, "*")
	if !wild {
		id, err := Parse(text)
		return Pattern{text: text, exact: id}, err
	}
	p := Pattern{text: text, suffix: strings.ToLower(rest)}
	switch {
	case len(rest) > 1 && rest[0] == '@':
		p.kind = wire.IDRFC822
	case len(rest) > 1 && rest[0] == '.':
		p.kind = wire.IDFQDN
	}
	if p.kind == 0 || !isPlain(rest) || strings.ContainsAny(rest[1:], "*@") {
		return Pattern{}, fmt.Errorf(`auth: pattern %q is not "*", "*@domain", "*.domain" or an identity`, text)
	}
	return p, nil
}

// Matches reports whether id is acceptable. Comparing is that of Equal; a name
// with other bytes than printable ASCII matches "*" only.
func (p Pattern) Matches(id Identity) bool {
	if p.any {
		return !id.IsZero()
	}
	if p.dn != nil {
		return id.Type == wire.IDDN && p.dn.matches(id.Data)
	}
	name := id.Type == wire.IDFQDN || id.Type == wire.IDRFC822
	if name && !isPlain(id.Data) {
		return false
	}
	if p.kind == 0 {
		return !id.IsZero() && p.exact.Equal(id)
	}
	lower := strings.ToLower(id.Data)
	if id.Type != p.kind || len(lower) <= len(p.suffix) || !strings.HasSuffix(lower, p.suffix) {
		return false
	}
	label := lower[:len(lower)-len(p.suffix)]
	return p.kind == wire.IDFQDN && !strings.HasPrefix(label, ".") || p.kind == wire.IDRFC822 &&
		!strings.Contains(label, "@")
}

// Equal reports whether both are the same: names of printable ASCII without
// regard to case, distinguished names without regard to the types of their
// strings, everything else byte by byte.
func (id Identity) Equal(o Identity) bool {
	switch {
	case id.Type != o.Type:
		return false
	case id.Type == wire.IDDN:
		return equalDN(id.Data, o.Data)
	case id.Type == wire.IDFQDN || id.Type == wire.IDRFC822:
		return id.Data == o.Data || isPlain(id.Data) && isPlain(o.Data) && strings.EqualFold(id.Data, o.Data)
	}
	return id.Data == o.Data
}
