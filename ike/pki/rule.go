package pki

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Rule is one line of a certificate map, in the words of the appliance world:
//
//	subject-name|issuer-name [attr TAG] eq|ne|co|nc VALUE
//	alt-subject-name eq|ne|co|nc VALUE
//	serial-number eq|ne VALUE
//	extended-key-usage co|nc USAGE
//
// eq: equal, ne: not, co: contains, nc: does not contain. Case does not count. Where a
// certificate has several values, eq and co hold for one that fits, ne and nc where none
// does. A Rule does not change.
type Rule struct {
	field     string
	attribute asn1.ObjectIdentifier // of a name; nil: all of it, as it is written
	operator  string
	value     string // in lower case; of a usage its OID
}

// The fields of rules, and the operators that each of them has.
const (
	fieldSubject = "subject-name"
	fieldIssuer  = "issuer-name"
	fieldAltName = "alt-subject-name"
	fieldSerial  = "serial-number"
	fieldUsage   = "extended-key-usage"
)

var ruleOperators = map[string][]string{
	fieldSubject: {"eq", "ne", "co", "nc"},
	fieldIssuer:  {"eq", "ne", "co", "nc"},
	fieldAltName: {"eq", "ne", "co", "nc"},
	fieldSerial:  {"eq", "ne"},
	fieldUsage:   {"co", "nc"},
}

// ruleAttributes are the tags of the parts of a name.
var ruleAttributes = map[string]asn1.ObjectIdentifier{
	"cn": {2, 5, 4, 3}, "sn": {2, 5, 4, 4}, "ser": {2, 5, 4, 5}, "c": {2, 5, 4, 6}, "l": {2, 5, 4, 7},
	"sp": {2, 5, 4, 8}, "st": {2, 5, 4, 8}, "o": {2, 5, 4, 10}, "ou": {2, 5, 4, 11}, "t": {2, 5, 4, 12},
	"n": {2, 5, 4, 41}, "gn": {2, 5, 4, 42}, "i": {2, 5, 4, 43}, "genq": {2, 5, 4, 44}, "dnq": {2, 5, 4, 46},
	"ea": {1, 2, 840, 113549, 1, 9, 1}, "uid": {0, 9, 2342, 19200300, 100, 1, 1},
	"dc": {0, 9, 2342, 19200300, 100, 1, 25},
}

// ruleUsages are the words of extended-key-usage; any other is an OID in dots.
var ruleUsages = map[string]string{
	"any": "2.5.29.37.0", "serverauth": "1.3.6.1.5.5.7.3.1", "clientauth": "1.3.6.1.5.5.7.3.2",
	"codesigning": "1.3.6.1.5.5.7.3.3", "emailprotection": "1.3.6.1.5.5.7.3.4", "timestamping": "1.3.6.1.5.5.7.3.8",
	"ocspsigning": "1.3.6.1.5.5.7.3.9", "ipsecike": "1.3.6.1.5.5.7.3.17",
}

var oidExtKeyUsage = asn1.ObjectIdentifier{2, 5, 29, 37}

// maxRule bounds the text of a rule.
const maxRule = 512

// ParseRule reads a rule. The text of an error is for who wrote it.
func ParseRule(text string) (Rule, error) {
	if len(text) > maxRule {
		return Rule{}, ruleError("has more than %d bytes", maxRule)
	}
	var r Rule
	r.field, text = word(text)
	operators, ok := ruleOperators[r.field]
	if !ok {
		return Rule{}, ruleError("begins with subject-name, issuer-name, alt-subject-name, serial-number or " +
			"extended-key-usage")
	}
	r.operator, text = word(text)
	if r.operator == "attr" && (r.field == fieldSubject || r.field == fieldIssuer) {
		var tag string
		tag, text = word(text)
		if r.attribute = ruleAttributes[tag]; r.attribute == nil {
			return Rule{}, ruleError("has no known attribute behind attr, such as cn, o, ou, ea or dc, but %q", tag)
		}
		r.operator, text = word(text)
	}
	if !slices.Contains(operators, r.operator) {
		return Rule{}, ruleError("compares %s with one of %s, and not with %q", r.field, strings.Join(operators, ", "),
			r.operator)
	}
	if r.value = strings.ToLower(text); r.value == "" {
		return Rule{}, ruleError("has nothing to compare with behind %s", r.operator)
	}
	return r, r.complete()
}

