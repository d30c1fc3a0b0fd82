package pki

import (
	"crypto/x509"
	"slices"

	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/wire"
)

// CheckName returns why a certificate does not have the identity id (RFC 4945 section 3):
// a distinguished name is its subject, whatever the types of the strings are; names and
// addresses are among its alternative names, whole, and none of them is a pattern. What is
// in the common name names nobody, and no certificate has a key ID.
func CheckName(c *x509.Certificate, id identity.Identity) error {
	found := false
	switch id.Type {
	case wire.IDDN:
		found = Subject(c).Equal(id)
	case wire.IDFQDN:
		found = slices.ContainsFunc(c.DNSNames, func(name string) bool {
			return identity.Identity{Type: wire.IDFQDN, Data: name}.Equal(id)
		})
	case wire.IDRFC822:
		found = slices.ContainsFunc(c.EmailAddresses, func(name string) bool {
			return identity.Identity{Type: wire.IDRFC822, Data: name}.Equal(id)
		})
	case wire.IDIPv4, wire.IDIPv6:
		for _, a := range c.IPAddresses {
			found = found || string(a) == id.Data
		}
	}
	if !found {
		return wrong(c, "does not have the name %v among its subject and its alternative names", id)
	}
	return nil
}
