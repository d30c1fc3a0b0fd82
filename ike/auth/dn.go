package auth

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/warrenvpn/warren/ike/wire"
)

// attributeOIDs are the attribute types that a distinguished name may be
// written with (RFC 4514 section 3 and those of pkix.RDNSequence.String).
var attributeOIDs = map[string]asn1.ObjectIdentifier{
	"CN":           {2, 5, 4, 3},
	"SERIALNUMBER": {2, 5, 4, 5},
	"C":            {2, 5, 4, 6},
	"L":            {2, 5, 4, 7},
	"ST":           {2, 5, 4, 8},
	"STREET":       {2, 5, 4, 9},
	"O":            {2, 5, 4, 10},
	"OU":           {2, 5, 4, 11},
	"POSTALCODE":   {2, 5, 4, 17},
}

// parseDN reads what follows "asn1dn:": "#" and DER, or the text of RFC 4514
// (most specific part first), one attribute in each part.
func parseDN(text string) (Identity, error) {
	if digits, ok := strings.CutPrefix(text, hexPrefix); ok {
		b, err := hex.DecodeString(digits)
		if err != nil || len(b) == 0 {
			return Identity{}, fmt.Errorf("auth: distinguished name %q is not hexadecimal", text)
		}
		return Identity{Type: wire.IDDN, Data: string(b)}, nil
	}
	parts, err := splitDN(text)
	if err != nil {
		return Identity{}, err
	}
	var rdn pkix.RDNSequence
	for i := len(parts) - 1; i >= 0; i-- {
		kind, value, ok := strings.Cut(parts[i], "=")
		oid := attributeOIDs[strings.ToUpper(strings.TrimSpace(kind))]
		if !ok || oid == nil {
			return Identity{}, fmt.Errorf("auth: distinguished name has no known attribute in %q", parts[i])
		}
		value, err := unescapeDN(strings.TrimSpace(value))
		if err != nil {
			return Identity{}, err
		}
		rdn = append(rdn, []pkix.AttributeTypeAndValue{{Type: oid, Value: value}})
	}
	b, err := asn1.Marshal(rdn)
	if err != nil {
		return Identity{}, fmt.Errorf("auth: distinguished name %q: %w", text, err)
	}
	return Identity{Type: wire.IDDN, Data: string(b)}, nil
}

// splitDN cuts text at the commas that are not escaped.
func splitDN(text string) ([]string, error) {
	var parts []string
	start := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case ',':
			parts = append(parts, text[start:i])
			start = i + 1
		case '+':
			return nil, fmt.Errorf("auth: distinguished name %q has two attributes in one part; write its DER", text)
		}
	}
	return append(parts, text[start:]), nil
}

// unescapeDN removes the escapes of RFC 4514 section 2.4.
func unescapeDN(s string) (string, error) {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out.WriteByte(s[i])
			continue
		}
		if i++; i == len(s) {
			return "", fmt.Errorf("auth: distinguished name ends in an escape: %q", s)
		}
		if n, err := strconv.ParseUint(s[i:min(i+2, len(s))], 16, 8); err == nil && i+2 <= len(s) {
			out.WriteByte(byte(n))
			i++
			continue
		}
		out.WriteByte(s[i])
	}
	if out.Len() == 0 {
		return "", fmt.Errorf("auth: distinguished name has an empty value")
	}
	return out.String(), nil
}
