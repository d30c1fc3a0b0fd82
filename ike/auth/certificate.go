package auth

import (
	"bytes"
	"crypto/sha1"
	"crypto/x509"
	"errors"
	"time"

	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/pki"
	"github.com/warrenvpn/warren/ike/wire"
)

// Certificates prove an identity by a signature, whose arithmetic takes up to milliseconds.
// So Signer and Examiner are no Prover and no Verifier: what they do is for a goroutine
// that nobody waits for. Both may be used by several at once.

// Signer makes our proof with the private key of a certificate.
type Signer struct {
	Own *pki.Own
	// SHA1: a peer that knows nothing of RFC 7427 gets an RSA signature with SHA-1.
	SHA1 bool
}

// Certificates are the CERT payloads that go with the proof, that of the key first (RFC
// 7296 section 3.6).
func (s *Signer) Certificates() []wire.Payload {
	var out []wire.Payload
	for _, c := range s.Own.Chain {
		out = append(out, wire.Cert{Encoding: wire.CertX509, Data: c.Raw})
	}
	return out
}

// Sign makes the proof for a peer that understands hashes.
func (s *Signer) Sign(hashes Hashes, octets []byte) (wire.Auth, error) {
	return Sign(s.Own.Key, hashes, s.SHA1, octets)
}

// Examiner verifies proofs by certificate.
type Examiner struct {
	Trust *pki.Trust
	End   pki.End // what the peers are
	// SHA1: RSA signatures with SHA-1 are accepted.
	SHA1 bool
}

// Claim is what a peer says of itself, and signs. It shares no memory that changes.
type Claim struct {
	ID           identity.Identity
	Certificates [][]byte // DER, the peer's own first
	Octets       []byte
	Proof        wire.Auth
}

// ClaimOf takes the certificates of a message: those that are X.509, of which there may be
// pki.MaxChain. Certificates by hash and URL are not fetched (RFC 7296 section 3.6).
func ClaimOf(id identity.Identity, octets []byte, ps wire.Payloads) (Claim, error) {
	c := Claim{ID: id, Octets: octets}
	c.Proof, _ = wire.Find[wire.Auth](ps)
	c.Proof.Data = bytes.Clone(c.Proof.Data)
	for _, p := range ps {
		cert, ok := p.(wire.Cert)
		if !ok || cert.Encoding != wire.CertX509 {
			continue
		}
		if len(c.Certificates) == pki.MaxChain {
			return c, failed("the peer sends more than %d certificates", pki.MaxChain)
		}
		c.Certificates = append(c.Certificates, bytes.Clone(cert.Data))
	}
	if len(c.Certificates) == 0 {
		return c, failed("the peer sends no certificate")
	}
	return c, nil
}

// Examine returns the identity that the claim proves at now: the one that it is about, as
// the certificate writes it. An error wraps ErrFailed, and its text is for the operator.
func (e *Examiner) Examine(now time.Time, c *Claim) (identity.Identity, error) {
	chain, err := readChain(c.Certificates)
	if err == nil {
		err = e.Trust.Verify(now, chain, e.End)
	}
	if err == nil {
		err = pki.CheckName(chain[0], c.ID)
	}
	if err != nil {
		return identity.Identity{}, refuse(err)
	}
	if err := VerifySignature(chain[0].PublicKey, e.SHA1, c.Octets, c.Proof); err != nil {
		return identity.Identity{}, err
	}
	if c.ID.Type == wire.IDDN {
		return pki.Subject(chain[0]), nil
	}
	return c.ID, nil
}

// readChain reads the certificates of a peer. One that is not its own and cannot be used
// is passed over: another path may do without it.
func readChain(ders [][]byte) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for i, der := range ders {
		c, err := pki.ParseCertificate(der)
		switch {
		case err == nil:
			chain = append(chain, c)
		case i == 0:
			return nil, err
		}
	}
	return chain, nil
}

// refuse makes a Failure of what is wrong with a certificate.
func refuse(err error) error {
	var p *pki.Error
	if errors.As(err, &p) {
		return failed("%s", p.Line())
	}
	return failed("%v", err)
}

// Authorities returns the data of a CERTREQ payload that asks for certificates of the
// authorities of all: their hashes, the first most of them.
func Authorities(all []*Examiner, most int) []byte {
	seen := map[[sha1.Size]byte]bool{}
	var out []byte
	for _, e := range all {
		for _, c := range e.Trust.Authorities() {
			h := pki.KeyHash(c)
			if seen[h] || len(seen) == most {
				continue
			}
			seen[h] = true
			out = append(out, h[:]...)
		}
	}
	return out
}
