package pki

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
)

// Certificate policies say what an authority has looked at before it vouched for somebody
// (RFC 5280 section 4.2.1.4). What authorities write of them for those below, crypto/x509
// follows; what whoever verifies asks for, is looked at here.

// MaxPolicies bounds those that one asks for.
const MaxPolicies = 16

// anyPolicy of an authority stands for all policies.
const anyPolicy = "2.5.29.32.0"

// ParsePolicy reads the OID of a policy, in dots.
func ParsePolicy(text string) (x509.OID, error) {
	oid, err := x509.ParseOID(text)
	if err != nil || oid.String() == anyPolicy {
		return x509.OID{}, &Error{"a certificate policy",
			fmt.Sprintf("is an OID in dots such as 1.3.6.1.4.1.36906.1.1, and not %q", text)}
	}
	return oid, nil
}

// checkPolicies returns why a path has none of the policies that are asked for: the leaf
// names one of them, and each authority below the one that is trusted the same one, or any.
// Mappings of one policy to another are not followed.
func (t *Trust) checkPolicies(path []*x509.Certificate) error {
	if len(t.cfg.Policies) == 0 {
		return nil
	}
	lacks := path[0]
	for _, p := range t.cfg.Policies {
		if !slices.ContainsFunc(path[0].Policies, p.Equal) {
			continue
		}
		i := slices.IndexFunc(path[1:len(path)-1], func(ca *x509.Certificate) bool {
			return !slices.ContainsFunc(ca.Policies, func(o x509.OID) bool {
				return p.Equal(o) || o.String() == anyPolicy
			})
		})
		if i < 0 {
			return nil
		}
		lacks = path[i+1]
	}
	var names []string
	for _, p := range t.cfg.Policies {
		names = append(names, p.String())
	}
	return wrong(lacks, "has no certificate policy that is asked for: %s", strings.Join(names, ", "))
}
