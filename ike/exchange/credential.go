package exchange

import (
	"crypto/x509"
	"slices"

	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/pki"
	"github.com/warrenvpn/warren/internal/secret"
)

// Credential is what one end of an IKE SA proves its identity with, or what the
// other end verifies that proof with. A version of IKE knows what to do with those
// of this package, and with those that know it themselves; its Configure refuses
// all others. nil is none: nobody can be let in with it.
type Credential interface {
	// Same reports whether o proves the same.
	Same(o Credential) bool
}

// PSK is a pre-shared key; an empty one is none.
type PSK struct{ Key secret.Value }

// Same implements Credential.
func (p PSK) Same(o Credential) bool {
	q, ok := o.(PSK)
	return ok && p.Key.Equal(q.Key)
}

// Certificate is what we prove ourselves with: a chain, and a private key.
type Certificate struct {
	Own *pki.Own
	// SHA1: RSA signatures for peers that know nothing of RFC 7427 have SHA-1.
	SHA1 bool
}

// Same implements Credential. One that was renewed proves the same: who we are is in the
// Profile.
func (c Certificate) Same(o Credential) bool {
	_, ok := o.(Certificate)
	return ok
}

// Authorities are whom certificates of peers are verified against.
type Authorities struct {
	Trust *pki.Trust
	// SHA1: RSA signatures with SHA-1 are accepted.
	SHA1 bool
}

// Same implements Credential: o trusts whomever a trusts, and may trust others, too. CRLs
// are looked at when a peer connects.
func (a Authorities) Same(o Credential) bool {
	b, ok := o.(Authorities)
	return ok && !slices.ContainsFunc(a.Trust.Authorities(), func(c *x509.Certificate) bool {
		return !slices.ContainsFunc(b.Trust.Authorities(), c.Equal)
	})
}

// SameCredential reports whether both are the same, or none.
func SameCredential(a, b Credential) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return a.Same(b)
}

// IdentityCredential is the credential of one identity.
type IdentityCredential struct {
	Identity   identity.Identity
	Credential Credential
}
