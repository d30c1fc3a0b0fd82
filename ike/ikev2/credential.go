package ikev2

import (
	"fmt"

	"github.com/warrenvpn/warren/ike/auth"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/wire"
)

// What a side proves itself with, and what a peer's proof is verified with, comes
// from the profile and from nowhere else. To add an authentication method: a
// credential that implements auth.Prover and auth.Verifier, or a value in package
// exchange and a case in proverOf and verifierOf.

// prover proves who we are.
func (p *profile) prover() auth.Prover {
	prover, _ := proverOf(p.Local)
	return prover
}

// verifier verifies the proof of a peer called id.
func (p *profile) verifier(id identity.Identity) auth.Verifier {
	verifier, _ := verifierOf(p.remote(id))
	return verifier
}

// remote returns the credential that a peer called id has; nil: none.
func (p *profile) remote(id identity.Identity) exchange.Credential {
	if len(p.Remotes) == 0 {
		return p.Remote
	}
	for _, k := range p.Remotes {
		if k.Identity.Equal(id) {
			return k.Credential
		}
	}
	return nil
}

// proverOf returns what proves an identity with c, and false for what cannot. No
// credential proves nothing.
func proverOf(c exchange.Credential) (auth.Prover, bool) {
	switch c := c.(type) {
	case nil:
		return auth.PSK{}, true
	case exchange.PSK:
		return auth.PSK{Key: c.Key}, true
	case auth.Prover:
		return c, true
	}
	return auth.PSK{}, false
}

// verifierOf returns what verifies a proof with c, and false for what cannot.
// Without a credential nothing is accepted, in the time of a wrong key.
func verifierOf(c exchange.Credential) (auth.Verifier, bool) {
	switch c := c.(type) {
	case nil:
		return auth.PSK{}, true
	case exchange.PSK:
		return auth.PSK{Key: c.Key}, true
	case auth.Verifier:
		return c, true
	}
	return auth.PSK{}, false
}

// checkCredentials refuses credentials that IKEv2 has no method for.
func (p *profile) checkCredentials() error {
	if _, ok := proverOf(p.Local); !ok {
		return fmt.Errorf("local credential %T proves nothing", p.Local)
	}
	if _, ok := verifierOf(p.Remote); !ok {
		return fmt.Errorf("remote credential %T verifies nothing", p.Remote)
	}
	for _, k := range p.Remotes {
		if _, ok := verifierOf(k.Credential); !ok {
			return fmt.Errorf("credential %T of %v verifies nothing", k.Credential, k.Identity)
		}
	}
	return nil
}

// lacks reports whether c is no credential.
func lacks(c exchange.Credential) bool {
	psk, ok := c.(exchange.PSK)
	return c == nil || ok && psk.Key.Len() == 0
}

// noun names what v verifies with, for the operator.
func noun(v auth.Verifier) string {
	if v.Method() == wire.AuthSharedKey {
		return "pre-shared key"
	}
	return v.Method().String()
}

// nounOf is noun with its article, where it needs one.
func nounOf(v auth.Verifier) string {
	if v.Method() == wire.AuthSharedKey {
		return "a pre-shared key"
	}
	return v.Method().String()
}
