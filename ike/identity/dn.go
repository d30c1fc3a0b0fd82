package identity

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/warrenvpn/warren/ike/wire"
)

// attributeOIDs are the attribute types that a distinguished name may be
// written with (RFC 4514 section 3 and those of pkix.RDNSequence.String). Others
// are written as "1.2.3=#" and the DER of the value.
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

// dnString prints a distinguished name, or its DER where the bytes are none or
// its text has characters that cannot be printed.
func (id Identity) dnString() string {
	if rdn, _, ok := canonicalDN(id.Data); ok {
		text := rdn.String()
		if text != "" &&
			!strings.ContainsFunc(text, func(r rune) bool { return !strconv.IsPrint(r) || r == '\uFFFD' }) {
			return dnPrefix + text
		}
	}
	return dnPrefix + hexPrefix + hex.EncodeToString([]byte(id.Data))
}

// canonicalDN parses DER without anything after it, and returns its encoding
// with each string in the type that package asn1 chooses for it: authorities
// write the same name as PrintableString or as UTF8String.
func canonicalDN(der string) (pkix.RDNSequence, []byte, bool) {
	var rdn pkix.RDNSequence
	rest, err := asn1.Unmarshal([]byte(der), &rdn)
	if err != nil || len(rest) != 0 {
		return nil, nil, false
	}
	for _, set := range rdn {
		for _, a := range set {
			if _, ok := a.Value.(string); !ok {
				return nil, nil, false
			}
		}
	}
	b, err := asn1.Marshal(rdn)
	return rdn, b, err == nil
}

// equalDN reports whether both are the same name: equal bytes, or equal up to
// the types of their strings.
func equalDN(a, b string) bool {
	if a == b {
		return true
	}
	_, ca, ok := canonicalDN(a)
	_, cb, also := canonicalDN(b)
	return ok && also && bytes.Equal(ca, cb)
}

// parseDN reads what follows "asn1dn:": "#" and DER, or the text of RFC 4514,
// most specific part first.
func parseDN(text string) (Identity, error) {
	if digits, ok := strings.CutPrefix(text, hexPrefix); ok {
		b, err := hex.DecodeString(digits)
		if err != nil || len(b) == 0 {
			return Identity{}, fmt.Errorf("identity: distinguished name %q is not hexadecimal", text)
		}
		return Identity{Type: wire.IDDN, Data: string(b)}, nil
	}
	var rdn pkix.RDNSequence
	parts := splitDN(text, ',')
	for i := len(parts) - 1; i >= 0; i-- {
		var set pkix.RelativeDistinguishedNameSET
		for _, part := range splitDN(parts[i], '+') {
			a, err := parseAttribute(part)
			if err != nil {
				return Identity{}, err
			}
			set = append(set, a)
		}
		rdn = append(rdn, set)
	}
	b, err := asn1.Marshal(rdn)
	if err != nil {
		return Identity{}, fmt.Errorf("identity: distinguished name %q: %w", text, err)
	}
	return Identity{Type: wire.IDDN, Data: string(b)}, nil
}

// parseAttribute reads "CN=value" or "1.2.3=#hex".
func parseAttribute(text string) (pkix.AttributeTypeAndValue, error) {
	var a pkix.AttributeTypeAndValue
	kind, value, _ := strings.Cut(text, "=")
	kind, value = strings.TrimSpace(kind), strings.TrimLeft(value, " ")
	if a.Type = attributeOIDs[strings.ToUpper(kind)]; a.Type == nil {
		for digits := range strings.SplitSeq(kind, ".") {
			n, err := strconv.ParseUint(digits, 10, 31)
			if err != nil {
				return a, fmt.Errorf("identity: distinguished name has no known attribute in %q", text)
			}
			a.Type = append(a.Type, int(n))
		}
	}
	if digits, ok := strings.CutPrefix(value, hexPrefix); ok {
		b, err := hex.DecodeString(digits)
		var raw asn1.RawValue
		if err == nil {
			var rest []byte
			if rest, err = asn1.Unmarshal(b, &raw); len(rest) > 0 {
				err = fmt.Errorf("%d bytes follow", len(rest))
			}
		}
		if err != nil {
			return a, fmt.Errorf("identity: distinguished name has no DER value in %q", text)
		}
		a.Value = raw
		return a, nil
	}
	s, ok := unescapeDN(value)
	if !ok || s == "" {
		return a, fmt.Errorf("identity: distinguished name has an empty or broken value in %q", text)
	}
	a.Value = s
	return a, nil
}

// splitDN cuts text at each sep that is not escaped.
func splitDN(text string, sep byte) []string {
	var parts []string
	start := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case sep:
			parts = append(parts, text[start:i])
			start = i + 1
		}
	}
	return append(parts, text[start:])
}

// unescapeDN removes the escapes of RFC 4514 section 2.4 and spaces at the end
// that are not escaped.
func unescapeDN(s string) (string, bool) {
	var out []byte
	keep := 0 // what trimming must leave
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out = append(out, s[i])
			continue
		}
		if i++; i == len(s) {
			return "", false
		}
		if n, err := strconv.ParseUint(s[i:min(i+2, len(s))], 16, 8); err == nil && i+2 <= len(s) {
			out = append(out, byte(n))
			i++
		} else {
			out = append(out, s[i])
		}
		keep = len(out)
	}
	end := len(out)
	for end > keep && out[end-1] == ' ' {
		end--
	}
	return string(out[:end]), true
}
