package identity

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"strings"
)

// dnPattern is a distinguished name of which some values are free. It names
// every RDN: a name with more or fewer of them does not match.
type dnPattern struct {
	rdns [][]dnValue // most general one first, as in DER
	// fixed is how much of the name is not free: bytes of values and types.
	fixed int
}

// dnValue is one attribute of an RDN.
type dnValue struct {
	kind  string // its OID, in dots
	value string // "" where free
	free  bool
}

// parseDNPattern reads what follows "asn1dn:", and returns nil without an error
// for a name in which nothing is free: that is an identity.
func parseDNPattern(text string) (*dnPattern, error) {
	if strings.HasPrefix(text, hexPrefix) {
		return nil, nil
	}
	p, free := &dnPattern{}, false
	parts := splitDN(text, ',')
	for i := len(parts) - 1; i >= 0; i-- {
		var rdn []dnValue
		for _, part := range splitDN(parts[i], '+') {
			v, err := parseDNValue(part)
			if err != nil {
				return nil, err
			}
			for _, o := range rdn {
				if o.kind == v.kind && (o.free || v.free) {
					return nil, fmt.Errorf("identity: distinguished name %q has a free attribute twice in one RDN",
						text)
				}
			}
			free = free || v.free
			p.fixed += len(v.kind) + len(v.value)
			rdn = append(rdn, v)
		}
		p.rdns = append(p.rdns, rdn)
	}
	if !free {
		return nil, nil
	}
	return p, nil
}

// parseDNValue reads "CN=value", or "CN=*" for a free value.
func parseDNValue(text string) (dnValue, error) {
	kind, raw, _ := strings.Cut(text, "=")
	free := strings.Trim(raw, " ") == "*"
	if free {
		text = kind + "=free"
	}
	a, err := parseAttribute(text)
	if err != nil {
		return dnValue{}, err
	}
	v := dnValue{kind: a.Type.String(), free: free}
	if free {
		return v, nil
	}
	var ok bool
	if v.value, ok = stringValue(a.Value); !ok {
		return dnValue{},
			fmt.Errorf("identity: distinguished name has a value beside its pattern that is no text, in %q", text)
	}
	return v, nil
}

// stringValue returns the text of an attribute's value, and false where it is
// none.
func stringValue(v any) (string, bool) {
	if raw, ok := v.(asn1.RawValue); ok {
		v = nil
		if rest, err := asn1.Unmarshal(raw.FullBytes, &v); err != nil || len(rest) > 0 {
			return "", false
		}
	}
	s, ok := v.(string)
	return s, ok
}

// matches reports whether der is a name of the pattern. Nothing may follow the
// name.
func (p *dnPattern) matches(der string) bool {
	var name pkix.RDNSequence
	rest, err := asn1.Unmarshal([]byte(der), &name)
	if err != nil || len(rest) != 0 || len(name) != len(p.rdns) {
		return false
	}
	for i, set := range name {
		if !matchesRDN(p.rdns[i], set) {
			return false
		}
	}
	return true
}

// matchesRDN reports whether a set has the attributes of rdn, in any order, and
// no other.
func matchesRDN(rdn []dnValue, set pkix.RelativeDistinguishedNameSET) bool {
	if len(set) != len(rdn) {
		return false
	}
	used := make([]bool, len(rdn))
	for _, a := range set {
		found := false
		for j, v := range rdn {
			if used[j] || a.Type.String() != v.kind {
				continue
			}
			if s, ok := stringValue(a.Value); v.free || ok && s == v.value {
				used[j], found = true, true
				break
			}
		}
		if !found {
			return false
		}
	}
	return true
}

// overlaps reports whether one name may be of both patterns.
func (p *dnPattern) overlaps(o *dnPattern) bool {
	if len(p.rdns) != len(o.rdns) {
		return false
	}
	for i := range p.rdns {
		if !overlapRDN(p.rdns[i], o.rdns[i]) {
			return false
		}
	}
	return true
}

// overlapRDN reports whether one set may be of both.
func overlapRDN(a, b []dnValue) bool {
	if len(a) != len(b) {
		return false
	}
	used := make([]bool, len(b))
	for _, v := range a {
		found := false
		for j, o := range b {
			if !used[j] && v.kind == o.kind && (v.free || o.free || v.value == o.value) {
				used[j], found = true, true
				break
			}
		}
		if !found {
			return false
		}
	}
	return true
}
