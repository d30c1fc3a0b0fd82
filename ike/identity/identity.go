// Package identity is who the ends of an IKE SA say to be (RFC 7296 section 3.5): how
// that is written in configurations and logs, what is the same, and patterns that
// identities match. Nothing of it is proven: see package auth. It does no I/O.
package identity

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/warrenvpn/warren/ike/wire"
)

// Identity is who somebody says to be (RFC 7296 section 3.5). It is comparable,
// and the zero Identity is none.
type Identity struct {
	Type wire.IDType
	Data string // the bytes of the payload: an address is 4 or 16 bytes, a DN is DER
}

// The prefixes of the notations that are not recognised by their form.
const (
	keyIDPrefix = "keyid:"
	dnPrefix    = "asn1dn:"
	fqdnPrefix  = "fqdn:"
	emailPrefix = "email:"
	hexPrefix   = "#"
)

// maxIdentity bounds the text of an identity in a configuration.
const maxIdentity = 1024

var errTooLong = errors.New("identity: identity too long")

// FromWire returns the identity in a payload.
func FromWire(id wire.ID) Identity { return Identity{Type: id.Type, Data: string(id.Data)} }

// Wire returns the content of the payload.
func (id Identity) Wire() wire.ID { return wire.ID{Type: id.Type, Data: []byte(id.Data)} }

// IsZero reports whether id is none.
func (id Identity) IsZero() bool { return id == Identity{} }

// FromAddr returns the identity that is the address a.
func FromAddr(a netip.Addr) Identity {
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return Identity{Type: wire.IDIPv4, Data: string(a.AsSlice())}
	}
	return Identity{Type: wire.IDIPv6, Data: string(a.AsSlice())}
}

// Parse reads the notation of configuration files:
//
//	198.51.100.1, 2001:db8::1   an address
//	gw.example, fqdn:...        a domain name
//	user@example, email:...     a mail address
//	keyid:text, keyid:#0a0b     an opaque key ID, as text or hexadecimal
//	asn1dn:CN=gw, O=Example     a distinguished name; asn1dn:#30... is its DER
func Parse(text string) (Identity, error) {
	if len(text) > maxIdentity {
		return Identity{}, errTooLong
	}
	return parse(text)
}

// parse is Parse of a text of any length.
func parse(text string) (Identity, error) {
	if rest, ok := strings.CutPrefix(text, keyIDPrefix); ok {
		return parseKeyID(rest)
	}
	if rest, ok := strings.CutPrefix(text, dnPrefix); ok {
		return parseDN(rest)
	}
	kind, name := wire.IDFQDN, text
	if rest, ok := strings.CutPrefix(text, fqdnPrefix); ok {
		name = rest
	} else if rest, ok := strings.CutPrefix(text, emailPrefix); ok {
		kind, name = wire.IDRFC822, rest
	} else if a, err := netip.ParseAddr(text); err == nil {
		if a.Zone() != "" {
			return Identity{}, fmt.Errorf("identity: identity %q has a zone", text)
		}
		return FromAddr(a), nil
	} else if strings.Contains(text, "@") {
		kind = wire.IDRFC822
	}
	if name == "" || !isPlain(name) {
		return Identity{}, fmt.Errorf("identity: identity %q is neither a name nor an address", text)
	}
	return Identity{Type: kind, Data: name}, nil
}

// parseKeyID reads what follows "keyid:".
func parseKeyID(text string) (Identity, error) {
	data := text
	if digits, ok := strings.CutPrefix(text, hexPrefix); ok {
		b, err := hex.DecodeString(digits)
		if err != nil {
			return Identity{}, fmt.Errorf("identity: key ID %q is not hexadecimal", text)
		}
		data = string(b)
	}
	if data == "" {
		return Identity{}, errors.New("identity: empty key ID")
	}
	return Identity{Type: wire.IDKeyID, Data: data}, nil
}

// String returns the notation of Parse. Names and key IDs with bytes
// other than printable ASCII are quoted or written in hexadecimal, so that no
// peer can write control characters, or another identity, into a log.
func (id Identity) String() string {
	switch id.Type {
	case wire.IDIPv4, wire.IDIPv6:
		// An IPv4 address inside IPv6 is not the IPv4 address.
		if a, ok := netip.AddrFromSlice([]byte(id.Data)); ok && FromAddr(a) == id {
			return a.String()
		}
	case wire.IDFQDN, wire.IDRFC822:
		return id.nameString()
	case wire.IDKeyID:
		if isPlain(id.Data) && !strings.HasPrefix(id.Data, hexPrefix) {
			return keyIDPrefix + id.Data
		}
		return keyIDPrefix + hexPrefix + hex.EncodeToString([]byte(id.Data))
	case wire.IDDN:
		return id.dnString()
	case 0:
		if id.Data == "" {
			return ""
		}
	}
	return fmt.Sprintf("%v %s%x", id.Type, hexPrefix, id.Data)
}

// nameString prints a name, with its kind where its form does not show it.
func (id Identity) nameString() string {
	if !isPlain(id.Data) {
		return id.Type.String() + " " + strconv.QuoteToASCII(id.Data)
	}
	if p, err := Parse(id.Data); err == nil && p == id && id.Data != "*" {
		return id.Data
	}
	if id.Type == wire.IDFQDN {
		return fqdnPrefix + id.Data
	}
	return emailPrefix + id.Data
}

// isPlain reports whether s is printable ASCII without spaces and quotes.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || s[i] == '"' || s[i] == '\\' {
			return false
		}
	}
	return s != ""
}
