package ikev2

import (
	"fmt"

	"github.com/warrenvpn/warren/ike/auth"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/pki"
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
	case exchange.Certificate: // see signer
		return auth.PSK{}, true
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
	case exchange.Authorities, exchange.EAP: // see examiner, and eapAuth
		return auth.PSK{}, true
	case auth.Verifier:
		return c, true
	}
	return auth.PSK{}, false
}

// signer makes our proof by certificate; nil: the prover does, by another method.
func (p *profile) signer() *auth.Signer {
	if c, ok := p.Local.(exchange.Certificate); ok {
		return &auth.Signer{Own: c.Own, SHA1: c.SHA1}
	}
	return nil
}

// examiner verifies the proof by certificate of a peer called id, which is that end; nil:
// the verifier does, by another method.
func (p *profile) examiner(id identity.Identity, end pki.End) *auth.Examiner {
	if c, ok := p.remote(id).(exchange.Authorities); ok {
		return &auth.Examiner{Trust: c.Trust, End: end, SHA1: c.SHA1}
	}
	return nil
}

// signs reports whether either side of the profile proves itself by certificate.
func (p *profile) signs() bool {
	_, ours := p.Local.(exchange.Certificate)
	return ours || len(p.examiners()) > 0
}

// examiners are those of all peers.
func (p *profile) examiners() (out []*auth.Examiner) {
	if len(p.Remotes) == 0 {
		if x := p.examiner(identity.Identity{}, pki.AnyEnd); x != nil {
			out = append(out, x)
		}
	}
	for _, k := range p.Remotes {
		if x := p.examiner(k.Identity, pki.AnyEnd); x != nil {
			out = append(out, x)
		}
	}
	return out
}

// checkCredentials refuses credentials that IKEv2 has no method for. A method of several
// rounds that is not EAP does not go together with a certificate of the side that asks.
func (p *profile) checkCredentials() error {
	if _, ok := proverOf(p.Local); !ok {
		return fmt.Errorf("local credential %T proves nothing", p.Local)
	}
	verifier, ok := verifierOf(p.Remote)
	if !ok {
		return fmt.Errorf("remote credential %T verifies nothing", p.Remote)
	}
	_, asks := verifier.(auth.Challenger)
	if asks && p.signer() != nil {
		return fmt.Errorf("credentials %T and %T do not go together", p.Local, p.Remote)
	}
	for _, k := range p.Remotes {
		if _, ok := verifierOf(k.Credential); !ok {
			return fmt.Errorf("credential %T of %v verifies nothing", k.Credential, k.Identity)
		}
	}
	return nil
}

// byCertificate reports whether c verifies certificates.
func byCertificate(c exchange.Credential) bool {
	_, is := c.(exchange.Authorities)
	return is
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