// Equal reports whether both hold for the same certificates, for the same reason.
func (r Rule) Equal(o Rule) bool {
	return r.field == o.field && r.attribute.Equal(o.attribute) && r.operator == o.operator && r.value == o.value
}

// ruleError is what is wrong with a rule.
func ruleError(format string, args ...any) error {
	return &Error{"a rule for certificates", fmt.Sprintf(format, args...)}
}

// word cuts the first word off, in lower case, and the spaces behind it.
func word(text string) (first, rest string) {
	first, rest, _ = strings.Cut(strings.TrimLeft(text, " "), " ")
	return strings.ToLower(first), strings.Trim(rest, " ")
}

// complete reads the value where it is more than text.
func (r *Rule) complete() error {
	switch r.field {
	case fieldSerial:
		digits := strings.ReplaceAll(r.value, ":", "")
		if digits == "" || strings.Trim(digits, "0123456789abcdef") != "" {
			return ruleError("has a serial-number that is not hexadecimal, %q", r.value)
		}
		if r.value = strings.TrimLeft(digits, "0"); r.value == "" {
			r.value = "0"
		}
	case fieldUsage:
		if oid, ok := ruleUsages[r.value]; ok {
			r.value = oid
			return nil
		}
		for part := range strings.SplitSeq(r.value, ".") {
			if n, err := strconv.ParseUint(part, 10, 31); err != nil || strconv.FormatUint(n, 10) != part {
				return ruleError("has an unknown extended-key-usage, %q: a word such as clientauth, or an OID in dots",
					r.value)
			}
		}
	}
	return nil
}

// Matches reports whether the rule holds for a certificate. Whether that certificate is to
// be believed is another question.
func (r Rule) Matches(c *x509.Certificate) bool {
	values, ok := r.values(c)
	if !ok {
		return false
	}
	fits := func(v string) bool { return v == r.value }
	if (r.operator == "co" || r.operator == "nc") && r.field != fieldUsage {
		fits = func(v string) bool { return strings.Contains(v, r.value) }
	}
	return slices.ContainsFunc(values, fits) == (r.operator == "eq" || r.operator == "co")
}

// values returns what the rule compares with, in lower case, and false where a part of it
// cannot be read: then no rule holds.
func (r *Rule) values(c *x509.Certificate) (out []string, ok bool) {
	switch r.field {
	case fieldSubject:
		return r.names(c.RawSubject, strings.TrimPrefix(Subject(c).String(), "asn1dn:"))
	case fieldIssuer:
		return r.names(c.RawIssuer, strings.TrimPrefix(Issuer(c).String(), "asn1dn:"))
	case fieldAltName:
		out = append(out, c.DNSNames...)
		out = append(out, c.EmailAddresses...)
		for _, a := range c.IPAddresses {
			if ip, ok := netip.AddrFromSlice(a); ok {
				out = append(out, ip.String())
			}
		}
		for _, u := range c.URIs {
			out = append(out, u.String())
		}
	case fieldSerial:
		out = append(out, c.SerialNumber.Text(16))
	case fieldUsage:
		var usages []asn1.ObjectIdentifier
		if b := extension(c, oidExtKeyUsage); b != nil && !unmarshal(b, &usages) {
			return nil, false
		}
		for _, u := range usages {
			out = append(out, u.String())
		}
	}
	for i := range out {
		out[i] = strings.ToLower(out[i])
	}
	return out, true
}

// names returns a name, of which text is how it is written, or the values of an attribute
// in it.
func (r *Rule) names(der []byte, text string) (out []string, ok bool) {
	var name pkix.RDNSequence
	if !unmarshal(der, &name) {
		return nil, false
	}
	if r.attribute == nil {
		return []string{strings.ToLower(text)}, true
	}
	for _, set := range name {
		for _, a := range set {
			if !a.Type.Equal(r.attribute) {
				continue
			}
			value, isText := a.Value.(string)
			if !isText {
				return nil, false
			}
			out = append(out, strings.ToLower(value))
		}
	}
	return out, true
}
