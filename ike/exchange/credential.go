package exchange

import (
	"github.com/warrenvpn/warren/ike/identity"
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
