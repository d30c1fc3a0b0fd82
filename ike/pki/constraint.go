package pki

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Name constraints of an authority bound the names in the certificates below it (RFC 5280
// section 4.2.1.10). crypto/x509 knows those of domains, mail addresses, addresses and
// URIs, and refuses a certificate with critical ones of another kind. Those of directory
// names, which closed PKIs use, are looked at here.

var (
	oidNameConstraints = asn1.ObjectIdentifier{2, 5, 29, 30}
	oidAltName         = asn1.ObjectIdentifier{2, 5, 29, 17}

	// tagDirectoryName is that of GeneralName, a choice of which one is a name.
	tagDirectoryName = cbasn1.Tag(4).ContextSpecific().Constructed()
)

// knownConstraints are the kinds of names that crypto/x509 looks at.
var knownConstraints = []cbasn1.Tag{
	cbasn1.Tag(1).ContextSpecific(), // rfc822Name
	cbasn1.Tag(2).ContextSpecific(), // dNSName
	cbasn1.Tag(6).ContextSpecific(), // uniformResourceIdentifier
	cbasn1.Tag(7).ContextSpecific(), // iPAddress
}

// maxConstraints bounds the directory names of one authority.
const maxConstraints = 64

// directoryName is a name for comparison: one text for each RDN, the most general first.
type directoryName []string

// constraints are the directory names of an authority.
type constraints struct{ permitted, excluded []directoryName }

// directoryConstraints returns those of a certificate, none where it has none, and false
// where its constraints are not all of a kind that is looked at.
func directoryConstraints(c *x509.Certificate) (out constraints, ok bool) {
	value := extension(c, oidNameConstraints)
	if value == nil {
		return out, true
	}
	s := cryptobyte.String(value)
	var all, permitted, excluded cryptobyte.String
	var has bool
	if !s.ReadASN1(&all, cbasn1.SEQUENCE) || !s.Empty() ||
		!all.ReadOptionalASN1(&permitted, &has, cbasn1.Tag(0).ContextSpecific().Constructed()) ||
		!all.ReadOptionalASN1(&excluded, &has, cbasn1.Tag(1).ContextSpecific().Constructed()) || !all.Empty() {
		return out, false
	}
	return out, readSubtrees(permitted, &out.permitted) && readSubtrees(excluded, &out.excluded)
}

// readSubtrees reads the directory names of GeneralSubtrees, and reports whether all else
// is known to crypto/x509. Minimum and maximum must not be there.
func readSubtrees(s cryptobyte.String, out *[]directoryName) bool {
	for !s.Empty() {
		var subtree, base cryptobyte.String
		var tag cbasn1.Tag
		if !s.ReadASN1(&subtree, cbasn1.SEQUENCE) || !subtree.ReadAnyASN1(&base, &tag) || !subtree.Empty() {
			return false
		}
		if tag != tagDirectoryName {
			if !slices.Contains(knownConstraints, tag) {
				return false
			}
			continue
		}
		name, ok := parseDirectoryName(base)
		if !ok || len(*out) == maxConstraints {
			return false
		}
		*out = append(*out, name)
	}
	return true
}

// parseDirectoryName makes DER comparable: text without regard to case and to how much
// space is where (RFC 5280 section 7.1), and attributes of one RDN in any order. A value
// that is no text makes it unusable.
func parseDirectoryName(der []byte) (directoryName, bool) {
	var name pkix.RDNSequence
	if !unmarshal(der, &name) {
		return nil, false
	}
	out := directoryName{}
	for _, set := range name {
		var parts []string
		for _, a := range set {
			text, ok := a.Value.(string)
			if !ok {
				return nil, false
			}
			parts = append(parts, a.Type.String()+"="+strings.Join(strings.Fields(strings.ToLower(text)), " "))
		}
		slices.Sort(parts)
		out = append(out, strings.Join(parts, "\x00"))
	}
	return out, true
}

// within reports whether n is in the subtree of base.
func (n directoryName) within(base directoryName) bool {
	return len(n) >= len(base) && slices.Equal(n[:len(base)], base)
}

// check returns why the authority ca does not allow the directory names of c, which is
// below it.
func (x *constraints) check(ca, c *x509.Certificate) error {
	if len(x.permitted)+len(x.excluded) == 0 {
		return nil
	}
	for _, der := range directoryNames(c) {
		name, ok := parseDirectoryName(der)
		if !ok {
			return wrong(c, "has a name that cannot be compared with what its authority %s is for", Describe(ca))
		}
		if len(name) == 0 {
			continue
		}
		in := func(base directoryName) bool { return name.within(base) }
		if len(x.permitted) > 0 && !slices.ContainsFunc(x.permitted, in) || slices.ContainsFunc(x.excluded, in) {
			return wrong(c, "has a name that its authority %s must not vouch for", Describe(ca))
		}
	}
	return nil
}

// directoryNames returns the DER of the subject, and of the directory names among the
// alternative names.
func directoryNames(c *x509.Certificate) [][]byte {
	out := [][]byte{c.RawSubject}
	s := cryptobyte.String(extension(c, oidAltName))
	var names cryptobyte.String
	if !s.ReadASN1(&names, cbasn1.SEQUENCE) {
		return out
	}
	for !names.Empty() {
		var name cryptobyte.String
		var tag cbasn1.Tag
		if !names.ReadAnyASN1(&name, &tag) {
			break
		}
		if tag == tagDirectoryName {
			out = append(out, name)
		}
	}
	return out
}

// extension returns the value of an extension, nil where there is none.
func extension(c *x509.Certificate, oid asn1.ObjectIdentifier) []byte {
	for _, e := range c.Extensions {
		if e.Id.Equal(oid) {
			return e.Value
		}
	}
	return nil
}
